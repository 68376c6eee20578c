//! Extractors that say what is wrong, where, and how to mend it.

use crate::problem::Failure;
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use foundation::{Error, Kind};
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Serialize, de::DeserializeOwned};

/// Largest JSON body; files have their own door.
pub const JSON_LIMIT: usize = 1024 * 1024;

/// A JSON body in, a JSON body out.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        require_json(request.headers())?;
        let bytes = read(request.into_body(), JSON_LIMIT).await?;
        parse(&bytes).map(Json).map_err(Failure)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Error> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json") {
        return Ok(());
    }
    let message = if given.is_empty() {
        "The Content-Type header is missing; send application/json".to_owned()
    } else {
        format!("Content-Type '{given}' is not accepted here; send application/json")
    };
    Err(Error::new(Kind::UnsupportedMedia, "UNSUPPORTED_MEDIA_TYPE", message))
}

/// Reads a body of at most `limit` bytes.
pub async fn read(body: Body, limit: usize) -> Result<bytes::Bytes, Error> {
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("The body is larger than the {limit} bytes accepted here");
            Err(Error::new(Kind::TooLarge, "BODY_TOO_LARGE", message).detail("limit_bytes", limit))
        }
        Err(error) => Err(Error::new(
            Kind::Malformed,
            "BODY_INCOMPLETE",
            "The body ended before it was complete",
        )
        .caused_by(error)),
    }
}

/// Parses JSON and names the place of a mistake (`user.email`, line and column).
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        let place = if path == "." {
            String::new()
        } else {
            format!("'{path}': ")
        };
        if cause.is_data() {
            Error::new(Kind::Invalid, "INVALID_BODY", format!("{place}{cause}")).detail("field", path)
        } else {
            Error::new(
                Kind::Malformed,
                "MALFORMED_JSON",
                format!("The body is not valid JSON: {cause}"),
            )
        }
    })?;
    json.end().map_err(|error| {
        Error::new(
            Kind::Malformed,
            "MALFORMED_JSON",
            format!("The body is not one JSON value: {error}"),
        )
    })?;
    Ok(value)
}

/// The query string; unknown parameters are refused where `T` denies unknown fields.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let text = parts.uri.query().unwrap_or("");
        serde_urlencoded::from_str(text).map(Query).map_err(|error| {
            Failure(Error::new(
                Kind::Malformed,
                "BAD_QUERY",
                format!("The query string is wrong: {error}"),
            ))
        })
    }
}

/// Path parameters. A value of the wrong shape (an id that is no UUID) names nothing: 404.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let refused = |rejection: PathRejection| {
            Failure(
                Error::new(Kind::NotFound, "NOT_FOUND", "There is nothing at this path")
                    .caused_by(rejection.body_text()),
            )
        };
        let axum::extract::Path(value) = axum::extract::Path::from_request_parts(parts, state)
            .await
            .map_err(refused)?;
        Ok(Path(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Login {
        #[allow(dead_code)]
        email: String,
    }

    fn check(body: &str, code: &str, part: &str) {
        let error = parse::<Login>(body.as_bytes()).expect_err(body);
        assert_eq!(error.code, code, "{body}");
        assert!(error.message.contains(part), "{body}: {}", error.message);
    }

    #[test]
    fn mistakes_in_a_body_are_named_with_their_place() {
        check("{", "MALFORMED_JSON", "line 1");
        check("{\"email\":1}", "INVALID_BODY", "'email'");
        check(
            "{\"email\":\"a\",\"admin\":true}",
            "INVALID_BODY",
            "unknown field `admin`",
        );
        check("{}", "INVALID_BODY", "missing field `email`");
        check("{\"email\":\"a\"} x", "MALFORMED_JSON", "one JSON value");
    }
}
