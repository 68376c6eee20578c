//! What a role may do with a table.

use crate::trigger::Header;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permission<P> {
    pub role: String,
    pub permission: P,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computed_fields: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_aggregations: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_root_fields: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_root_fields: Option<Vec<String>>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_input: Option<InputValidation>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_input: Option<InputValidation>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeletePermission {
    #[serde(default)]
    pub filter: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backend_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_input: Option<InputValidation>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A webhook that may refuse what is to be written, before it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputValidation {
    /// `http`.
    #[serde(rename = "type")]
    pub kind: String,
    pub definition: ValidationWebhook,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidationWebhook {
    pub url: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward_client_headers: bool,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
