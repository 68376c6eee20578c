//! The one error the engine speaks: Hasura's message, path and code, and how it is written on each endpoint.

mod postgres;

pub use postgres::{PostgresFailure, from_postgres};

use serde_json::{Value, json};

/// A refusal as the caller sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphqlError {
    pub message: String,
    /// A JSON path such as `$.selectionSet.author.args.where`.
    pub path: String,
    pub code: &'static str,
    /// Shown to administrators only.
    pub internal: Option<Box<Value>>,
    /// A webhook's own words, instead of ours.
    pub extensions: Option<Box<Value>>,
    /// A remote schema's errors as it told them, instead of ours.
    pub several: Option<Vec<Value>>,
}

impl std::fmt::Display for GraphqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} at {})", self.message, self.code, self.path)
    }
}

impl std::error::Error for GraphqlError {}

impl GraphqlError {
    pub fn new(code: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        GraphqlError {
            message: message.into(),
            path: path.into(),
            code,
            internal: None,
            extensions: None,
            several: None,
        }
    }

    /// The request does not fit the schema.
    pub fn validation(path: &Path<'_>, message: impl Into<String>) -> Self {
        Self::new("validation-failed", path.render(), message)
    }

    /// A value does not parse as its scalar type.
    pub fn parse(path: &Path<'_>, message: impl Into<String>) -> Self {
        Self::new("parse-failed", path.render(), message)
    }

    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// One element of `errors` on `/v1/graphql`.
    pub fn as_graphql(&self) -> Value {
        if let Some(extensions) = &self.extensions {
            return json!({"message": self.message, "extensions": extensions});
        }
        let mut extensions = json!({"path": self.path, "code": self.code});
        if let Some(internal) = &self.internal {
            extensions["internal"] = (**internal).clone();
        }
        json!({"message": self.message, "extensions": extensions})
    }

    /// What `errors` holds on `/v1/graphql`.
    pub fn as_list(&self) -> Value {
        match &self.several {
            Some(errors) => Value::Array(errors.clone()),
            None => Value::Array(vec![self.as_graphql()]),
        }
    }

    /// The whole answer of `/v1/graphql`.
    pub fn response(&self) -> Value {
        json!({"errors": self.as_list()})
    }

    /// The whole answer of `/v1/query`, `/v2/query` and `/v1/metadata`.
    pub fn as_query(&self) -> Value {
        let mut body = json!({"path": self.path, "error": self.message, "code": self.code});
        if let Some(internal) = &self.internal {
            body["internal"] = (**internal).clone();
        }
        body
    }
}

/// Where we are in the request: a list on the stack, rendered only when something fails.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl Default for Path<'_> {
    fn default() -> Self {
        Self::root()
    }
}

impl<'a> Path<'a> {
    pub const fn root() -> Self {
        Path {
            parent: None,
            step: Step::Root,
        }
    }

    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    pub fn render(&self) -> String {
        let mut steps = Vec::new();
        let mut here = Some(self);
        while let Some(path) = here {
            steps.push(path.step);
            here = path.parent;
        }
        let mut text = String::from("$");
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Key(key) => push_key(&mut text, key),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }
}

fn push_key(text: &mut String, key: &str) {
    let plain = !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain {
        text.push('.');
        text.push_str(key);
    } else {
        text.push_str(&format!("[{}]", Value::from(key)));
    }
}

/// Hasura's words for a JSON value of another kind than expected.
pub fn parsing_failed(what: &str, expected: &str, found: &serde_json::Value) -> String {
    let found = json_kind(found);
    format!("parsing {what} failed, expected {expected}, but encountered {found}")
}

pub fn json_kind(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_hasura_writes_it() {
        let root = Path::root();
        let selection = root.key("selectionSet");
        let objects = selection.key("objects");
        assert_eq!(
            objects.index(2).key("$set").render(),
            "$.selectionSet.objects[2][\"$set\"]"
        );
    }
}
