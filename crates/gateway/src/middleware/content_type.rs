//! contentType: names the type of an answer that does not say it, from its first bytes.

use super::compress::{Begun, first};
use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use http_body::Body as _;

pub async fn response(response: Response) -> Response {
    let silent = !response.headers().contains_key(header::CONTENT_TYPE) && !response.body().is_end_stream();
    if !silent || response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let (start, body) = match first(body, 1).await {
        Begun::Whole(bytes) => (bytes.clone(), Body::from(bytes)),
        Begun::More(start, body) => (start, body),
    };
    parts
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(&start)));
    Response::from_parts(parts, body)
}

/// As far as browsers would go wrong without (<https://mimesniff.spec.whatwg.org/>).
fn kind(start: &[u8]) -> &'static str {
    let text = start.trim_ascii_start();
    let begins = |tag: &str| text.len() >= tag.len() && text[..tag.len()].eq_ignore_ascii_case(tag.as_bytes());
    match () {
        () if ["<!doctype html", "<html", "<head", "<body", "<script", "<!--"]
            .iter()
            .any(|tag| begins(tag)) =>
        {
            "text/html; charset=utf-8"
        }
        () if begins("<?xml") => "text/xml; charset=utf-8",
        () if start.starts_with(b"\x89PNG\r\n\x1a\n") => "image/png",
        () if start.starts_with(b"\xff\xd8\xff") => "image/jpeg",
        () if start.starts_with(b"GIF8") => "image/gif",
        () if start.starts_with(b"%PDF-") => "application/pdf",
        () if start
            .iter()
            .all(|byte| *byte >= 0x20 || matches!(byte, b'\n' | b'\r' | b'\t')) =>
        {
            "text/plain; charset=utf-8"
        }
        () => "application/octet-stream",
    }
}
