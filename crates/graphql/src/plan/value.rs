//! JSON values as the text PostgreSQL reads for a column's type, and the session variables permissions name.

use super::{Sql, Writer};
use crate::errors::GraphqlError;
use crate::model::Column;
use serde_json::Value;

impl Writer<'_> {
    /// A value for a column, as a parameter.
    pub fn value(&mut self, value: &Value, column: &Column) -> String {
        let text = if column.is_json() {
            Some(value.to_string()).filter(|_| !value.is_null())
        } else {
            text(value)
        };
        self.param(text, &column.sql_type)
    }

    /// A list for `any`, as one array parameter.
    pub fn values(&mut self, value: &Value, column: &Column) -> String {
        let items: Vec<Value> = match value {
            Value::Array(items) => items.clone(),
            other => return self.param(text(other), &format!("{}[]", column.sql_type)),
        };
        let items = items.into_iter().map(|item| {
            if column.is_json() {
                Value::from(item.to_string())
            } else {
                item
            }
        });
        let literal = text(&Value::Array(items.collect()));
        self.param(literal, &format!("{}[]", column.sql_type))
    }

    /// What a permission wrote: a session variable's name, or the value itself.
    pub fn permitted(&self, written: &Value) -> Result<Value, GraphqlError> {
        let Some(name) = written
            .as_str()
            .map(str::to_ascii_lowercase)
            .filter(|name| name.starts_with("x-hasura-"))
        else {
            return Ok(written.clone());
        };
        let found = self.session.variables.get(&name).cloned();
        let missing = || GraphqlError::new("not-found", "$", format!("missing session variable: \"{name}\""));
        found.map(Value::from).ok_or_else(missing)
    }

    /// A preset column's value.
    pub fn preset(&mut self, written: &Value, column: &Column) -> Sql {
        let value = self.permitted(written)?;
        Ok(self.value(&value, column))
    }
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
