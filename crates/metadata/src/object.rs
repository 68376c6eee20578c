//! The name of one metadata object: what an inconsistency is about, what depends on what, what a cascade removes.

use crate::{document::Metadata, table::TableName};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObjectId {
    Source(String),
    Of { source: String, object: SourceObject },
    InheritedRole(String),
    RestEndpoint(String),
    Collection(String),
    CronTrigger(String),
    Action(String),
    RemoteSchema(String),
    CustomTypes,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SourceObject {
    Table(TableName),
    Relationship {
        table: TableName,
        name: String,
    },
    RemoteRelationship {
        table: TableName,
        name: String,
    },
    ComputedField {
        table: TableName,
        name: String,
    },
    Permission {
        table: TableName,
        role: String,
        kind: PermissionKind,
    },
    EventTrigger {
        table: TableName,
        name: String,
    },
    Function(TableName),
    FunctionPermission {
        function: TableName,
        role: String,
    },
    NativeQuery(String),
    LogicalModel(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PermissionKind {
    Insert,
    Select,
    Update,
    Delete,
}

impl PermissionKind {
    pub fn word(self) -> &'static str {
        match self {
            PermissionKind::Insert => "insert",
            PermissionKind::Select => "select",
            PermissionKind::Update => "update",
            PermissionKind::Delete => "delete",
        }
    }
}

/// As Hasura lists dependents.
impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ObjectId::Source(name) => write!(f, "source {name}"),
            ObjectId::Of { source, object } => {
                object.fmt(f)?;
                write!(f, " in source \"{source}\"")
            }
            ObjectId::InheritedRole(name) => write!(f, "inherited role {name}"),
            ObjectId::RestEndpoint(name) => write!(f, "rest endpoint {name}"),
            ObjectId::Collection(name) => write!(f, "query collection {name}"),
            ObjectId::CronTrigger(name) => write!(f, "cron trigger {name}"),
            ObjectId::Action(name) => write!(f, "action {name}"),
            ObjectId::RemoteSchema(name) => write!(f, "remote schema {name}"),
            ObjectId::CustomTypes => f.write_str("custom types"),
        }
    }
}

impl std::fmt::Display for SourceObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SourceObject::Table(table) => write!(f, "table {table}"),
            SourceObject::Relationship { table, name } => write!(f, "relationship {table}.{name}"),
            SourceObject::RemoteRelationship { table, name } => write!(f, "remote relationship {table}.{name}"),
            SourceObject::ComputedField { table, name } => write!(f, "computed field {table}.{name}"),
            SourceObject::Permission { table, role, kind } => write!(f, "permission {table}.{role}.{}", kind.word()),
            SourceObject::EventTrigger { table, name } => write!(f, "event-trigger {table}.{name}"),
            SourceObject::Function(function) => write!(f, "function {function}"),
            SourceObject::FunctionPermission { function, role } => {
                write!(f, "permission of role {role} for function {function}")
            }
            SourceObject::NativeQuery(name) => write!(f, "native query {name}"),
            SourceObject::LogicalModel(name) => write!(f, "logical model {name}"),
        }
    }
}

impl Metadata {
    /// Takes one object out, with all that is inside it.
    pub fn remove(&mut self, id: &ObjectId) {
        match id {
            ObjectId::Source(name) => self.sources.retain(|source| source.name != *name),
            ObjectId::InheritedRole(name) => self.inherited_roles.retain(|role| role.role_name != *name),
            ObjectId::RestEndpoint(name) => self.rest_endpoints.retain(|endpoint| endpoint.name != *name),
            ObjectId::Collection(name) => self.query_collections.retain(|collection| collection.name != *name),
            ObjectId::CronTrigger(name) => self.cron_triggers.retain(|trigger| trigger.name != *name),
            ObjectId::Action(name) => self.actions.retain(|action| action.name != *name),
            ObjectId::RemoteSchema(name) => self.remote_schemas.retain(|one| one.name != *name),
            ObjectId::CustomTypes => self.custom_types = crate::CustomTypes::default(),
            ObjectId::Of { source, object } => {
                if let Some(source) = self.source_mut(source) {
                    source.remove(object);
                }
            }
        }
    }
}

impl crate::Source {
    fn remove(&mut self, object: &SourceObject) {
        let named = |value: &serde_json::Value, name: &str| value["name"] == name;
        match object {
            SourceObject::Table(table) => self.tables.retain(|entry| entry.table != *table),
            SourceObject::Function(function) => self.functions.retain(|entry| entry.function != *function),
            SourceObject::NativeQuery(name) => self.native_queries.retain(|query| query.root_field_name != *name),
            SourceObject::LogicalModel(name) => self.logical_models.retain(|model| model.name != *name),
            SourceObject::FunctionPermission { function, role } => {
                for entry in self.functions.iter_mut().filter(|entry| entry.function == *function) {
                    entry.permissions.retain(|permission| permission.role != *role);
                }
            }
            SourceObject::Relationship { table, name } => {
                if let Some(entry) = self.table_mut(table) {
                    entry.object_relationships.retain(|one| one.name != *name);
                    entry.array_relationships.retain(|one| one.name != *name);
                }
            }
            SourceObject::RemoteRelationship { table, name } => {
                if let Some(entry) = self.table_mut(table) {
                    entry.remote_relationships.retain(|one| !named(one, name));
                }
            }
            SourceObject::ComputedField { table, name } => {
                if let Some(entry) = self.table_mut(table) {
                    entry.computed_fields.retain(|one| one.name != *name);
                }
            }
            SourceObject::EventTrigger { table, name } => {
                if let Some(entry) = self.table_mut(table) {
                    entry.event_triggers.retain(|one| one.name != *name);
                }
            }
            SourceObject::Permission { table, role, kind } => {
                if let Some(entry) = self.table_mut(table) {
                    entry.remove_permission(role, *kind);
                }
            }
        }
    }
}

impl crate::TableEntry {
    /// Whether there was one.
    pub fn remove_permission(&mut self, role: &str, kind: PermissionKind) -> bool {
        fn cut<P>(list: &mut Vec<crate::Permission<P>>, role: &str) -> bool {
            let before = list.len();
            list.retain(|one| one.role != role);
            list.len() < before
        }
        match kind {
            PermissionKind::Insert => cut(&mut self.insert_permissions, role),
            PermissionKind::Select => cut(&mut self.select_permissions, role),
            PermissionKind::Update => cut(&mut self.update_permissions, role),
            PermissionKind::Delete => cut(&mut self.delete_permissions, role),
        }
    }
}
