//! Answers a caller who accepts gzip in gzip, where it is worth it.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    middleware::Next,
    response::Response,
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, header};
use std::io::Write;

/// Smaller answers fit a packet anyway.
const WORTH_IT: usize = 700;
/// Answers are held in memory already.
const LARGEST: usize = 256 << 20;

pub async fn layer(request: Request, next: Next) -> Response {
    let accepts = request.headers().get_all(header::ACCEPT_ENCODING).iter().any(|value| {
        let listed = value.to_str().unwrap_or_default();
        listed.split(',').any(|one| {
            let (name, quality) = one.split_once(';').unwrap_or((one, ""));
            name.trim().eq_ignore_ascii_case("gzip") && !matches!(quality.trim(), "q=0" | "q=0.0")
        })
    });
    let response = next.run(request).await;
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !accepts || !is_json || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else {
        return Response::from_parts(head, Body::empty());
    };
    head.headers
        .append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let packed = (bytes.len() >= WORTH_IT).then(|| gzip(&bytes)).flatten();
    let Some(packed) = packed else {
        return Response::from_parts(head, Body::from(bytes));
    };
    head.headers
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(packed))
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}
