//! The two small languages of the Docker provider: the default rule's template and the constraints.

use super::labels::{Container, normalize};
use crate::rule::{Expression, parse};

/// The default rule's template, as far as people use it: `.Name`, `normalize`, `index .Labels "…"`.
pub fn default_rule(template: &str, container: &Container, name: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find("{{") {
        out.push_str(&rest[..open]);
        let close = rest[open..].find("}}").ok_or("a {{ is never closed")? + open;
        out.push_str(&action(
            rest[open + 2..close].trim().trim_matches('-').trim(),
            container,
            name,
        )?);
        rest = &rest[close + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

fn action(action: &str, container: &Container, name: &str) -> Result<String, String> {
    if let Some(of) = action.strip_prefix("normalize ") {
        return self::action(of.trim(), container, name).map(|text| normalize(&text));
    }
    if let Some(inner) = action.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return self::action(inner.trim(), container, name);
    }
    if let Some(key) = action.strip_prefix("index .Labels ") {
        let key = key.trim().trim_matches(['"', '`']);
        return Ok(container.labels.get(key).cloned().unwrap_or_default());
    }
    match action {
        ".Name" => Ok(name.to_owned()),
        ".ContainerName" => Ok(container.name.clone()),
        other => Err(format!("the template action '{{{{ {other} }}}}' is not supported")),
    }
}

/// Whether the constraints let the container in.
///
/// # Errors
/// The expression is none.
pub fn admitted(container: &Container, constraints: &str) -> Result<bool, String> {
    if constraints.trim().is_empty() {
        return Ok(true);
    }
    let expression = parse(constraints)?;
    holds(&expression, container)
}

fn holds(expression: &Expression, container: &Container) -> Result<bool, String> {
    match expression {
        Expression::And(parts) => parts
            .iter()
            .try_fold(true, |so_far, part| Ok(so_far & holds(part, container)?)),
        Expression::Or(parts) => parts
            .iter()
            .try_fold(false, |so_far, part| Ok(so_far | holds(part, container)?)),
        Expression::Not(inner) => holds(inner, container).map(|held| !held),
        Expression::Call { name, arguments } => match (name.as_str(), arguments.as_slice()) {
            ("Label", [key, value]) => Ok(container.labels.get(key) == Some(value)),
            ("LabelRegex" | "LabelRegexp", [key, pattern]) => {
                let pattern = regex::Regex::new(pattern).map_err(|error| error.to_string())?;
                Ok(container.labels.get(key).is_some_and(|value| pattern.is_match(value)))
            }
            (name, _) => Err(format!(
                "there is no constraint {name} with {} arguments",
                arguments.len()
            )),
        },
    }
}
