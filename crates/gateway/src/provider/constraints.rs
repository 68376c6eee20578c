//! Which containers the Docker provider looks at: an expression over their labels, in the grammar of rules.

use super::labels::Container;
use crate::rule::{Expression, parse};

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
