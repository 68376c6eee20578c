//! `api_limits`: how much one operation, and one caller, may ask for. The administrator is not limited.

use crate::Metadata;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiLimits {
    #[serde(default)]
    pub disabled: bool,
    /// Levels of selections; root fields are the first.
    pub depth_limit: Option<Limit<u64>>,
    /// Fields with a selection of their own.
    pub node_limit: Option<Limit<u64>>,
    /// Seconds.
    pub time_limit: Option<Limit<u64>>,
    /// Operations in one request.
    pub batch_limit: Option<Limit<u64>>,
    pub rate_limit: Option<Limit<Rate>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit<T> {
    pub global: T,
    #[serde(default = "HashMap::new")]
    pub per_role: HashMap<String, T>,
}

impl<T> Limit<T> {
    pub fn of(&self, role: &str) -> &T {
        self.per_role.get(role).unwrap_or(&self.global)
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub max_reqs_per_min: u64,
    /// What is counted apart, beside the role.
    pub unique_params: Option<UniqueParams>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum UniqueParams {
    /// `IP`
    Address(Ip),
    /// Session variables.
    Variables(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Ip {
    #[serde(rename = "IP")]
    Ip,
}

impl ApiLimits {
    /// # Errors
    /// Says what of the object is no limit.
    pub fn parse(given: &Value) -> Result<Self, String> {
        ApiLimits::deserialize(given).map_err(|error| format!("these are no API limits: {error}"))
    }

    /// Those of a document; none where it has none.
    ///
    /// # Errors
    /// As [`ApiLimits::parse`].
    pub fn of(metadata: &Metadata) -> Result<Self, String> {
        match metadata.rest.get("api_limits") {
            None | Some(Value::Null) => Ok(ApiLimits::default()),
            Some(given) => ApiLimits::parse(given),
        }
    }
}
