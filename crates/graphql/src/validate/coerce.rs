//! A given value as a value of an input type, or Hasura's sentence about why it is none. The outcome is JSON in which enum
//! values are strings; scalars PostgreSQL knows better are left for it to judge.

use super::given::Given;
use super::variables::Variables;
use crate::errors::{GraphqlError, Path};
use crate::schema::{InputDefinition, Kind, RoleSchema};
use crate::syntax::TypeRef;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

type Coerced = Result<Json, GraphqlError>;

pub struct Coercion<'a> {
    pub schema: &'a RoleSchema,
    pub variables: &'a Variables<'a>,
}

impl Coercion<'_> {
    pub fn value(&self, given: &Given<'_>, ty: &TypeRef, path: &Path<'_>) -> Coerced {
        if let Given::Variable { name, declared, value } = given {
            let has_default = self.variables.has_default(name) && !value.is_null();
            if !fits(declared, ty, has_default) {
                return Err(mismatch(name, declared, ty, path));
            }
            return self.value(value, ty, path);
        }
        if let Given::Absent { name, declared } = given {
            if !fits(declared, ty, false) {
                return Err(mismatch(name, declared, ty, path));
            }
            return Ok(Json::Null);
        }
        if given.is_null() {
            return if ty.is_required() {
                Err(self.found(given, ty, path))
            } else {
                Ok(Json::Null)
            };
        }
        match ty {
            TypeRef::List { of, .. } => self.list(given, of, path),
            TypeRef::Named { name, .. } => self.named(given, name, ty, path),
        }
    }

    /// A single value stands for a list of one.
    fn list(&self, given: &Given<'_>, of: &TypeRef, path: &Path<'_>) -> Coerced {
        match given {
            Given::List(items) => items
                .iter()
                .enumerate()
                .map(|(at, item)| self.value(item, of, &path.index(at)))
                .collect(),
            Given::Json(Json::Array(items)) => {
                let item = |(at, item)| self.value(&Given::Json(item), of, &path.index(at));
                items.iter().enumerate().map(item).collect()
            }
            _ => Ok(Json::Array(vec![self.value(given, of, path)?])),
        }
    }

    fn named(&self, given: &Given<'_>, name: &str, ty: &TypeRef, path: &Path<'_>) -> Coerced {
        match self.schema.types.get(name).map(|definition| &definition.kind) {
            Some(Kind::Input(fields)) => self.object(given, name, fields, ty, path),
            Some(Kind::Enum(values)) => {
                let chosen = match given {
                    Given::Enum(value) => *value,
                    Given::Json(Json::String(value)) => value.as_str(),
                    _ => return Err(self.found(given, ty, path)),
                };
                if values.iter().any(|(value, _)| value == chosen) {
                    return Ok(Json::from(chosen));
                }
                Err(not_one_of(values, name, chosen, path))
            }
            _ => self.scalar(given, name, ty, path),
        }
    }

    fn object(
        &self,
        given: &Given<'_>,
        name: &str,
        fields: &IndexMap<String, InputDefinition>,
        ty: &TypeRef,
        path: &Path<'_>,
    ) -> Coerced {
        let pairs: Vec<(&str, Given<'_>)> = match given {
            Given::Object(pairs) => return self.fields(pairs, name, fields, path),
            Given::Json(Json::Object(object)) => object
                .iter()
                .map(|(key, value)| (key.as_str(), Given::Json(value)))
                .collect(),
            _ => return Err(self.found(given, ty, path)),
        };
        self.fields(&pairs, name, fields, path)
    }

    pub fn fields(
        &self,
        pairs: &[(&str, Given<'_>)],
        name: &str,
        fields: &IndexMap<String, InputDefinition>,
        path: &Path<'_>,
    ) -> Coerced {
        let mut object = Map::with_capacity(pairs.len());
        for (key, value) in pairs {
            let here = path.key(key);
            let Some(definition) = fields.get(*key) else {
                return Err(GraphqlError::validation(
                    &here,
                    format!("field '{key}' not found in type: '{name}'"),
                ));
            };
            if definition.strict && value.is_text() {
                return Err(self.found(value, &definition.ty, &here));
            }
            let absent = matches!(value, Given::Absent { .. });
            let value = self.value(value, &definition.ty, &here)?;
            if !absent {
                let canonical = definition.canonical.as_deref().unwrap_or(key);
                object.insert(canonical.to_owned(), value);
            }
        }
        let missing = fields.iter().find(|(key, field)| {
            let canonical = field.canonical.as_ref().unwrap_or(key);
            field.ty.is_required() && field.default.is_none() && !object.contains_key(canonical)
        });
        match missing {
            Some((key, _)) => Err(GraphqlError::validation(
                &path.key(key),
                format!("missing required field '{key}'"),
            )),
            None => Ok(Json::Object(object)),
        }
    }

    fn scalar(&self, given: &Given<'_>, name: &str, ty: &TypeRef, path: &Path<'_>) -> Coerced {
        let json = given.to_json();
        let enumeration = matches!(given, Given::Enum(_));
        if matches!(name, "geometry" | "geography") && json.is_object() {
            super::geojson::check(&json).map_err(|message| GraphqlError::parse(path, message))?;
        }
        if let (Given::Int(text) | Given::Float(text), false) = (
            given,
            matches!(name, "Int" | "Float" | "json" | "jsonb" | "Boolean" | "String" | "ID")
                || self.schema.foreign.contains(name),
        ) {
            // As it was written: PostgreSQL knows its digits better than a float would.
            return Ok(Json::from(*text));
        }
        let good = match name {
            "Int" => {
                let whole = json
                    .as_i64()
                    .or_else(|| json.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as i64));
                let whole = whole.or_else(|| json.as_str().filter(|_| !enumeration)?.parse().ok());
                match whole {
                    Some(number) if i32::try_from(number).is_ok() => return Ok(Json::from(number)),
                    Some(_) => return Err(overflow(&json, path)),
                    None if json.is_number() => return Err(overflow(&json, path)),
                    None => false,
                }
            }
            "Float" => {
                let is_number = |text: &str| text.trim().parse::<f64>().is_ok();
                json.is_number()
                    || matches!(given, Given::Int(_) | Given::Float(_))
                    || (!enumeration && json.as_str().is_some_and(is_number))
            }
            "Boolean" => match json.as_str().filter(|_| !enumeration) {
                // What PostgreSQL reads as a truth value is one.
                Some(text) if truth(text).is_some() => return Ok(Json::from(truth(text))),
                _ => json.is_boolean(),
            },
            "ltree" if json.as_str().is_some_and(|text| !is_label_path(text)) => {
                let message =
                    "Expecting label path: a sequence of zero or more labels separated by dots, for example L1.L2.L3";
                return Err(GraphqlError::parse(path, message));
            }
            "String" => json.is_string() && !enumeration && !matches!(given, Given::Int(_) | Given::Float(_)),
            "ID" => (json.is_string() && !enumeration) || json.is_i64(),
            _ => !enumeration || matches!(name, "json" | "jsonb"),
        };
        if good {
            Ok(json)
        } else {
            Err(self.found(given, ty, path))
        }
    }

    pub fn found(&self, given: &Given<'_>, ty: &TypeRef, path: &Path<'_>) -> GraphqlError {
        let base = ty.base();
        let expected = match (ty, base) {
            (TypeRef::List { .. }, _) => "a list",
            (_, "Int") => "a 32-bit integer",
            (_, "Float") => "a float",
            (_, "Boolean") => "a boolean",
            (_, "String") => "a string",
            (_, "ID") => "an ID",
            _ => match self.schema.types.get(base).map(|definition| &definition.kind) {
                Some(Kind::Input(_)) => "an object",
                Some(Kind::Enum(_)) => "an enum value",
                _ if given.is_null() => {
                    return GraphqlError::validation(path, format!("unexpected null value for type '{base}'"));
                }
                _ => "a scalar",
            },
        };
        let message = format!("expected {expected} for type '{base}', but found {}", given.described());
        GraphqlError::validation(path, message)
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "t" => Some(true),
        "false" | "f" => Some(false),
        _ => None,
    }
}

/// As `ltree` has it: none, or labels of letters, digits, `_` and, from PostgreSQL 16 on, `-`.
fn is_label_path(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
    };
    text.is_empty() || text.split('.').all(label)
}

fn overflow(json: &Json, path: &Path<'_>) -> GraphqlError {
    let number = json.as_f64().unwrap_or_default();
    let message = format!(
        "The value {} lies outside the bounds or is not an integer. Maybe it is a float, or is there integer overflow?",
        scientific(number)
    );
    GraphqlError::parse(path, message)
}

/// As Hasura shows numbers: `2.147483648e9`, `1.5`.
fn scientific(number: f64) -> String {
    if (0.1..1e7).contains(&number.abs()) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    }
}

fn not_one_of(values: &[(String, String)], name: &str, chosen: &str, path: &Path<'_>) -> GraphqlError {
    let mut names: Vec<String> = values.iter().map(|(value, _)| format!("'{value}'")).collect();
    names.sort();
    let which = match names.as_slice() {
        [only] => format!("the value {only}"),
        names => format!("one of the values [{}]", names.join(", ")),
    };
    GraphqlError::validation(
        path,
        format!("expected {which} for type '{name}', but found '{chosen}'"),
    )
}

fn mismatch(name: &str, declared: &TypeRef, used: &TypeRef, path: &Path<'_>) -> GraphqlError {
    let message = format!("variable '{name}' is declared as '{declared}', but used where '{used}' is expected");
    GraphqlError::validation(path, message)
}

/// GraphQL 5.8.5: may a variable of this type stand here? `usable`: it is nullable but has a default.
fn fits(declared: &TypeRef, used: &TypeRef, usable: bool) -> bool {
    if used.is_required() && !declared.is_required() && !usable {
        return false;
    }
    match (declared, used) {
        (TypeRef::Named { name, .. }, TypeRef::Named { name: wanted, .. }) => name == wanted,
        (TypeRef::List { of, .. }, TypeRef::List { of: wanted, .. }) => fits(of, wanted, false),
        (TypeRef::Named { .. }, TypeRef::List { of, .. }) => fits(declared, of, usable),
        (TypeRef::List { .. }, TypeRef::Named { .. }) => false,
    }
}
