//! Builds a role's schema from the model: only what the role may reach becomes a type.

use super::relay::{self, Node};
use super::types::{FieldDefinition, InputDefinition, Kind, TypeDefinition, named, required};
use super::{action, function, inputs, mutation, native, remote, select, stream};
use crate::model::{Cell, Inconsistency, Model, Naming, Permissions, Table};
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashMap, HashSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Select,
    ByPrimaryKey,
    Aggregate,
    Stream,
    Insert,
    InsertOne,
    Update,
    UpdateByPrimaryKey,
    UpdateMany,
    Delete,
    DeleteByPrimaryKey,
    /// Of the function at this position.
    Call(usize),
    CallAggregate(usize),
    /// Of the native query at this position.
    Native(usize),
    /// Relay's, of a table and of a function.
    Connection,
    CallConnection(usize),
    /// Relay's: any row by its global id.
    Node,
    /// Of the action at this position: its webhook is asked, or what became of an asynchronous one is told.
    Action(usize),
    ActionResult(usize),
    /// Of the remote schema at this position.
    Remote(usize),
}

#[derive(Debug, Clone, Copy)]
pub struct Root {
    pub verb: Verb,
    pub table: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    Query,
    Mutation,
    Subscription,
}

#[derive(Debug)]
pub struct RoleSchema {
    pub types: BTreeMap<String, TypeDefinition>,
    /// By type and field.
    pub roots: HashMap<String, HashMap<String, Root>>,
    /// By table position.
    pub permissions: Vec<Permissions>,
    /// May be asked what it has.
    pub open: bool,
    /// In Relay's schema: the tables whose rows have a global id.
    pub nodes: Vec<Node>,
    /// What objects the interfaces and unions of remote schemas may be.
    pub possible: HashMap<String, Vec<String>>,
    /// Scalars only remote schemas have: their values are passed on as they are.
    pub foreign: HashSet<String>,
}

impl RoleSchema {
    /// `relay`: the schema Relay asks for, with connections and nodes.
    pub fn build(model: &Model, role: &str, backend: bool, relay: bool) -> Self {
        let permissions = model
            .tables
            .iter()
            .map(|table| permissions_of(model, table, role, backend))
            .collect();
        let mut builder = Builder {
            model,
            role,
            schema: RoleSchema {
                types: BTreeMap::new(),
                roots: HashMap::new(),
                permissions,
                open: !model.closed.iter().any(|closed| closed == role),
                nodes: Vec::new(),
                possible: HashMap::new(),
                foreign: HashSet::new(),
            },
            fields: BTreeMap::new(),
            backend,
            relay,
        };
        for scalar in ["Boolean", "Float", "ID", "Int", "String"] {
            builder.scalar(scalar);
        }
        if relay {
            relay::add(&mut builder);
        }
        for (at, table) in model.tables.iter().enumerate() {
            if builder.may_select(at) {
                inputs::add(&mut builder, at, table);
                select::add(&mut builder, at, table);
                if !relay && !table.logical {
                    stream::add(&mut builder, at, table);
                }
            }
            mutation::add(&mut builder, at, table);
        }
        for at in 0..model.functions.len() {
            function::add(&mut builder, at);
        }
        if !relay {
            (0..model.natives.len()).for_each(|at| native::add(&mut builder, at));
            (0..model.actions.len()).for_each(|at| action::add(&mut builder, at));
            (0..model.remotes.len()).for_each(|at| remote::add(&mut builder, at));
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

    /// The fields of an interface.
    pub fn interface(&self, name: &str) -> Option<&IndexMap<String, FieldDefinition>> {
        match &self.types.get(name)?.kind {
            Kind::Interface(fields) => Some(fields),
            _ => None,
        }
    }

    /// The fields that may be selected of a type without knowing more.
    pub fn fields(&self, name: &str) -> Option<&IndexMap<String, FieldDefinition>> {
        self.object(name).or_else(|| self.interface(name))
    }

    /// Whether something of an interface or union may be this object.
    pub fn may_be(&self, name: &str, object: &str) -> bool {
        let possible = self.possible.get(name);
        possible.is_some_and(|possible| possible.iter().any(|one| one == object))
    }

    /// Whether rows of this type have a global id.
    pub fn is_node(&self, ty: &str) -> bool {
        self.nodes.iter().any(|node| node.ty == ty)
    }

    pub fn node_of(&self, table: usize) -> Option<&Node> {
        self.nodes.iter().find(|node| node.table == table)
    }

    pub fn root(&self, ty: &str, field: &str) -> Option<Root> {
        self.roots.get(ty)?.get(field).copied()
    }

    /// Whether a row's computed field may be read.
    pub fn may_compute(&self, table: usize, name: &str) -> bool {
        let select = self.permissions[table].select.as_ref();
        select.is_some_and(|select| select.computed.iter().any(|known| known == name))
    }

    /// In which rows a field is shown, where that is not all.
    pub fn shown_where(&self, table: usize, cell: &Cell) -> Option<&serde_json::Value> {
        self.permissions[table].select.as_ref()?.shown_where(cell)
    }
}

fn permissions_of(model: &Model, table: &Table, role: &str, backend: bool) -> Permissions {
    let mut permissions = match role {
        "admin" => Permissions::all(table),
        role => granted(model, table, role, 0),
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

/// A role's own permission, else what the roles it is made of may together.
fn granted(model: &Model, table: &Table, role: &str, depth: usize) -> Permissions {
    let own = table.permissions.get(role).cloned().unwrap_or_default();
    let Some(parents) = model.inherited.get(role).filter(|_| depth < 16) else {
        return own;
    };
    let parents: Vec<Permissions> = parents
        .iter()
        .map(|parent| granted(model, table, parent, depth + 1))
        .collect();
    let inherited = Permissions::together(&parents);
    Permissions {
        select: own.select.or(inherited.select),
        insert: own.insert.or(inherited.insert),
        update: own.update.or(inherited.update),
        delete: own.delete.or(inherited.delete),
    }
}

/// Where a role inherits what contradicts itself and says nothing of its own.
pub fn contradictions(model: &Model) -> Vec<Inconsistency> {
    let mut found = Vec::new();
    for (role, parents) in &model.inherited {
        for table in &model.tables {
            let own = table.permissions.get(role).cloned().unwrap_or_default();
            let parents: Vec<Permissions> = parents.iter().map(|parent| granted(model, table, parent, 1)).collect();
            for kind in Permissions::contradictions(&parents) {
                let overridden = match kind {
                    "insert" => own.insert.is_some(),
                    "update" => own.update.is_some(),
                    _ => own.delete.is_some(),
                };
                if !overridden {
                    let source = &model.sources[table.source].name;
                    found.push(Inconsistency::inherited(role, kind, &table.shown(), source));
                }
            }
        }
    }
    found.sort_by(|one, other| one.reason.cmp(&other.reason));
    found
}

pub(crate) struct Builder<'m> {
    pub model: &'m Model,
    pub role: &'m str,
    pub schema: RoleSchema,
    /// Root fields by operation and namespace of their source.
    fields: BTreeMap<(Operation, Option<usize>), IndexMap<String, FieldDefinition>>,
    backend: bool,
    pub relay: bool,
}

impl<'m> Builder<'m> {
    pub fn naming(&self, table: usize) -> &'m Naming {
        self.model.naming(table)
    }

    /// The name of a type of the table's: `""` is its row.
    pub fn ty(&self, table: usize, suffix: &str) -> String {
        self.model.type_name(table, suffix)
    }

    pub fn may_select(&self, table: usize) -> bool {
        self.schema.permissions[table].select.is_some()
    }

    pub fn may_aggregate(&self, table: usize) -> bool {
        let select = self.schema.permissions[table].select.as_ref();
        select.is_some_and(|select| select.aggregations)
    }

    /// The role itself and those it is made of.
    pub fn is_one_of(&self, roles: &[String]) -> bool {
        let parents = self
            .model
            .inherited
            .get(self.role)
            .map(Vec::as_slice)
            .unwrap_or_default();
        roles.iter().any(|role| role == self.role || parents.contains(role))
    }

    fn define(&mut self, name: String, description: Option<String>, kind: Kind) {
        self.schema.types.insert(name, TypeDefinition { description, kind });
    }

    pub fn scalar(&mut self, name: &str) {
        if !self.schema.types.contains_key(name) {
            self.define(name.to_owned(), None, Kind::Scalar);
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.schema.types.contains_key(name)
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
        self.define(name, Some(about).filter(|text| !text.is_empty()), Kind::Enum(values));
    }

    /// A root field of the table's source.
    pub fn root(&mut self, operation: Operation, name: String, root: Root, field: FieldDefinition) {
        let source = self.model.tables[root.table].source;
        let naming = &self.model.sources[source].naming;
        let place = naming.namespace.as_ref().map(|_| source);
        let ty = self.root_type(operation, place);
        self.fields
            .entry((operation, place))
            .or_default()
            .insert(name.clone(), field);
        self.schema.roots.entry(ty).or_default().insert(name, root);
    }

    /// A root field of no source.
    pub fn plain_root(&mut self, operation: Operation, name: String, root: Root, field: FieldDefinition) {
        let ty = self.root_type(operation, None);
        self.fields
            .entry((operation, None))
            .or_default()
            .insert(name.clone(), field);
        self.schema.roots.entry(ty).or_default().insert(name, root);
    }

    /// A root field that only holds others.
    pub fn namespace(&mut self, operation: Operation, name: String, ty: String) {
        let field = FieldDefinition::new(required(ty));
        self.fields.entry((operation, None)).or_default().insert(name, field);
    }

    /// `node`: any row by its global id.
    fn node_root(&mut self, query: &mut IndexMap<String, FieldDefinition>) {
        if self.schema.nodes.is_empty() {
            return;
        }
        let root = Root {
            verb: Verb::Node,
            table: 0,
        };
        query.insert("node".to_owned(), relay::node_field());
        let roots = self.schema.roots.entry("query_root".to_owned()).or_default();
        roots.insert("node".to_owned(), root);
    }

    pub fn interface(&mut self, name: String, about: String, fields: IndexMap<String, FieldDefinition>) {
        self.define(name, Some(about), Kind::Interface(fields));
    }

    fn root_type(&self, operation: Operation, namespaced: Option<usize>) -> String {
        let Some((source, namespace)) = namespaced.and_then(|source| {
            let namespace = self.model.sources[source].naming.namespace.as_ref()?;
            Some((source, namespace))
        }) else {
            return match operation {
                Operation::Query => "query_root",
                Operation::Mutation => "mutation_root",
                Operation::Subscription => "subscription_root",
            }
            .to_owned();
        };
        let what = match operation {
            Operation::Query => "query",
            Operation::Mutation if self.backend => "mutation_backend",
            Operation::Mutation => "mutation_frontend",
            Operation::Subscription => "subscription",
        };
        self.model.sources[source].naming.type_name(&[namespace, what])
    }

    fn finish(mut self) -> RoleSchema {
        let mut roots: BTreeMap<Operation, IndexMap<String, FieldDefinition>> = BTreeMap::new();
        for ((operation, place), mut fields) in std::mem::take(&mut self.fields) {
            fields.sort_keys();
            let Some(source) = place else {
                roots.entry(operation).or_default().extend(fields);
                continue;
            };
            let ty = self.root_type(operation, place);
            self.object(ty.clone(), String::new(), fields);
            let namespace = self.model.sources[source].naming.namespace.clone().unwrap_or_default();
            let field = FieldDefinition::new(required(ty));
            roots.entry(operation).or_default().insert(namespace, field);
        }
        roots.values_mut().for_each(IndexMap::sort_keys);
        let mut query = roots.remove(&Operation::Query).unwrap_or_default();
        if query.is_empty() {
            let about = "There are no queries available to the current role. Either there are no sources or remote \
                         schemas configured, or the current role doesn't have the required permissions.";
            let field = FieldDefinition::new(named("String")).described(about);
            query.insert("no_queries_available".to_owned(), field);
        }
        crate::introspect::add_roots(&mut query);
        if self.relay {
            self.node_root(&mut query);
        }
        self.object("query_root".to_owned(), String::new(), query);
        let mutation = roots.remove(&Operation::Mutation).unwrap_or_default();
        self.object("mutation_root".to_owned(), "mutation root".to_owned(), mutation);
        let subscription = roots.remove(&Operation::Subscription).unwrap_or_default();
        self.object("subscription_root".to_owned(), String::new(), subscription);
        self.schema
    }
}
