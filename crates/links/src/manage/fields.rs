//! A link's fields as a caller sends them, for making and for changing one. In a change, what is left out stays and `null`
//! takes back.

use crate::redirect::{link::Variant, rule::Rule};
use foundation::Uuid;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// Made for you when it is left out
    pub slug: Option<String>,
    pub target_url: Option<String>,
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    pub title: Option<Option<String>>,
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    pub is_active: Option<bool>,
    pub metadata: Option<Value>,
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<Uuid>)]
    pub organization_id: Option<Option<Uuid>>,
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<Uuid>)]
    pub domain_id: Option<Option<Uuid>>,
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<Uuid>)]
    pub folder_id: Option<Option<Uuid>>,
    /// 301, 302, 307 or 308
    pub status: Option<u16>,
    #[serde(deserialize_with = "told_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Option<OffsetDateTime>>,
    #[serde(deserialize_with = "told_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Option<OffsetDateTime>>,
    /// Where visitors go when it has expired; else they are told
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    pub expired_url: Option<Option<String>>,
    /// Visits by people; previews and machines are free
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<i32>)]
    pub click_limit: Option<Option<i32>>,
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    pub password: Option<Option<String>>,
    pub rules: Option<Vec<Rule>>,
    pub variants: Option<Vec<Variant>>,
    pub forward_query: Option<bool>,
    /// `source`, `medium`, `campaign`, `term`, `content`
    pub utm: Option<Value>,
    /// Instead of `utm`: one of your templates
    pub utm_template_id: Option<Uuid>,
    /// Each click is on the disk before its visitor goes on
    pub strict: Option<bool>,
    /// Lets browsers and CDNs remember the redirect, whose clicks are then not seen
    #[serde(deserialize_with = "told")]
    #[schema(value_type = Option<i32>)]
    pub cache_seconds: Option<Option<i32>>,
    /// Replaces all; tags that are not there yet are made
    pub tags: Option<Vec<String>>,
}

/// `Some(None)` is a `null`.
pub fn told<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn told_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<OffsetDateTime>>, D::Error> {
    time::serde::rfc3339::option::deserialize(deserializer).map(Some)
}
