//! Which pages may ask from a browser: `HASURA_GRAPHQL_CORS_DOMAIN`, a list of origins in which `*` stands for one label.

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub enum Cors {
    #[default]
    Any,
    Listed(Arc<Vec<Origin>>),
    Off,
}

/// Scheme, host labels (`*` for any one), port.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    scheme: String,
    labels: Vec<String>,
    port: Option<u16>,
}

impl Cors {
    /// # Errors
    /// Names the origin that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Cors::Any);
        }
        let origins = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let origins: Result<Vec<Origin>, String> = origins
            .map(|one| origin(one).ok_or_else(|| format!("'{one}' is no origin such as https://*.example.com")))
            .collect();
        Ok(Cors::Listed(Arc::new(origins?)))
    }

    fn allows(&self, asked: &str) -> bool {
        match self {
            Cors::Any => true,
            Cors::Off => false,
            Cors::Listed(known) => origin(asked).is_some_and(|asked| known.iter().any(|one| one.covers(&asked))),
        }
    }
}

impl Origin {
    fn covers(&self, asked: &Origin) -> bool {
        let labels = self.labels.iter().zip(&asked.labels);
        self.scheme == asked.scheme
            && self.port == asked.port
            && self.labels.len() == asked.labels.len()
            && labels.into_iter().all(|(known, asked)| known == "*" || known == asked)
    }
}

fn origin(text: &str) -> Option<Origin> {
    let (scheme, rest) = text.trim_end_matches('/').split_once("://")?;
    let (host, port) = match rest.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (rest, None),
    };
    let labels: Vec<String> = host.split('.').map(str::to_lowercase).collect();
    let known = matches!(scheme, "http" | "https") && labels.iter().all(|label| !label.is_empty());
    known.then(|| Origin {
        scheme: scheme.to_owned(),
        labels,
        port,
    })
}

/// Answers preflights, and tells browsers of allowed pages that they may read.
pub async fn layer(State(cors): State<Cors>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let Some(origin) = origin.filter(|origin| origin.to_str().is_ok_and(|text| cors.allows(text))) else {
        return next.run(request).await;
    };
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = match preflight {
        true => empty(),
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    allow(headers, origin);
    if preflight {
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("1728000"));
        if let Some(asked) = asked {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
    }
    response
}

fn empty() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    let methods = HeaderValue::from_static("GET,POST,PUT,PATCH,DELETE,OPTIONS");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        let cors = Cors::parse("http://*.localhost, http://localhost:3000, https://*.foo.bar.com").expect("origins");
        for (origin, allowed) in [
            ("http://app.localhost", true),
            ("http://localhost:3000", true),
            ("http://localhost:3001", false),
            ("https://a.foo.bar.com", true),
            ("https://a.b.foo.bar.com", false),
            ("https://foo.bar.com", false),
            ("https://example.com", false),
        ] {
            assert_eq!(cors.allows(origin), allowed, "{origin}");
        }
        Cors::parse("example.com").expect_err("no scheme");
    }
}
