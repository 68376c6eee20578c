//! A link as its redirect needs it: loaded once, everything parsed. `options` is there only for links that want more than to
//! lead somewhere.

use super::{rule::Rule, target};
use foundation::Uuid;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub id: Uuid,
    /// The target, ready to be sent.
    #[serde(with = "location")]
    pub location: HeaderValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Box<Options>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    pub title: Option<String>,
    pub status: u16,
    #[serde(with = "time::serde::rfc3339::option")]
    pub starts_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    pub expired_url: Option<String>,
    pub limited: bool,
    pub password_hash: Option<String>,
    pub rules: Vec<Rule>,
    pub variants: Vec<Variant>,
    pub forward_query: bool,
    pub strict: bool,
    pub cache_seconds: Option<u32>,
}

/// One arm of an A/B test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub target_url: String,
    /// Its share is its weight over the sum of all.
    pub weight: u32,
}

pub const REDIRECT_COLUMNS: &str = "l.id, l.target_url, l.title, l.status, l.starts_at, l.expires_at, l.expired_url, \
    l.click_limit is not null, l.password_hash, l.rules, l.variants, l.forward_query, l.utm, l.strict, l.cache_seconds";

/// `None` where the target is no web address.
pub fn from_row(row: &postgres_chassis::Row) -> Option<Link> {
    let id: Uuid = row.get(0);
    let utm: Value = row.get(12);
    let tagged = |url: &str| target::with_utm(url, &utm).unwrap_or_else(|| url.to_owned());
    let mut rules: Vec<Rule> = list(id, "rules", row.get(9));
    rules
        .iter_mut()
        .for_each(|rule| rule.target_url = tagged(&rule.target_url));
    let mut variants: Vec<Variant> = list(id, "variants", row.get(10));
    variants
        .iter_mut()
        .for_each(|variant| variant.target_url = tagged(&variant.target_url));
    let options = Options {
        title: row.get(2),
        status: u16::try_from(row.get::<_, i16>(3)).unwrap_or(302),
        starts_at: row.get(4),
        expires_at: row.get(5),
        expired_url: row.get(6),
        limited: row.get(7),
        password_hash: row.get(8),
        rules,
        variants,
        forward_query: row.get(11),
        strict: row.get(13),
        cache_seconds: row
            .get::<_, Option<i32>>(14)
            .and_then(|seconds| u32::try_from(seconds).ok()),
    };
    let location = target::location(&tagged(row.get(1)))?;
    let options = (!options.is_plain()).then(|| Box::new(options));
    Some(Link { id, location, options })
}

/// What GraphQL or SQL wrote may be no rule; then the link leads where it would without.
fn list<T: serde::de::DeserializeOwned>(id: Uuid, what: &str, value: Value) -> Vec<T> {
    let Value::Array(items) = value else { return Vec::new() };
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        match serde_json::from_value(item) {
            Ok(item) => read.push(item),
            Err(error) => tracing::warn!(link = %id, what, %error, "part of a link cannot be read and is left out"),
        }
    }
    read
}

impl Options {
    fn is_plain(&self) -> bool {
        self.status == 302
            && self.starts_at.is_none()
            && self.expires_at.is_none()
            && !self.limited
            && self.password_hash.is_none()
            && self.rules.is_empty()
            && self.variants.is_empty()
            && !self.forward_query
            && !self.strict
            && self.cache_seconds.is_none()
    }
}

mod location {
    use http::HeaderValue;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &HeaderValue, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.to_str().unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderValue, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        HeaderValue::from_str(&text).map_err(D::Error::custom)
    }
}
