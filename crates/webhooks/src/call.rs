//! One call of a webhook, and what is written down about it.

use crate::{body::Body, hook::Hook, signature::Secrets};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::BodyExt;
use metadata::Header;
use serde_json::{Value, json};
use std::{error::Error as _, time::Duration};
use telemetry::client::{Client, full};
use time::OffsetDateTime;

/// Of an answer no more is kept.
const LONGEST_ANSWER: usize = 256 * 1024;
/// What Hasura writes down where no answer came.
const NO_ANSWER: i32 = 1000;
const AGENT: &str = concat!("portico/", env!("CARGO_PKG_VERSION"));

pub struct Call<'a> {
    pub hook: &'a Hook,
    /// Of the event: the same in each of its calls.
    pub id: &'a str,
    pub body: &'a str,
    /// `traceparent` of the writer.
    pub trace: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub delivered: bool,
    pub status: i32,
    /// When the webhook wants to be called again.
    pub retry_after: Option<Duration>,
    /// Both JSON.
    pub request: String,
    pub response: String,
}

impl Outcome {
    pub fn failed(request: String, message: String) -> Self {
        Outcome {
            delivered: false,
            status: NO_ANSWER,
            retry_after: None,
            request,
            response: json!({"type": "client_error", "version": "2", "data": {"message": message}}).to_string(),
        }
    }
}

impl Call<'_> {
    pub async fn make(&self, client: &Client, secrets: &Secrets) -> Outcome {
        let logged = Body::default()
            .with_json("payload", Some(self.body))
            .with("headers", &self.told_headers())
            .with("version", "2")
            .text();
        let request = match self.request(self.body.to_owned(), secrets) {
            Ok(request) => request,
            Err(message) => return Outcome::failed(logged, message),
        };
        let within = self.hook.retry.timeout;
        let answered = tokio::time::timeout(within, answer(client, request, within)).await;
        match answered {
            Ok(Ok((status, headers, body))) => Outcome {
                delivered: (200..300).contains(&status),
                status: i32::from(status),
                retry_after: retry_after(&headers),
                response: json!({"type": "webhook_response", "version": "2",
                    "data": {"status": status, "headers": told(&headers), "body": body}})
                .to_string(),
                request: logged,
            },
            Ok(Err(message)) => Outcome::failed(logged, message),
            Err(_) => Outcome::failed(logged, format!("no answer within {} s", within.as_secs())),
        }
    }

    fn request(&self, body: String, secrets: &Secrets) -> Result<Request<telemetry::client::Body>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        for (header, value) in &self.hook.headers {
            let name: HeaderName = header.name.parse().map_err(|_| unusable(&header.name))?;
            headers.insert(name, value.parse().map_err(|_| unusable(&header.name))?);
        }
        if let Some(trace) = self.trace.as_deref().and_then(|trace| trace.parse().ok()) {
            headers.insert(HeaderName::from_static("traceparent"), trace);
        }
        let now = OffsetDateTime::now_utc().unix_timestamp();
        if let Some(signature) = secrets.sign(self.id, now, body.as_bytes()) {
            for (name, value) in [
                ("webhook-id", self.id.to_owned()),
                ("webhook-timestamp", now.to_string()),
                ("webhook-signature", signature),
            ] {
                headers.insert(
                    HeaderName::from_static(name),
                    value.parse().map_err(|_| unusable(name))?,
                );
            }
        }
        let mut request = Request::post(&self.hook.url)
            .body(full(body))
            .map_err(|error| format!("'{}' cannot be called: {error}", self.hook.url))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// What came from the environment may be secret.
    fn told_headers(&self) -> Vec<Header> {
        self.hook.headers.iter().map(|(header, _)| header.clone()).collect()
    }
}

fn unusable(name: &str) -> String {
    format!("header \"{name}\" is none that HTTP can send")
}

async fn answer(
    client: &Client,
    request: Request<telemetry::client::Body>,
    within: Duration,
) -> Result<(u16, HeaderMap, String), String> {
    let response = client.send(request, within).await;
    let (head, mut body) = response.map_err(|error| chain(&error))?.into_parts();
    let mut bytes = Vec::new();
    // The rest of a long answer is not needed, and the connection not worth keeping for it.
    while let Some(frame) = body.frame().await.filter(|_| bytes.len() < LONGEST_ANSWER) {
        let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    bytes.truncate(LONGEST_ANSWER);
    // PostgreSQL's text holds no zero.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    Ok((head.status.as_u16(), head.headers, text))
}

/// An error with its causes.
fn chain(error: &telemetry::client::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text.push_str(&format!(": {one}"));
        cause = one.source();
    }
    text
}

fn told(headers: &HeaderMap) -> Vec<Value> {
    let pairs = headers.iter();
    pairs
        .map(|(name, value)| json!({"name": name.as_str(), "value": String::from_utf8_lossy(value.as_bytes())}))
        .collect()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
