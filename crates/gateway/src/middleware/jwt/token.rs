//! A token outside its header: a parameter of the query, or of a form (RFC 6750 sections 2.2 and 2.3).

use axum::body::{Body, to_bytes};
use foundation::{Error, Kind};
use http::{Method, Request, header};

/// Longer forms are not looked into.
const LONGEST_FORM: usize = 64 * 1024;

/// The parameter's value. A form is read and put back.
///
/// # Errors
/// The form is too long, or breaks off.
pub async fn parameter(request: &mut Request<Body>, name: &str) -> Result<Option<String>, Error> {
    let found = request.uri().query().and_then(|query| value(query.as_bytes(), name));
    if found.is_some() || !is_form(request) {
        return Ok(found);
    }
    let body = std::mem::take(request.body_mut());
    let bytes = to_bytes(body, LONGEST_FORM).await.map_err(|_| {
        let message = "A form that may carry a token must not be longer than 64 KiB";
        Error::new(Kind::TooLarge, "BODY_TOO_LARGE", message)
    })?;
    let found = value(&bytes, name);
    *request.body_mut() = Body::from(bytes);
    Ok(found)
}

fn is_form(request: &Request<Body>) -> bool {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    form && matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH)
}

fn value(encoded: &[u8], name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(encoded);
    pairs
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}
