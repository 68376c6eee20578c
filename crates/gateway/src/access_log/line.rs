//! One request as a line: in the Common Log Format with Traefik's additions, or as JSON with its field names.

use super::{Mode, Settings};
use crate::{exchange::Exchange, meter::Scope};
use http::{HeaderMap, HeaderName, Method, Version, header};
use serde_json::{Map, Value, json};
use std::{fmt::Write, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// What must be kept of a request until its answer is there.
#[derive(Default)]
pub struct Logged {
    pub headers: HeaderMap,
    /// The target as the client wrote it.
    pub target: String,
    pub request_size: u64,
    /// Beyond the first.
    pub retries: u32,
    /// What the server answered, and how long it took.
    pub origin: Option<(u16, Duration)>,
}

pub struct Line<'a> {
    pub exchange: &'a Exchange,
    pub logged: &'a Logged,
    pub scope: &'a Scope,
    pub method: &'a Method,
    pub version: Version,
    pub status: u16,
    pub took: Duration,
    pub content_size: u64,
    pub response_headers: &'a HeaderMap,
}

impl Line<'_> {
    pub fn common(&self, settings: &Settings, count: u64) -> String {
        let field = |name: &str, value: String| match settings.fields.of(name) {
            Mode::Keep => value,
            Mode::Drop => "-".into(),
            Mode::Redact => "REDACTED".into(),
        };
        let header = |name: HeaderName| {
            let value = self.logged.headers.get(&name).and_then(|value| value.to_str().ok());
            match settings.headers.of(name.as_str()) {
                Mode::Redact => "REDACTED".into(),
                // The format has these two whether or not headers are kept otherwise.
                _ => value.unwrap_or("-").replace('"', "\\\""),
            }
        };
        let date = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        let started = OffsetDateTime::now_utc() - self.took;
        let user = self.exchange.username.as_deref().unwrap_or("-");
        let mut line = String::with_capacity(256);
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            "{} - {} [{}] \"{} {} {:?}\" {} {} \"{}\" \"{}\" {count} \"{}\" \"{}\" {}ms",
            field("ClientHost", self.exchange.ip().to_string()),
            field("ClientUsername", user.to_owned()),
            field("StartUTC", started.format(date).unwrap_or_default()),
            field("RequestMethod", self.method.to_string()),
            field("RequestPath", self.logged.target.clone()),
            self.version,
            field("DownstreamStatus", self.status.to_string()),
            field("DownstreamContentSize", self.content_size.to_string()),
            header(header::REFERER),
            header(header::USER_AGENT),
            field("RouterName", self.router().unwrap_or("-").to_owned()),
            field("ServiceURL", self.exchange.server.as_deref().unwrap_or("-").to_owned()),
            self.took.as_millis(),
        );
        line
    }

    pub fn json(&self, settings: &Settings, count: u64) -> String {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| {
            match settings.fields.of(name) {
                Mode::Keep => drop(map.insert(name.to_owned(), value)),
                Mode::Redact => drop(map.insert(name.to_owned(), "REDACTED".into())),
                Mode::Drop => {}
            };
        };
        let now = OffsetDateTime::now_utc();
        let stamp = |at: OffsetDateTime| json!(at.format(&Rfc3339).unwrap_or_default());
        let peer = self.exchange.peer.address;
        let nanos = |took: Duration| json!(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let host = self
            .logged
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or(&self.exchange.host);
        let port = host.rsplit_once(':').map_or("-", |(_, port)| port);
        put("ClientAddr", json!(peer.to_string()));
        put("ClientHost", json!(peer.ip().to_string()));
        put("ClientPort", json!(peer.port().to_string()));
        put(
            "ClientUsername",
            json!(self.exchange.username.as_deref().unwrap_or("-")),
        );
        put("DownstreamContentSize", json!(self.content_size));
        put("DownstreamStatus", json!(self.status));
        put("Duration", nanos(self.took));
        if let Some((status, took)) = self.logged.origin {
            put("OriginContentSize", json!(self.content_size));
            put("OriginDuration", nanos(took));
            put("OriginStatus", json!(status));
            put("Overhead", nanos(self.took.saturating_sub(took)));
        }
        put("RequestAddr", json!(host));
        put("RequestContentSize", json!(self.logged.request_size));
        put("RequestCount", json!(count));
        put("RequestHost", json!(&*self.exchange.host));
        put("RequestMethod", json!(self.method.as_str()));
        put("RequestPath", json!(self.logged.target));
        put("RequestPort", json!(port));
        put("RequestProtocol", json!(format!("{:?}", self.version)));
        put("RequestScheme", json!(self.exchange.scheme));
        put("RetryAttempts", json!(self.logged.retries));
        if let Some((router, service)) = &self.scope.router {
            put("RouterName", json!(&**router));
            put("ServiceName", json!(&**service));
        }
        if let Some(server) = &self.exchange.server {
            put("ServiceAddr", json!(server.split("://").nth(1).unwrap_or(server)));
            put("ServiceURL", json!(&**server));
        }
        put("StartLocal", stamp(now - self.took));
        put("StartUTC", stamp(now - self.took));
        put("TraceId", json!(self.exchange.trace.trace_id_hex()));
        put("entryPointName", json!(&*self.scope.entry));
        for (prefix, headers) in [
            ("request_", &self.logged.headers),
            ("downstream_", self.response_headers),
        ] {
            for (name, value) in headers {
                let value = match settings.headers.of(name.as_str()) {
                    Mode::Keep => value.to_str().unwrap_or_default(),
                    Mode::Redact => "REDACTED",
                    Mode::Drop => continue,
                };
                map.insert(format!("{prefix}{}", canonical(name)), json!(value));
            }
        }
        map.insert("level".into(), json!("info"));
        map.insert("msg".into(), json!(""));
        map.insert("time".into(), stamp(now));
        Value::Object(map).to_string()
    }

    fn router(&self) -> Option<&str> {
        self.scope.router.as_ref().map(|(router, _)| &**router)
    }
}

/// As Go writes header names: `User-Agent`.
fn canonical(name: &HeaderName) -> String {
    let part = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.as_str().split('-').map(part).collect::<Vec<_>>().join("-")
}
