//! RFC 9457 `application/problem+json`, with `error`, `code` and `details` for the clients that read those.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use foundation::{Error, Kind};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use std::sync::Arc;

/// A handler's error: `?` turns an [`Error`] into it, the envelope writes it out and logs its cause.
#[derive(Debug)]
pub struct Failure(pub Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure(error)
    }
}

/// Left in the response for the envelope, which knows the path and the log.
#[derive(Clone)]
pub struct Told(pub Arc<Error>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = respond(&self.0, "");
        response.extensions_mut().insert(Told(Arc::new(self.0)));
        response
    }
}

pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Gone => StatusCode::GONE,
        Kind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::BadGateway => StatusCode::BAD_GATEWAY,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// The whole response; `instance` is the path it happened at.
pub fn respond(error: &Error, instance: &str) -> Response {
    let status = status(error.kind);
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": error.message,
        "instance": instance,
        "error": error.message,
        "code": error.code,
        "details": error.details,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match error.kind {
        Kind::Unauthenticated => {
            headers.insert(header::WWW_AUTHENTICATE, challenge(error.code));
        }
        Kind::TooMany | Kind::Unavailable => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(error.retry_after.unwrap_or(1)));
        }
        _ => {}
    }
    response
}

/// RFC 6750: without credentials the challenge names no error; with bad ones it does.
fn challenge(code: &str) -> HeaderValue {
    match code {
        "TOKEN_MISSING" | "BAD_CREDENTIALS" => HeaderValue::from_static("Bearer realm=\"portico\""),
        _ => HeaderValue::from_static("Bearer realm=\"portico\", error=\"invalid_token\""),
    }
}
