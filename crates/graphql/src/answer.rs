//! A webhook's answer: put to its type, asked for the keys of its joins, written in the shape that was selected. Each walks
//! the answer in the same order.

use crate::model::{Custom, Output};
use crate::plan::{Answer, Part, Shape};
use crate::syntax::TypeRef;
use serde_json::{Map, Value};

/// For each join and each object that has it: the values of the statement's first parameters.
pub type Keys = Vec<Vec<Vec<Option<String>>>>;

impl Answer {
    pub fn keys(&self, value: &Value) -> Keys {
        let mut keys = vec![Vec::new(); self.joins.len()];
        if let Some(shape) = &self.shape {
            self.gather(shape, value, &mut keys);
        }
        keys
    }

    fn gather(&self, shape: &Shape, value: &Value, keys: &mut Keys) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.gather(shape, item, keys)),
            Value::Object(fields) => {
                for (_, part) in &shape.parts {
                    match part {
                        Part::Joined(at) => {
                            let wanted = self.joins[*at].keys.iter();
                            keys[*at].push(wanted.map(|key| fields.get(key).and_then(text_of)).collect());
                        }
                        Part::Field {
                            name,
                            shape: Some(inner),
                            ..
                        } => self.gather(inner, fields.get(name).unwrap_or(&Value::Null), keys),
                        Part::Field { .. } | Part::Ready(_) => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// `joined`: what each join answered, in the order of [`Answer::keys`].
    pub fn text(&self, value: &Value, joined: Vec<Vec<String>>) -> String {
        let Some(shape) = &self.shape else {
            return value.to_string();
        };
        let mut joined: Vec<_> = joined.into_iter().map(Vec::into_iter).collect();
        let mut text = String::new();
        write(shape, value, &mut joined, &mut text);
        text
    }
}

/// A key as the database reads it.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn write(shape: &Shape, value: &Value, joined: &mut [std::vec::IntoIter<String>], text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write(shape, item, joined, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (place, (key, part)) in shape.parts.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                match part {
                    Part::Ready(value) => text.push_str(&value.to_string()),
                    Part::Joined(at) => text.push_str(&joined[*at].next().unwrap_or_else(|| "null".to_owned())),
                    Part::Field { name, shape, .. } => {
                        let value = fields.get(name).unwrap_or(&Value::Null);
                        match shape {
                            Some(inner) => write(inner, value, joined, text),
                            None => text.push_str(&value.to_string()),
                        }
                    }
                }
            }
            text.push('}');
        }
        _ => text.push_str("null"),
    }
}

/// Why a value is not of a type; fields that no type speaks of do not matter.
pub fn check(custom: &Custom, ty: &TypeRef, value: &Value) -> Result<(), String> {
    let wrong = || Err(format!("got {} for the action webhook response", kind(value)));
    match (ty, value) {
        (_, Value::Null) if !ty.is_required() => Ok(()),
        (_, Value::Null) => wrong(),
        (TypeRef::List { of, .. }, Value::Array(items)) => items.iter().try_for_each(|item| check(custom, of, item)),
        (TypeRef::List { .. }, _) => wrong(),
        (TypeRef::Named { name, .. }, value) => match (custom.objects.get(name), value) {
            (Some(object), Value::Object(fields)) => check_fields(custom, object, fields),
            (Some(_), _) => wrong(),
            (None, value) if fits(name, value) => Ok(()),
            (None, _) => wrong(),
        },
    }
}

fn check_fields(custom: &Custom, object: &Output, fields: &Map<String, Value>) -> Result<(), String> {
    for (name, field) in &object.fields {
        match fields.get(name) {
            None if field.ty.is_required() => {
                return Err(format!("field \"{name}\" expected in webhook response, but not found"));
            }
            Some(Value::Null) if field.ty.is_required() => {
                return Err(format!("expecting not null value for field \"{name}\""));
            }
            None => {}
            Some(value) => match custom.objects.contains_key(field.ty.base()) {
                true => check(custom, &field.ty, value)?,
                false => check(custom, &field.ty, value).map_err(|_| {
                    format!(
                        "field \"{name}\" of the webhook response is not of type \"{}\"",
                        field.ty
                    )
                })?,
            },
        }
    }
    Ok(())
}

/// Types GraphQL itself has; others are as they are.
fn fits(name: &str, value: &Value) -> bool {
    match name {
        "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "Float" => value.is_number(),
        "Boolean" => value.is_boolean(),
        "String" => value.is_string(),
        "ID" => value.is_string() || value.is_i64() || value.is_u64(),
        _ => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) => "scalar String",
        Value::Number(_) => "scalar Number",
        Value::Bool(_) => "scalar Boolean",
    }
}
