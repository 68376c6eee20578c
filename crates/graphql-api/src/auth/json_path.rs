//! The part of JSONPath that names one place: `$.a.b`, `$['a b'][0]`, `$.['a'].b`.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

impl JsonPath {
    /// # Errors
    /// Says what in the path is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a JSON path such as $.a['b'][0]");
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            if let Some(inside) = rest.strip_prefix('[') {
                let quote = inside.chars().next().filter(|c| matches!(c, '\'' | '"'));
                let (step, after) = match quote {
                    Some(quote) => {
                        let (key, after) = inside[1..].split_once(quote).ok_or_else(wrong)?;
                        (Step::Key(key.to_owned()), after.strip_prefix(']').ok_or_else(wrong)?)
                    }
                    None => {
                        let (index, after) = inside.split_once(']').ok_or_else(wrong)?;
                        (Step::Index(index.parse().map_err(|_| wrong())?), after)
                    }
                };
                steps.push(step);
                rest = after;
                continue;
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err(wrong());
            }
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        Ok(JsonPath(steps))
    }

    pub fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |here, step| match step {
            Step::Key(key) => here.get(key),
            Step::Index(index) => here.get(index),
        })
    }
}

impl std::fmt::Display for JsonPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("$")?;
        for step in &self.0 {
            match step {
                Step::Key(key) if key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => write!(f, ".{key}")?,
                Step::Key(key) => write!(f, "['{key}']")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_names_one_place() {
        let value = json!({"a": {"b c": [1, {"d": 2}]}, "https://x/y": {"z": 3}});
        let check = |path: &str, expected: Option<Value>| {
            assert_eq!(
                JsonPath::parse(path).expect(path).find(&value),
                expected.as_ref(),
                "{path}"
            );
        };
        check("$", Some(value.clone()));
        check("$.a['b c'][1].d", Some(json!(2)));
        check("$.['https://x/y'].z", Some(json!(3)));
        check("$.a.missing", None);
        for wrong in ["$.", "$[x]", "$['a", "$..a"] {
            JsonPath::parse(wrong).expect_err(wrong);
        }
    }
}
