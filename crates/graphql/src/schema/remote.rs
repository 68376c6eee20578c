//! Remote schemas: from what another server says of itself to types and root fields of ours (docs/decisions/0012).

use super::role::{Builder, Operation, RoleSchema, Root, Verb};
use super::types::{FieldDefinition, InputDefinition, Kind, TypeDefinition, named};
use crate::model::{Inconsistency, Model, Remote, is_graphql_name};
use crate::syntax::TypeRef;
use indexmap::IndexMap;
use metadata::{Metadata, RemoteCustomization, RemoteSchema};
use serde_json::{Value, json};

/// What a server is asked about itself.
pub const REMOTE_INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name } \
subscriptionType { name } types { kind name description fields(includeDeprecated: true) { name description \
args { name description type { ...TypeRef } defaultValue } type { ...TypeRef } isDeprecated deprecationReason } \
inputFields { name description type { ...TypeRef } defaultValue } interfaces { ...TypeRef } \
enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } } } } \
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

const SHARED: [&str; 5] = ["Boolean", "Float", "ID", "Int", "String"];

/// Takes up those that fit beside what is there already; the others are told.
pub fn add_remotes(model: &mut Model, read: &[crate::Remote<'_>], metadata: &Metadata, wrong: &mut Vec<Inconsistency>) {
    for written in &metadata.remote_schemas {
        let Some(found) = read.iter().find(|one| one.name == written.name) else {
            continue;
        };
        let outcome = resolve(written, found.introspected).and_then(|made| fits(model, &made).map(|()| made));
        match outcome {
            Ok(made) => model.remotes.push(made),
            Err(reason) => wrong.push(Inconsistency {
                kind: "remote_schema",
                name: format!("remote_schema {}", written.name),
                reason: format!("Inconsistent object: {reason}"),
                definition: json!(written),
            }),
        }
    }
}

/// Whether its names are free. Types that are the same may be shared.
fn fits(model: &Model, remote: &Remote) -> Result<(), String> {
    let known = RoleSchema::build(model, "admin", true, false);
    for (name, definition) in &remote.types {
        let Some(other) = known.types.get(name) else {
            continue;
        };
        let scalars = matches!((&definition.kind, &other.kind), (Kind::Scalar, Kind::Scalar));
        if !scalars && other != definition {
            return Err(format!("Found conflicting definitions for GraphQL type '{name}'"));
        }
    }
    for (root, ty) in [("query_root", &remote.query), ("mutation_root", &remote.mutation)] {
        let (Some(ty), Some(taken)) = (ty, known.object(root)) else {
            continue;
        };
        let names: Vec<&String> = match (&remote.namespace, remote.types.get(ty).map(|ty| &ty.kind)) {
            (Some(namespace), _) => vec![namespace],
            (None, Some(Kind::Object(fields))) => fields.keys().collect(),
            _ => Vec::new(),
        };
        let twice: Vec<String> = names
            .into_iter()
            .filter(|name| taken.contains_key(*name))
            .map(|name| format!("'{name}'"))
            .collect();
        if !twice.is_empty() {
            return Err(format!(
                "Encountered conflicting definitions in the selection set for '{root}' for fields: [{}]. Fields must not \
                 be defined more than once across all sources.",
                twice.join(", ")
            ));
        }
    }
    Ok(())
}

fn resolve(written: &RemoteSchema, introspected: &Value) -> Result<Remote, String> {
    let customization = written.definition.customization.clone().unwrap_or_default();
    let root = |kind: &str| introspected[kind]["name"].as_str();
    let query = root("queryType").ok_or("the remote schema has no query type")?;
    let mut reader = Reader {
        remote: Remote::new(&written.name, customization.root_fields_namespace.clone()),
        customization,
    };
    for ty in introspected["types"].as_array().into_iter().flatten() {
        let name = ty["name"].as_str().unwrap_or_default();
        if name.starts_with("__") || SHARED.contains(&name) {
            continue;
        }
        reader.add(name, ty)?;
    }
    reader.remote.query = Some(reader.shown(query));
    reader.remote.mutation = root("mutationType").map(|name| reader.shown(name));
    reader.check()?;
    Ok(reader.remote)
}

struct Reader {
    remote: Remote,
    customization: RemoteCustomization,
}

impl Reader {
    fn shown(&self, name: &str) -> String {
        match &self.customization.type_names {
            Some(names) if !SHARED.contains(&name) && !name.starts_with("__") => names.shown(name),
            _ => name.to_owned(),
        }
    }

    fn add(&mut self, there: &str, ty: &Value) -> Result<(), String> {
        let name = self.shown(there);
        if !is_graphql_name(&name) {
            return Err(format!("the type \"{name}\" has no GraphQL name"));
        }
        self.remote.rename_type(&name, there);
        let kind = match ty["kind"].as_str().unwrap_or_default() {
            "SCALAR" => {
                self.remote.foreign.insert(name.clone());
                Kind::Scalar
            }
            "ENUM" => {
                let values = ty["enumValues"].as_array().into_iter().flatten();
                Kind::Enum(
                    values
                        .map(|value| (text(value, "name"), text(value, "description")))
                        .collect(),
                )
            }
            "INPUT_OBJECT" => Kind::Input(self.inputs(&ty["inputFields"])?),
            "OBJECT" => Kind::Object(self.fields(there, &name, ty)?),
            "INTERFACE" => {
                self.possible(&name, ty);
                Kind::Interface(self.fields(there, &name, ty)?)
            }
            "UNION" => {
                self.possible(&name, ty);
                Kind::Union
            }
            other => return Err(format!("the type \"{there}\" is of the unknown kind '{other}'")),
        };
        let description = ty["description"].as_str().filter(|text| !text.is_empty());
        let definition = TypeDefinition {
            description: description.map(str::to_owned),
            kind,
        };
        match self.remote.types.insert(name.clone(), definition) {
            None => Ok(()),
            Some(_) => Err(format!("two types would be called \"{name}\"")),
        }
    }

    fn possible(&mut self, name: &str, ty: &Value) {
        let possible = ty["possibleTypes"].as_array().into_iter().flatten();
        let mut names: Vec<String> = possible
            .filter_map(|one| one["name"].as_str())
            .map(|name| self.shown(name))
            .collect();
        names.sort();
        self.remote.possible.insert(name.to_owned(), names);
    }

    fn fields(&mut self, there: &str, name: &str, ty: &Value) -> Result<IndexMap<String, FieldDefinition>, String> {
        let customized = self
            .customization
            .field_names
            .iter()
            .find(|one| one.parent_type == there);
        let customized = customized.map(|one| one.names.clone());
        let mut fields = IndexMap::new();
        for field in ty["fields"].as_array().into_iter().flatten() {
            let own = text(field, "name");
            let shown = customized
                .as_ref()
                .map_or_else(|| own.clone(), |names| names.shown(&own));
            if !is_graphql_name(&shown) {
                return Err(format!("the field \"{shown}\" of type \"{name}\" has no GraphQL name"));
            }
            self.remote.rename_field(name, &shown, &own);
            let definition = FieldDefinition {
                ty: self.ty(&field["type"])?,
                arguments: self.inputs(&field["args"])?,
                description: None,
            };
            let definition = definition.described(text(field, "description"));
            if fields.insert(shown.clone(), definition).is_some() {
                return Err(format!("two fields of type \"{name}\" would be called \"{shown}\""));
            }
        }
        Ok(fields)
    }

    fn inputs(&self, given: &Value) -> Result<IndexMap<String, InputDefinition>, String> {
        let mut inputs = IndexMap::new();
        for one in given.as_array().into_iter().flatten() {
            let mut definition = InputDefinition::new(self.ty(&one["type"])?).described(text(one, "description"));
            definition.default = one["defaultValue"].as_str().map(|text| text.to_owned().into());
            inputs.insert(text(one, "name"), definition);
        }
        Ok(inputs)
    }

    fn ty(&self, given: &Value) -> Result<TypeRef, String> {
        match given["kind"].as_str() {
            Some("NON_NULL") => Ok(self.ty(&given["ofType"])?.required()),
            Some("LIST") => Ok(TypeRef::list(self.ty(&given["ofType"])?)),
            Some(_) => Ok(named(self.shown(given["name"].as_str().unwrap_or_default()))),
            None => Err("a type is wrapped deeper than introspection shows".to_owned()),
        }
    }

    /// Every type that is spoken of is there.
    fn check(&self) -> Result<(), String> {
        let known = |ty: &TypeRef| self.remote.types.contains_key(ty.base()) || SHARED.contains(&ty.base());
        let mut spoken: Vec<&TypeRef> = Vec::new();
        for definition in self.remote.types.values() {
            match &definition.kind {
                Kind::Object(fields) | Kind::Interface(fields) => {
                    for field in fields.values() {
                        spoken.push(&field.ty);
                        spoken.extend(field.arguments.values().map(|argument| &argument.ty));
                    }
                }
                Kind::Input(fields) => spoken.extend(fields.values().map(|field| &field.ty)),
                _ => {}
            }
        }
        match spoken.into_iter().find(|ty| !known(ty)) {
            Some(ty) => Err(format!("Could not find type with name \"{}\"", ty.base())),
            None => Ok(()),
        }
    }
}

fn text(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}

pub fn add(builder: &mut Builder<'_>, at: usize) {
    let model = builder.model;
    let remote = &model.remotes[at];
    if model.options.remote_schema_permissions && builder.role != "admin" {
        return;
    }
    let roots = [&remote.query, &remote.mutation];
    for (name, definition) in &remote.types {
        if !builder.has(name) && !roots.contains(&&Some(name.clone())) {
            if remote.foreign.contains(name) {
                builder.schema.foreign.insert(name.clone());
            }
            builder.schema.types.insert(name.clone(), definition.clone());
        }
    }
    builder.schema.possible.extend(remote.possible.clone());
    for (operation, ty) in [
        (Operation::Query, &remote.query),
        (Operation::Mutation, &remote.mutation),
    ] {
        let definition = ty.as_ref().and_then(|ty| Some((ty, remote.types.get(ty)?)));
        let Some((ty, Kind::Object(fields))) = definition.map(|(ty, definition)| (ty, &definition.kind)) else {
            continue;
        };
        let root = Root {
            verb: Verb::Remote(at),
            table: 0,
        };
        let Some(namespace) = &remote.namespace else {
            for (name, field) in fields {
                builder.plain_root(operation, name.clone(), root, field.clone());
            }
            continue;
        };
        builder.object(ty.clone(), String::new(), fields.clone());
        let held = fields.keys().map(|name| (name.clone(), root)).collect();
        builder.schema.roots.insert(ty.clone(), held);
        builder.namespace(operation, namespace.clone(), ty.clone());
    }
}
