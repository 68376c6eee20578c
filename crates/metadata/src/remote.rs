//! Remote schemas: other GraphQL servers whose root fields stand beside ours.

use crate::trigger::Header;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RemoteSchema {
    pub name: String,
    pub definition: RemoteDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote_relationships: Vec<Value>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Where it is and what it is sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RemoteDefinition {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from_env: Option<String>,
    /// 60 without a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward_client_headers: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customization: Option<RemoteCustomization>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How its names look here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RemoteCustomization {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_fields_namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_names: Option<RemoteNames>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field_names: Vec<RemoteFieldNames>,
}

/// A mapping wins over prefix and suffix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RemoteNames {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub mapping: Map<String, Value>,
}

impl RemoteNames {
    pub fn shown(&self, name: &str) -> String {
        match self.mapping.get(name).and_then(Value::as_str) {
            Some(mapped) => mapped.to_owned(),
            None => format!(
                "{}{name}{}",
                self.prefix.as_deref().unwrap_or_default(),
                self.suffix.as_deref().unwrap_or_default()
            ),
        }
    }
}

/// Of the fields of one of its types.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RemoteFieldNames {
    pub parent_type: String,
    #[serde(flatten)]
    pub names: RemoteNames,
}
