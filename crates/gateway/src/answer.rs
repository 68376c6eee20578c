//! The gateway's own answers: problems with stable codes, redirects, plain texts.

use crate::exchange::Exchange;
use axum::{body::Body, response::Response};
use foundation::{Error, Kind};
use http::{HeaderValue, StatusCode, header};
use http_chassis::problem;

/// An error at the path of this exchange.
pub fn problem(error: &Error, exchange: &Exchange) -> Response {
    problem::respond(error, &exchange.instance)
}

/// As [`problem`], with a status the configuration chose.
pub fn problem_as(status: u16, error: &Error, exchange: &Exchange) -> Response {
    let mut response = problem(error, exchange);
    if let Ok(status) = StatusCode::from_u16(status) {
        let body = serde_json::json!({
            "type": "about:blank", "title": status.canonical_reason().unwrap_or("Error"), "status": status.as_u16(),
            "detail": error.message, "instance": &*exchange.instance, "error": error.message, "code": error.code, "details": {},
        });
        *response.status_mut() = status;
        *response.body_mut() = Body::from(body.to_string());
    }
    response
}

pub fn bad_request(message: &str) -> Error {
    Error::new(Kind::Malformed, "BAD_REQUEST", message)
}

pub fn no_route() -> Error {
    Error::new(Kind::NotFound, "ROUTE_NOT_FOUND", "No route leads here")
}

pub fn no_server(service: &str) -> Error {
    Error::unavailable("NO_SERVER", format!("No server of '{service}' is available right now"))
}

pub fn overloaded() -> Error {
    Error::unavailable("OVERLOADED", "There is more to do here than can be done right now")
}

pub fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

pub fn json(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

pub fn redirect(status: StatusCode, location: &str) -> Option<Response> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let location = HeaderValue::from_bytes(location.as_bytes()).ok()?;
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}
