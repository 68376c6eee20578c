//! Hasura's metadata, version 3, as types. What the engine does not act on is kept word for word, so that an export
//! gives back what was imported.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    pub version: u32,
    #[serde(default)]
    pub sources: Vec<Source>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub tables: Vec<TableEntry>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableEntry {
    pub table: TableName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<TableConfiguration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub object_relationships: Vec<Relationship>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub array_relationships: Vec<Relationship>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub insert_permissions: Vec<Permission<InsertPermission>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select_permissions: Vec<Permission<SelectPermission>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub update_permissions: Vec<Permission<UpdatePermission>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delete_permissions: Vec<Permission<DeletePermission>>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `name` alone means schema `public`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "WrittenTableName")]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenTableName {
    Short(String),
    Full { schema: Option<String>, name: String },
}

impl From<WrittenTableName> for TableName {
    fn from(written: WrittenTableName) -> Self {
        let (schema, name) = match written {
            WrittenTableName::Short(name) => (None, name),
            WrittenTableName::Full { schema, name } => (schema, name),
        };
        TableName {
            schema: schema.unwrap_or_else(|| "public".to_owned()),
            name,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableConfiguration {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_name: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub custom_root_fields: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub column_config: Map<String, Value>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relationship {
    pub name: String,
    pub using: Using,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Using {
    ForeignKeyConstraintOn(ForeignKeyOn),
    ManualConfiguration {
        remote_table: TableName,
        column_mapping: Map<String, Value>,
        #[serde(flatten)]
        rest: Map<String, Value>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ForeignKeyOn {
    Column(String),
    Columns(Vec<String>),
    Remote {
        table: TableName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permission<P> {
    pub role: String,
    pub permission: P,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `"*"` or a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Columns {
    Star(String),
    List(Vec<String>),
}

impl Default for Columns {
    fn default() -> Self {
        Columns::List(Vec::new())
    }
}

impl Columns {
    pub fn holds(&self, column: &str) -> bool {
        match self {
            Columns::Star(star) => star == "*",
            Columns::List(names) => names.iter().any(|name| name == column),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SelectPermission {
    #[serde(default)]
    pub columns: Columns,
    #[serde(default)]
    pub filter: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_aggregations: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InsertPermission {
    #[serde(default)]
    pub check: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backend_only: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdatePermission {
    #[serde(default)]
    pub columns: Columns,
    #[serde(default)]
    pub filter: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backend_only: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeletePermission {
    #[serde(default)]
    pub filter: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backend_only: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
