//! The whole document, version 3, and what stands beside the tables in it. What we do not act on is kept word for word,
//! so that an export gives back what was imported.

use crate::{
    action::{Action, CustomTypes},
    native::{LogicalModel, NativeQuery},
    remote::RemoteSchema,
    table::{TableEntry, TableName},
    trigger::CronTrigger,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    pub version: u32,
    #[serde(default)]
    pub sources: Vec<Source>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote_schemas: Vec<RemoteSchema>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query_collections: Vec<QueryCollection>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowlist: Vec<AllowedCollection>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherited_roles: Vec<InheritedRole>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest_endpoints: Vec<RestEndpoint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cron_triggers: Vec<CronTrigger>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    #[serde(default, skip_serializing_if = "CustomTypes::is_empty")]
    pub custom_types: CustomTypes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graphql_schema_introspection: Option<SchemaIntrospection>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Default for Metadata {
    fn default() -> Self {
        Metadata {
            version: 3,
            sources: Vec::new(),
            remote_schemas: Vec::new(),
            query_collections: Vec::new(),
            allowlist: Vec::new(),
            inherited_roles: Vec::new(),
            rest_endpoints: Vec::new(),
            cron_triggers: Vec::new(),
            actions: Vec::new(),
            custom_types: CustomTypes::default(),
            graphql_schema_introspection: None,
            rest: Map::new(),
        }
    }
}

/// One database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    #[serde(default = "postgres")]
    pub kind: String,
    #[serde(default)]
    pub tables: Vec<TableEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<FunctionEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub native_queries: Vec<NativeQuery>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logical_models: Vec<LogicalModel>,
    #[serde(default)]
    pub configuration: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customization: Option<Customization>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn postgres() -> String {
    "postgres".to_owned()
}

/// How a source's names look in GraphQL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Customization {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_fields: Option<RootFields>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_names: Option<Affixes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naming_convention: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RootFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(flatten)]
    pub affixes: Affixes,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Affixes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
}

/// A tracked function: a root field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionEntry {
    pub function: TableName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<FunctionConfiguration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<FunctionPermission>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionConfiguration {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_name: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub custom_root_fields: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_argument: Option<String>,
    /// `query` or `mutation`; without it the volatility decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_as: Option<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionPermission {
    pub role: String,
}

/// A role that may do what any of its set may.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InheritedRole {
    pub role_name: String,
    pub role_set: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryCollection {
    pub name: String,
    pub definition: CollectionDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectionDefinition {
    pub queries: Vec<ListedQuery>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListedQuery {
    pub name: String,
    pub query: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllowedCollection {
    pub collection: String,
    #[serde(default = "everybody")]
    pub scope: AllowScope,
}

fn everybody() -> AllowScope {
    AllowScope {
        global: true,
        roles: None,
    }
}

/// For everybody, or for the named roles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AllowScope {
    #[serde(default)]
    pub global: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
}

/// A listed query as a path under `/api/rest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestEndpoint {
    pub name: String,
    pub url: String,
    pub methods: Vec<String>,
    pub definition: RestDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestDefinition {
    pub query: RestQuery,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestQuery {
    pub collection_name: String,
    pub query_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SchemaIntrospection {
    #[serde(default)]
    pub disabled_for_roles: Vec<String>,
}

impl Metadata {
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    pub fn source_mut(&mut self, name: &str) -> Option<&mut Source> {
        self.sources.iter_mut().find(|source| source.name == name)
    }
}

impl Source {
    pub fn table(&self, name: &TableName) -> Option<&TableEntry> {
        self.tables.iter().find(|entry| entry.table == *name)
    }

    pub fn table_mut(&mut self, name: &TableName) -> Option<&mut TableEntry> {
        self.tables.iter_mut().find(|entry| entry.table == *name)
    }
}
