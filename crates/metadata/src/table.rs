//! A tracked table: its names, relationships, computed fields and permissions.

use crate::{
    permission::{DeletePermission, InsertPermission, Permission, SelectPermission, UpdatePermission},
    trigger::EventTrigger,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableEntry {
    pub table: TableName,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_enum: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<TableConfiguration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub object_relationships: Vec<Relationship>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub array_relationships: Vec<Relationship>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computed_fields: Vec<ComputedField>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote_relationships: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub insert_permissions: Vec<Permission<InsertPermission>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select_permissions: Vec<Permission<SelectPermission>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub update_permissions: Vec<Permission<UpdatePermission>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delete_permissions: Vec<Permission<DeletePermission>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_triggers: Vec<EventTrigger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apollo_federation_config: Option<Value>,
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

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.schema.as_str() {
            "public" => f.write_str(&self.name),
            schema => write!(f, "{schema}.{}", self.name),
        }
    }
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
    pub comment: Option<String>,
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
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "one_or_many")]
        columns: Option<Vec<String>>,
    },
}

/// A function of the row, shown as a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputedField {
    pub name: String,
    pub definition: ComputedFieldDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputedFieldDefinition {
    pub function: TableName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_argument: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_argument: Option<String>,
}

/// A lone name stands for a list of one.
fn one_or_many<'de, D: serde::Deserializer<'de>>(given: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<Written>::deserialize(given)?.map(|written| match written {
        Written::One(name) => vec![name],
        Written::Many(names) => names,
    }))
}
