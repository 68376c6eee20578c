//! JSON values as the text PostgreSQL reads for a column's type, and the session variables permissions name.

use super::{Sql, Writer};
use crate::errors::GraphqlError;
use crate::model::Column;
use crate::sql::quote::key_text;
use serde_json::Value;

impl Writer<'_> {
    /// A value for a column, as a parameter.
    pub fn value(&mut self, value: &Value, column: &Column) -> String {
        let text = match column {
            column if column.is_json() => Some(value.to_string()).filter(|_| !value.is_null()),
            column if column.is_geographic() && is_geojson(value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let made = self.param(Some(text), "text");
                return format!("st_geomfromgeojson({made})::{}", column.sql_type);
            }
            column => text(&stored(value, column)),
        };
        self.param(text, &column.sql_type)
    }

    /// A list for `any`, as one array parameter.
    pub fn values(&mut self, value: &Value, column: &Column) -> String {
        let array = format!("{}[]", column.sql_type.trim_end_matches("[]"));
        let items: Vec<Value> = match value {
            Value::Array(items) => items.iter().map(|item| stored(item, column)).collect(),
            other => return self.param(text(other), &array),
        };
        if column.is_geographic() {
            let made: Vec<String> = items.iter().map(|item| self.value(item, column)).collect();
            return format!("array[{}]::{array}", made.join(", "));
        }
        let items = items.into_iter().map(|item| match column.is_json() {
            true => Value::from(item.to_string()),
            false => item,
        });
        let literal = text(&Value::Array(items.collect()));
        self.param(literal, &array)
    }

    /// What a permission wrote: a session variable's name, or the value itself.
    pub fn permitted(&self, written: &Value) -> Result<Value, GraphqlError> {
        let variable = written.as_str().map(str::to_ascii_lowercase);
        let Some(name) = variable.filter(|name| name.starts_with("x-hasura-")) else {
            return Ok(written.clone());
        };
        let found = self.session.variables.get(&name).cloned();
        let missing = || GraphqlError::new("not-found", "$", format!("missing session variable: \"{name}\""));
        found.map(Value::from).ok_or_else(missing)
    }

    /// As above, at any depth.
    pub fn permitted_deep(&self, written: &Value) -> Result<Value, GraphqlError> {
        match written {
            Value::Array(items) => items.iter().map(|item| self.permitted_deep(item)).collect(),
            Value::Object(fields) => {
                let mut made = serde_json::Map::new();
                for (key, value) in fields {
                    made.insert(key.clone(), self.permitted_deep(value)?);
                }
                Ok(Value::Object(made))
            }
            one => self.permitted(one),
        }
    }

    /// A preset column's value. A variable's text is read as JSON where the column is.
    pub fn preset(&mut self, written: &Value, column: &Column) -> Sql {
        let value = self.permitted(written)?;
        if (column.is_json() || column.is_geographic()) && value != *written {
            let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            return Ok(self.value(&parsed.unwrap_or(value), column));
        }
        Ok(self.value(&value, column))
    }

    /// A column's value as it is shown.
    pub fn shown_expression(&self, value: String, column: &Column) -> String {
        if column.is_geographic() {
            return format!("st_asgeojson({value}, 15, 4)::json");
        }
        if let Some((_, values)) = column
            .values
            .as_ref()
            .filter(|(_, values)| values.iter().any(|one| one.name != one.value))
        {
            let cases = values
                .iter()
                .map(|one| format!("when {} then {}", key_text(&one.value), key_text(&one.name)));
            return format!("(case {value} {} end)", cases.collect::<Vec<_>>().join(" "));
        }
        if self.model.options.stringify_numerics && matches!(column.ty.as_str(), "int8" | "numeric" | "float8") {
            return format!("({value})::text{}", if column.array { "[]" } else { "" });
        }
        value
    }
}

/// An object, or its text, as a session variable has it.
fn is_geojson(value: &Value) -> bool {
    value.is_object() || value.as_str().is_some_and(|text| text.trim_start().starts_with('{'))
}

/// An enumeration's value as the table has it.
fn stored(value: &Value, column: &Column) -> Value {
    let known = column
        .values
        .as_ref()
        .zip(value.as_str())
        .and_then(|((_, values), given)| {
            values
                .iter()
                .find(|one| one.name == given)
                .map(|one| Value::from(one.value.as_str()))
        });
    known.unwrap_or_else(|| value.clone())
}

pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(element).collect();
            Some(format!("{{{}}}", items.join(",")))
        }
        other => Some(other.to_string()),
    }
}

fn element(item: &Value) -> String {
    match item {
        Value::Null => "NULL".to_owned(),
        Value::Array(_) => text(item).unwrap_or_default(),
        other => {
            let text = text(other).unwrap_or_default();
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}
