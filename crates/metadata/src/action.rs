//! Actions: root fields a webhook answers, and the types of their inputs and outputs.

use crate::{
    TableName,
    trigger::{Header, absent_is_default},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub name: String,
    pub definition: ActionDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<ActionPermission>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionDefinition {
    pub handler: String,
    pub output_type: String,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub arguments: Vec<ActionArgument>,
    /// `mutation` or `query`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// `synchronous` or `asynchronous`, of mutations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward_client_headers: bool,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_transform: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_transform: Option<Value>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ActionDefinition {
    pub fn is_query(&self) -> bool {
        self.operation.as_deref() == Some("query")
    }

    pub fn is_asynchronous(&self) -> bool {
        !self.is_query() && self.kind.as_deref() == Some("asynchronous")
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionArgument {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionPermission {
    pub role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomTypes {
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub input_objects: Vec<InputObject>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub objects: Vec<OutputObject>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub scalars: Vec<CustomScalar>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub enums: Vec<CustomEnum>,
}

impl CustomTypes {
    pub fn is_empty(&self) -> bool {
        *self == CustomTypes::default()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InputObject {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub fields: Vec<CustomField>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputObject {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub fields: Vec<CustomField>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub relationships: Vec<OutputRelationship>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomField {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// From an output object to rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputRelationship {
    pub name: String,
    /// `object` or `array`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default = "default_source")]
    pub source: String,
    pub remote_table: TableName,
    /// Field to column.
    pub field_mapping: Map<String, Value>,
}

fn default_source() -> String {
    "default".to_owned()
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomScalar {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomEnum {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub values: Vec<CustomEnumValue>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomEnumValue {
    pub value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_deprecated: Option<bool>,
}
