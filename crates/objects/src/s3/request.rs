//! One request to the store, repeated with back-off where the store or the way to it failed.

use super::S3;
use crate::{Attributes, Meta, error};
use bytes::Bytes;
use foundation::Result;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::{collections::BTreeMap, time::Duration};
use telemetry::client::{Body, full};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

const WITHIN: Duration = Duration::from_secs(60);
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
const ATTEMPTS: u32 = 4;

impl S3 {
    /// The whole answer, which is short for everything but a get.
    pub(super) async fn ask(
        &self,
        what: &str,
        method: Method,
        url: &Url,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Response<Bytes>> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = build(method.clone(), url, headers, full(body.clone()))?;
            let answer = self.client.fetch(request, WITHIN, LONGEST_ANSWER).await;
            let again = attempt < ATTEMPTS;
            match answer {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) if again && is_passing(answer.status()) => {}
                Ok(answer) if answer.status() == StatusCode::NOT_FOUND => return Err(error::no_object()),
                Ok(answer) => return Err(error::store_refused(what, answer.status().as_u16(), &text(&answer))),
                Err(telemetry::client::Error::Connection(_) | telemetry::client::Error::Timeout(_)) if again => {}
                Err(cause) => return Err(error::store_unavailable(what, cause)),
            }
            back_off(attempt).await;
        }
    }

    /// The head of a get, its body still streaming; `None` where there is no object.
    pub(super) async fn open_get(&self, url: &Url, headers: &[(String, String)]) -> Result<Option<Response<Incoming>>> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = build(Method::GET, url, headers, full(Bytes::new()))?;
            match self.client.send(request, WITHIN).await {
                Ok(answer) if answer.status().is_success() => return Ok(Some(answer)),
                Ok(answer) if answer.status() == StatusCode::NOT_FOUND => return Ok(None),
                Ok(answer) if attempt < ATTEMPTS && is_passing(answer.status()) => {}
                Ok(answer) => return Err(error::store_refused("GetObject", answer.status().as_u16(), "")),
                Err(_) if attempt < ATTEMPTS => {}
                Err(cause) => return Err(error::store_unavailable("GetObject", cause)),
            }
            back_off(attempt).await;
        }
    }
}

fn build(method: Method, url: &Url, headers: &[(String, String)], body: Body) -> Result<Request<Body>> {
    let mut request = Request::builder().method(method).uri(url.as_str());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
        .body(body)
        .map_err(|error| foundation::Error::internal("building a request to the object store", error))
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

async fn back_off(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(100 << attempt.min(5))).await;
}

pub fn text(answer: &Response<Bytes>) -> String {
    String::from_utf8_lossy(answer.body()).into_owned()
}

/// Without its quotes.
pub fn etag(headers: &HeaderMap) -> String {
    let text = field(headers, header::ETAG.as_str()).unwrap_or_default();
    text.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn field(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

pub fn meta(key: &str, headers: &HeaderMap) -> Meta {
    let whole = field(headers, "content-range").and_then(|text| text.rsplit('/').next()?.parse().ok());
    let length = || field(headers, "content-length").and_then(|text| text.parse().ok());
    let mut metadata = BTreeMap::new();
    for (name, value) in headers {
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix("x-amz-meta-"), value.to_str()) {
            metadata.insert(name.to_owned(), value.to_owned());
        }
    }
    Meta {
        key: key.to_owned(),
        size: whole.or_else(length).unwrap_or(0),
        etag: etag(headers),
        modified: field(headers, "last-modified")
            .and_then(|text| OffsetDateTime::parse(&text, &Rfc2822).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        attributes: Attributes {
            content_type: field(headers, "content-type"),
            cache_control: field(headers, "cache-control"),
            content_disposition: field(headers, "content-disposition"),
            content_encoding: field(headers, "content-encoding"),
            metadata,
        },
    }
}
