//! An operation as OpenAPI 3.0 describes it: the JSON of its variables and of its answer. Types that have a name of their
//! own (scalars of the database, enumerations, inputs) become components, which may mention themselves.
//!
//! The shapes follow what Hasura v2 answers at `/api/swagger/json`, on which client generators are built.

use crate::schema::{Kind, RoleSchema};
use crate::syntax::{Document, OperationKind, Selection, TypeRef, Value as Literal};
use serde_json::{Map, Value, json};

/// One operation's variables and answer.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationShape {
    pub variables: Vec<VariableShape>,
    /// The schema of the answer's body.
    pub answer: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VariableShape {
    pub name: String,
    /// In a body.
    pub schema: Value,
    /// As text of a path or a query string; `None` where text cannot say it.
    pub parameter: Option<Value>,
    /// Has to be given.
    pub required: bool,
}

/// Components by name, filled as operations are described.
pub type Components = Map<String, Value>;

/// `None` where the document is no single operation.
pub fn describe(schema: &RoleSchema, document: &Document, components: &mut Components) -> Option<OperationShape> {
    let [operation] = document.operations.as_slice() else {
        return None;
    };
    let root = match operation.kind {
        OperationKind::Query => "query_root",
        OperationKind::Mutation => "mutation_root",
        OperationKind::Subscription => "subscription_root",
    };
    let mut writer = Writer {
        schema,
        document,
        components,
    };
    let variables = operation.variables.iter().map(|variable| VariableShape {
        name: variable.name.clone(),
        schema: writer.input(&variable.ty),
        parameter: writer.parameter(&variable.ty, variable.default.as_ref()),
        required: variable.ty.is_required() && variable.default.is_none(),
    });
    let variables = variables.collect();
    let mut properties = Map::new();
    writer.properties(&operation.selection, root, &mut properties, 0);
    Some(OperationShape {
        variables,
        answer: json!({ "properties": properties }),
    })
}

struct Writer<'a> {
    schema: &'a RoleSchema,
    document: &'a Document,
    components: &'a mut Components,
}

impl Writer<'_> {
    /// What a selection adds to its object's properties. The same key twice means both selections.
    fn properties(&mut self, selection: &[Selection], ty: &str, properties: &mut Map<String, Value>, depth: usize) {
        if depth > crate::syntax::MAX_DEPTH {
            return;
        }
        for one in selection {
            match one {
                Selection::Field(field) if field.name == "__typename" => {
                    properties.insert(field.key().to_owned(), scalar("String", false));
                }
                Selection::Field(field) => {
                    let fields = self.schema.object(ty);
                    if let Some(definition) = fields.and_then(|fields| fields.get(&field.name)) {
                        let answered = self.output(&definition.ty, &field.selection, depth + 1);
                        merge(properties.entry(field.key()).or_insert(Value::Null), answered);
                    }
                }
                Selection::Inline { on, selection, .. } => {
                    self.properties(selection, on.as_deref().unwrap_or(ty), properties, depth + 1);
                }
                Selection::Spread { name, .. } => {
                    if let Some(fragment) = self.document.fragment(name) {
                        self.properties(&fragment.selection, &fragment.on, properties, depth + 1);
                    }
                }
            }
        }
    }

    fn output(&mut self, ty: &TypeRef, selection: &[Selection], depth: usize) -> Value {
        let (name, non_null) = match ty {
            TypeRef::List { of, non_null } => return list(self.output(of, selection, depth), *non_null),
            TypeRef::Named { name, non_null } => (name, *non_null),
        };
        if self.schema.object(name).is_none() {
            return self.input(ty);
        }
        let mut properties = Map::new();
        self.properties(selection, name, &mut properties, depth);
        let described = self.schema.types.get(name).and_then(|ty| ty.description.as_deref());
        object(name, described, properties, non_null)
    }

    /// A value of a variable, or a leaf of an answer.
    fn input(&mut self, ty: &TypeRef) -> Value {
        let (name, non_null) = match ty {
            TypeRef::List { of, non_null } => return list(self.input(of), *non_null),
            TypeRef::Named { name, non_null } => (name, *non_null),
        };
        if BUILT_IN.contains(&name.as_str()) {
            return scalar(name, !non_null);
        }
        let component = ty.to_string();
        if !self.components.contains_key(&component) {
            // Present before its fields are described: they may mention it.
            self.components.insert(component.clone(), Value::Null);
            let described = self.component(name, non_null);
            self.components.insert(component.clone(), described);
        }
        json!({"$ref": format!("#/components/schemas/{component}")})
    }

    fn component(&mut self, name: &str, non_null: bool) -> Value {
        let schema = self.schema;
        let Some(definition) = schema.types.get(name) else {
            return scalar(name, !non_null);
        };
        match &definition.kind {
            Kind::Input(fields) => {
                let properties = fields.iter().map(|(name, field)| (name.clone(), self.input(&field.ty)));
                let properties = properties.collect();
                object(name, definition.description.as_deref(), properties, non_null)
            }
            Kind::Enum(values) => {
                let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
                json!({"title": name, "type": "string", "enum": names, "nullable": !non_null})
            }
            Kind::Scalar | Kind::Object(_) | Kind::Interface(_) | Kind::Union => scalar(name, !non_null),
        }
    }

    /// Lists and objects are given in a body alone.
    fn parameter(&self, ty: &TypeRef, default: Option<&Literal>) -> Option<Value> {
        let TypeRef::Named { name, .. } = ty else {
            return None;
        };
        let mut schema = match self.schema.types.get(name).map(|definition| &definition.kind) {
            Some(Kind::Input(_) | Kind::Object(_) | Kind::Interface(_) | Kind::Union) => return None,
            Some(Kind::Enum(values)) => {
                let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
                Map::from_iter([("type".to_owned(), json!("string")), ("enum".to_owned(), json!(names))])
            }
            Some(Kind::Scalar) | None => json_type(name),
        };
        if let Some(default) = default {
            schema.insert("default".to_owned(), literal(default));
        }
        Some(Value::Object(schema))
    }
}

/// Scalars that are described where they are used.
const BUILT_IN: [&str; 5] = ["String", "Int", "Float", "Boolean", "ID"];

const UUID: &str = "[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89aAbB][a-f0-9]{3}-[a-f0-9]{12}";

/// The JSON a scalar is written as. Documents are of any type, and so say none.
fn json_type(name: &str) -> Map<String, Value> {
    let (ty, pattern) = match name {
        "Int" | "smallint" => ("integer", None),
        "Float" | "float8" | "numeric" | "bigint" => ("number", None),
        "Boolean" => ("boolean", None),
        "json" | "jsonb" => return Map::new(),
        "uuid" => ("string", Some(UUID)),
        _ => ("string", None),
    };
    let pattern = pattern.map(|pattern| ("pattern".to_owned(), json!(pattern)));
    [("type".to_owned(), json!(ty))].into_iter().chain(pattern).collect()
}

fn scalar(name: &str, nullable: bool) -> Value {
    let mut schema = json_type(name);
    schema.insert("title".to_owned(), json!(name));
    schema.insert("nullable".to_owned(), json!(nullable));
    Value::Object(schema)
}

fn list(items: Value, non_null: bool) -> Value {
    json!({"type": "array", "items": items, "nullable": !non_null})
}

fn object(title: &str, description: Option<&str>, properties: Map<String, Value>, non_null: bool) -> Value {
    let mut schema = json!({"title": title, "type": "object", "properties": properties, "nullable": !non_null});
    if let Some(description) = description {
        schema["description"] = json!(description);
    }
    schema
}

/// Adds the properties of a second description of the same field to the first.
fn merge(known: &mut Value, more: Value) {
    match (known, more) {
        (Value::Object(known), Value::Object(more)) => {
            for (key, value) in more {
                merge(known.entry(key).or_insert(Value::Null), value);
            }
        }
        (known @ Value::Null, more) => *known = more,
        _ => {}
    }
}

fn literal(value: &Literal) -> Value {
    match value {
        Literal::Int(text) | Literal::Float(text) => serde_json::from_str(text).unwrap_or_default(),
        Literal::String(text) | Literal::Enum(text) => json!(text),
        Literal::Boolean(value) => json!(value),
        Literal::List(items) => items.iter().map(literal).collect(),
        Literal::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), literal(value)))
            .collect(),
        Literal::Null | Literal::Variable(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_field_twice_has_the_properties_of_both() {
        let mut known = json!({"type": "array", "items": {"properties": {"a": {"type": "string"}}}});
        merge(
            &mut known,
            json!({"type": "array", "items": {"properties": {"b": {"type": "integer"}}}}),
        );
        let both = json!({"a": {"type": "string"}, "b": {"type": "integer"}});
        assert_eq!(known["items"]["properties"], both);
    }

    #[test]
    fn a_literal_is_told_as_json() {
        let value = Literal::List(vec![
            Literal::Int("7".into()),
            Literal::Enum("asc".into()),
            Literal::Null,
        ]);
        assert_eq!(literal(&value), json!([7, "asc", null]));
    }
}
