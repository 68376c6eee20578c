//! `{{NAME}}` in an address or a header stands for a variable of the environment.

use metadata::Header;
use std::collections::BTreeMap;

/// # Errors
/// Names the variables that are not set.
pub fn resolve(template: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let mut text = String::with_capacity(template.len());
    let mut missing = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else {
            return Err(format!("'{template}' opens '{{{{' and does not close it with '}}}}'"));
        };
        text.push_str(before);
        match environment.get(name.trim()) {
            Some(value) => text.push_str(value),
            None => missing.push(name.trim()),
        }
        rest = behind;
    }
    text.push_str(rest);
    match missing.is_empty() {
        true => Ok(text),
        false => Err(not_set(&missing)),
    }
}

fn not_set(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("environment variables not set: {}", names.join(", "))
}

/// # Errors
/// The variable is not set.
pub fn variable(name: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    environment.get(name).cloned().ok_or_else(|| not_set(&[name]))
}

/// The value to send.
///
/// # Errors
/// The variable is not set.
pub fn environment_header(header: &Header, environment: &BTreeMap<String, String>) -> Result<String, String> {
    match (&header.value, &header.value_from_env) {
        (Some(value), _) => resolve(value, environment),
        (None, Some(name)) => variable(name, environment),
        (None, None) => Err(format!(
            "header \"{}\" has neither value nor value_from_env",
            header.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_those_that_are_not_set_are_told_together() {
        let environment = BTreeMap::from([("HOST".to_owned(), "http://h".to_owned())]);
        assert_eq!(
            resolve("{{HOST}}/a{{ HOST }}", &environment),
            Ok("http://h/ahttp://h".to_owned())
        );
        assert_eq!(
            resolve("{{A}}{{HOST}}{{B}}", &environment),
            Err("environment variables not set: \"A\", \"B\"".to_owned())
        );
        assert!(resolve("{{A", &environment).is_err());
    }
}
