//! Builds a role's schema from the model: only what the role may reach becomes a type.

use super::types::{FieldDefinition, InputDefinition, Kind, TypeDefinition, named};
use super::{inputs, mutation, select};
use crate::model::{Model, Permissions, Table};
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Select,
    ByPrimaryKey,
    Aggregate,
    Insert,
    InsertOne,
    Update,
    UpdateByPrimaryKey,
    UpdateMany,
    Delete,
    DeleteByPrimaryKey,
}

#[derive(Debug, Clone, Copy)]
pub struct Root {
    pub verb: Verb,
    pub table: usize,
}

#[derive(Debug)]
pub struct RoleSchema {
    pub types: BTreeMap<String, TypeDefinition>,
    pub queries: HashMap<String, Root>,
    pub mutations: HashMap<String, Root>,
    /// By table position.
    pub permissions: Vec<Permissions>,
}

impl RoleSchema {
    pub fn build(model: &Model, role: &str, backend: bool) -> Self {
        let permissions = model
            .tables
            .iter()
            .map(|table| permissions_of(table, role, backend))
            .collect();
        let mut builder = Builder {
            model,
            schema: RoleSchema {
                types: BTreeMap::new(),
                queries: HashMap::new(),
                mutations: HashMap::new(),
                permissions,
            },
            query_fields: IndexMap::new(),
            mutation_fields: IndexMap::new(),
        };
        for scalar in ["Boolean", "Float", "ID", "Int", "String"] {
            builder.scalar(scalar);
        }
        for (at, table) in model.tables.iter().enumerate() {
            if builder.schema.permissions[at].select.is_some() {
                inputs::add(&mut builder, at, table);
                select::add(&mut builder, at, table);
            }
            mutation::add(&mut builder, at, table);
        }
        crate::introspect::add_types(&mut builder);
        builder.finish()
    }

    pub fn object(&self, name: &str) -> Option<&IndexMap<String, FieldDefinition>> {
        match &self.types.get(name)?.kind {
            Kind::Object(fields) => Some(fields),
            _ => None,
        }
    }
}

fn permissions_of(table: &Table, role: &str, backend: bool) -> Permissions {
    let mut permissions = match role {
        "admin" => Permissions::all(table.columns.len()),
        role => table.permissions.get(role).cloned().unwrap_or_default(),
    };
    let allowed = |backend_only: bool| backend || !backend_only;
    permissions.insert = permissions
        .insert
        .filter(|insert| table.insertable && allowed(insert.backend_only));
    permissions.update = permissions
        .update
        .filter(|update| table.updatable && allowed(update.backend_only));
    permissions.delete = permissions
        .delete
        .filter(|delete| table.deletable && allowed(delete.backend_only));
    permissions
}

pub(crate) struct Builder<'m> {
    pub model: &'m Model,
    pub schema: RoleSchema,
    pub query_fields: IndexMap<String, FieldDefinition>,
    pub mutation_fields: IndexMap<String, FieldDefinition>,
}

impl Builder<'_> {
    pub fn may_select(&self, table: usize) -> bool {
        self.schema.permissions[table].select.is_some()
    }

    pub fn may_aggregate(&self, table: usize) -> bool {
        self.schema.permissions[table]
            .select
            .as_ref()
            .is_some_and(|select| select.aggregations)
    }

    fn define(&mut self, name: String, description: Option<String>, kind: Kind) {
        self.schema.types.insert(name, TypeDefinition { description, kind });
    }

    pub fn scalar(&mut self, name: &str) {
        if !self.schema.types.contains_key(name) {
            self.define(name.to_owned(), None, Kind::Scalar);
        }
    }

    /// Types without fields do not exist in GraphQL; says whether there is one now.
    pub fn object(&mut self, name: String, about: String, fields: IndexMap<String, FieldDefinition>) -> bool {
        let some = !fields.is_empty();
        if some {
            self.define(name, Some(about).filter(|text| !text.is_empty()), Kind::Object(fields));
        }
        some
    }

    pub fn input(&mut self, name: String, about: String, fields: IndexMap<String, InputDefinition>) -> bool {
        let some = !fields.is_empty();
        if some {
            self.define(name, Some(about).filter(|text| !text.is_empty()), Kind::Input(fields));
        }
        some
    }

    pub fn enumeration(&mut self, name: String, about: String, values: Vec<(String, String)>) {
        self.define(name, Some(about), Kind::Enum(values));
    }

    pub fn query(&mut self, name: String, root: Root, field: FieldDefinition) {
        self.query_fields.insert(name.clone(), field);
        self.schema.queries.insert(name, root);
    }

    pub fn mutation(&mut self, name: String, root: Root, field: FieldDefinition) {
        self.mutation_fields.insert(name.clone(), field);
        self.schema.mutations.insert(name, root);
    }

    fn finish(mut self) -> RoleSchema {
        self.query_fields.sort_keys();
        self.mutation_fields.sort_keys();
        let mut query = std::mem::take(&mut self.query_fields);
        let mutation = std::mem::take(&mut self.mutation_fields);
        if query.is_empty() {
            let about = "There are no queries available to the current role. Either there are no sources or remote \
                         schemas configured, or the current role doesn't have the required permissions.";
            let field = FieldDefinition::new(named("String")).described(about);
            query.insert("no_queries_available".to_owned(), field);
        } else {
            self.object("subscription_root".to_owned(), String::new(), query.clone());
        }
        crate::introspect::add_roots(&mut query);
        self.object("query_root".to_owned(), String::new(), query);
        self.object("mutation_root".to_owned(), "mutation root".to_owned(), mutation);
        self.schema
    }
}
