//! A value a caller gave, from the document or from a variable, before its type is known.

use crate::syntax::TypeRef;
use serde_json::Value as Json;

pub enum Given<'a> {
    Null,
    Boolean(bool),
    /// Number text of the document.
    Int(&'a str),
    Float(&'a str),
    String(&'a str),
    Enum(&'a str),
    List(Vec<Given<'a>>),
    Object(Vec<(&'a str, Given<'a>)>),
    Json(&'a Json),
    Variable {
        name: &'a str,
        declared: &'a TypeRef,
        value: Box<Given<'a>>,
    },
    /// A variable without a value or default: as if the argument were not there.
    Absent {
        name: &'a str,
        declared: &'a TypeRef,
    },
}

impl Given<'_> {
    /// As in "but found an integer".
    pub fn described(&self) -> &'static str {
        match self {
            Given::Null | Given::Absent { .. } => "null",
            Given::Boolean(_) => "a boolean",
            Given::Int(_) => "an integer",
            Given::Float(_) => "a float",
            Given::String(_) => "a string",
            Given::Enum(_) => "an enum value",
            Given::List(_) => "a list",
            Given::Object(_) => "an object",
            Given::Json(Json::Null) => "null",
            Given::Json(Json::Bool(_)) => "a boolean",
            Given::Json(Json::Number(number)) if number.is_f64() => "a float",
            Given::Json(Json::Number(_)) => "an integer",
            Given::Json(Json::String(_)) => "a string",
            Given::Json(Json::Array(_)) => "a list",
            Given::Json(Json::Object(_)) => "an object",
            Given::Variable { value, .. } => value.described(),
        }
    }

    pub fn is_text(&self) -> bool {
        match self {
            Given::String(_) | Given::Json(Json::String(_)) => true,
            Given::Variable { value, .. } => value.is_text(),
            _ => false,
        }
    }

    pub fn is_null(&self) -> bool {
        match self {
            Given::Null | Given::Json(Json::Null) => true,
            Given::Variable { value, .. } => value.is_null(),
            _ => false,
        }
    }

    /// The value as JSON where a scalar takes any; numbers JSON cannot hold exactly stay text.
    pub fn to_json(&self) -> Json {
        match self {
            Given::Null | Given::Absent { .. } => Json::Null,
            Given::Boolean(value) => Json::Bool(*value),
            Given::Int(text) => text.parse::<i64>().map_or_else(|_| Json::from(*text), Json::from),
            Given::Float(text) => match text.parse::<f64>() {
                Ok(number) if text.len() <= 15 => Json::from(number),
                _ => Json::from(*text),
            },
            Given::String(text) | Given::Enum(text) => Json::from(*text),
            Given::List(items) => items.iter().map(Given::to_json).collect(),
            Given::Object(fields) => Json::Object(
                fields
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.to_json()))
                    .collect(),
            ),
            Given::Json(value) => (*value).clone(),
            Given::Variable { value, .. } => value.to_json(),
        }
    }
}
