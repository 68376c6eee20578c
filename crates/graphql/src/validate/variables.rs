//! The variables of one operation: every declared one has a value, a default or is absent; undeclared ones are refused.

use super::given::Given;
use crate::errors::{GraphqlError, Path};
use crate::syntax::{Operation, TypeRef, Value};
use serde_json::{Map, Value as Json};
use std::collections::{HashMap, HashSet};

pub struct Variables<'a> {
    /// Those that declare a default other than null.
    defaulted: HashSet<&'a str>,
    declared: HashMap<&'a str, (&'a TypeRef, Bound<'a>)>,
}

enum Bound<'a> {
    Value(&'a Json),
    Default(&'a Value),
    Absent,
}

impl<'a> Variables<'a> {
    pub fn bind(operation: &'a Operation, given: &'a Map<String, Json>) -> Result<Self, GraphqlError> {
        let root = Path::root();
        let mut declared = HashMap::new();
        let mut defaulted = HashSet::new();
        for definition in &operation.variables {
            let ty = &definition.ty;
            if definition
                .default
                .as_ref()
                .is_some_and(|default| *default != Value::Null)
            {
                defaulted.insert(definition.name.as_str());
            }
            let bound = match (given.get(&definition.name), &definition.default) {
                (Some(Json::Null), _) if ty.is_required() => {
                    let message = format!("null value found for non-nullable type: \"{ty}\"");
                    return Err(GraphqlError::validation(
                        &root.key("variableValues").key(&definition.name),
                        message,
                    ));
                }
                (Some(value), _) => Bound::Value(value),
                (None, Some(default)) => Bound::Default(default),
                (None, None) if ty.is_required() => {
                    let message = format!("expecting a value for non-nullable variable: \"{}\"", definition.name);
                    return Err(GraphqlError::validation(&root.key("variableValues"), message));
                }
                (None, None) => Bound::Absent,
            };
            if declared.insert(definition.name.as_str(), (ty, bound)).is_some() {
                let message = format!("multiple definitions for variable \"{}\"", definition.name);
                return Err(GraphqlError::validation(&root, message));
            }
        }
        if let Some(unexpected) = given.keys().find(|name| !declared.contains_key(name.as_str())) {
            let message = format!("unexpected variables in variableValues: {unexpected}");
            return Err(GraphqlError::validation(&root.key("variableValues"), message));
        }
        Ok(Variables { defaulted, declared })
    }

    /// Puts variables' values in place.
    pub fn resolve(&'a self, value: &'a Value, path: &Path<'_>) -> Result<Given<'a>, GraphqlError> {
        Ok(match value {
            Value::Null => Given::Null,
            Value::Boolean(value) => Given::Boolean(*value),
            Value::Int(text) => Given::Int(text),
            Value::Float(text) => Given::Float(text),
            Value::String(text) => Given::String(text),
            Value::Enum(name) => Given::Enum(name),
            Value::List(items) => Given::List(
                items
                    .iter()
                    .map(|item| self.resolve(item, path))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(fields) => Given::Object(
                fields
                    .iter()
                    .map(|(name, value)| Ok((name.as_str(), self.resolve(value, path)?)))
                    .collect::<Result<_, GraphqlError>>()?,
            ),
            Value::Variable(name) => match self.declared.get(name.as_str()) {
                None => return Err(GraphqlError::validation(path, format!("unbound variable \"{name}\""))),
                Some((declared, Bound::Absent)) => Given::Absent { name, declared },
                Some((declared, Bound::Value(value))) => Given::Variable {
                    name,
                    declared,
                    value: Box::new(Given::Json(value)),
                },
                Some((declared, Bound::Default(value))) => Given::Variable {
                    name,
                    declared,
                    value: Box::new(self.resolve(value, path)?),
                },
            },
        })
    }

    pub fn has_default(&self, name: &str) -> bool {
        self.defaulted.contains(name)
    }
}
