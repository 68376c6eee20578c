//! `where` and `order_by` in their older spellings, made today's: `$eq` is `_eq`, a bare value is compared, `-id`
//! descends.

use super::tables::Tables;
use crate::refusal::Refusal;
use metadata::TableEntry;
use serde_json::{Map, Value, json};

/// A condition on `table`.
pub fn condition(tables: &Tables, table: &TableEntry, given: &Value) -> Result<Value, Refusal> {
    let Some(fields) = given.as_object() else {
        let message = "parsing Map failed, expected Object";
        return Err(Refusal::new("parse-failed", "$.args.where", message));
    };
    let mut made = Map::new();
    for (key, inner) in fields {
        let key = today(key);
        let inner = match key.as_str() {
            "_and" | "_or" => each(tables, table, inner)?,
            "_not" => condition(tables, table, inner)?,
            "_exists" => inner.clone(),
            _ => match tables.target(table, &key) {
                Some(target) => condition(tables, target, inner)?,
                None => comparison(inner),
            },
        };
        made.insert(key, inner);
    }
    Ok(Value::Object(made))
}

fn each(tables: &Tables, table: &TableEntry, given: &Value) -> Result<Value, Refusal> {
    match given.as_array() {
        Some(list) => list.iter().map(|one| condition(tables, table, one)).collect(),
        None => condition(tables, table, given),
    }
}

fn today(key: &str) -> String {
    match key.strip_prefix('$') {
        Some(name) => format!("_{name}"),
        None => key.to_owned(),
    }
}

/// What a column is compared with.
fn comparison(given: &Value) -> Value {
    match given {
        Value::Object(operators) => {
            let known = operators.iter().map(|(operator, value)| {
                let operator = today(operator);
                let value = match operator.as_str() {
                    "_cast" => casts(value),
                    _ => value.clone(),
                };
                (operator, value)
            });
            Value::Object(known.collect())
        }
        Value::Null => json!({"_is_null": true}),
        value => json!({ "_eq": value }),
    }
}

fn casts(given: &Value) -> Value {
    let targets = given.as_object().into_iter().flatten();
    let made = targets.map(|(ty, inner)| {
        let ty = if ty == "text" { "String" } else { ty.as_str() };
        (ty.to_owned(), comparison(inner))
    });
    Value::Object(made.collect())
}

/// One ordering or a list; each text (`-id`, `+author.name`) or `{column, type, nulls}`.
pub fn order(given: &Value) -> Result<Value, Refusal> {
    let list = match given {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    list.iter().map(ordering).collect()
}

fn ordering(given: &Value) -> Result<Value, Refusal> {
    let wrong = || {
        Refusal::new(
            "parse-failed",
            "$.args.order_by",
            "expecting a column, \"-column\" or {column, type, nulls}",
        )
    };
    let (path, direction) = match given {
        Value::String(text) => match text.strip_prefix('-') {
            Some(column) => (column, "desc".to_owned()),
            None => (text.strip_prefix('+').unwrap_or(text), "asc".to_owned()),
        },
        Value::Object(fields) => {
            let column = fields.get("column").and_then(Value::as_str).ok_or_else(wrong)?;
            let direction = fields.get("type").and_then(Value::as_str).unwrap_or("asc");
            let nulls = fields.get("nulls").and_then(Value::as_str);
            (
                column,
                nulls.map_or(direction.to_owned(), |nulls| format!("{direction}_nulls_{nulls}")),
            )
        }
        _ => return Err(wrong()),
    };
    let steps = path.split('.').rev();
    Ok(steps.fold(Value::from(direction), |inner, step| json!({ step: inner })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orderings_have_three_spellings() {
        let check = |given: Value, expected: Value| assert_eq!(order(&given).expect("an ordering"), expected);
        check(json!("-id"), json!([{"id": "desc"}]));
        check(
            json!(["+id", "author.name"]),
            json!([{"id": "asc"}, {"author": {"name": "asc"}}]),
        );
        check(
            json!([{"column": "id", "type": "desc", "nulls": "last"}]),
            json!([{"id": "desc_nulls_last"}]),
        );
    }
}
