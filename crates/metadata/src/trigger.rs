//! What calls webhooks: changes of a table, and the clock.

use crate::permission::Columns;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Changes of a table that a webhook is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EventTrigger {
    pub name: String,
    pub definition: Operations,
    #[serde(default)]
    pub retry_conf: RetryConf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_from_env: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_transform: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_transform: Option<Value>,
    /// Whether rows that arrive by replication count too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trigger_on_replication: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Which changes; at least one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Operations {
    /// Whether `invoke_event_trigger` may be called.
    #[serde(default)]
    pub enable_manual: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insert: Option<Watched>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Watched>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Watched>,
}

impl Operations {
    /// With PostgreSQL's word for each.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &Watched)> {
        let all = [
            ("INSERT", &self.insert),
            ("UPDATE", &self.update),
            ("DELETE", &self.delete),
        ];
        all.into_iter()
            .filter_map(|(word, watched)| Some((word, watched.as_ref()?)))
    }

    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut Watched> {
        [&mut self.insert, &mut self.update, &mut self.delete]
            .into_iter()
            .flatten()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// An update counts when one of these has another value.
    pub columns: Columns,
    /// What the webhook is told; without it every column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Columns>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryConf {
    pub num_retries: u32,
    pub interval_sec: u32,
    #[serde(deserialize_with = "absent_is_a_minute")]
    pub timeout_sec: u32,
}

impl Default for RetryConf {
    fn default() -> Self {
        RetryConf {
            num_retries: 0,
            interval_sec: 10,
            timeout_sec: 60,
        }
    }
}

/// Sent with every call: a value, or where to find it in the environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from_env: Option<String>,
}

/// Times at which a webhook is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CronTrigger {
    pub name: String,
    pub webhook: String,
    /// Five fields, in UTC.
    pub schedule: String,
    /// Whether it is part of an export.
    #[serde(default = "yes")]
    pub include_in_metadata: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_conf: Option<ScheduleRetryConf>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "absent_is_default"
    )]
    pub headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_transform: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_transform: Option<Value>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleRetryConf {
    pub num_retries: u32,
    pub retry_interval_seconds: u32,
    pub timeout_seconds: u32,
    /// A call that is later than this is not made any more.
    pub tolerance_seconds: u32,
}

impl Default for ScheduleRetryConf {
    fn default() -> Self {
        ScheduleRetryConf {
            num_retries: 0,
            retry_interval_seconds: 10,
            timeout_seconds: 60,
            tolerance_seconds: 21_600,
        }
    }
}

fn yes() -> bool {
    true
}

/// Null is as good as nothing.
pub(crate) fn absent_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    given: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_default())
}

fn absent_is_a_minute<'de, D: Deserializer<'de>>(given: D) -> Result<u32, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or(60))
}
