//! redirectScheme and redirectRegex.

use super::Flow;
use crate::{answer, canonical, exchange::Exchange, forwarded::X_FORWARDED_PROTO};
use axum::{body::Body, response::Response};
use http::{Method, Request, StatusCode, header};
use regex::Regex;

pub enum Redirect {
    Scheme {
        scheme: String,
        port: String,
        permanent: bool,
    },
    Regex {
        pattern: Regex,
        replacement: String,
        permanent: bool,
    },
}

impl Redirect {
    pub fn request(&self, request: &Request<Body>, exchange: &Exchange) -> Flow {
        let answer = match self {
            Self::Scheme {
                scheme,
                port,
                permanent,
            } => to_scheme(request, exchange, scheme, port, *permanent),
            Self::Regex {
                pattern,
                replacement,
                permanent,
            } => {
                let url = format!("{}://{}{}", exchange.scheme, host(request), target(request));
                let new = pattern.replace(&url, replacement.as_str());
                if *new == *url {
                    None
                } else {
                    answer::redirect(status(request.method(), *permanent), &new)
                }
            }
        };
        answer.map_or(Flow::On, Flow::Answer)
    }
}

/// `None` when the request came that way already.
pub fn to_scheme(
    request: &Request<Body>,
    exchange: &Exchange,
    scheme: &str,
    port: &str,
    permanent: bool,
) -> Option<Response> {
    let told = request
        .headers()
        .get(X_FORWARDED_PROTO)
        .and_then(|proto| proto.to_str().ok())
        .unwrap_or(exchange.scheme);
    let told = match told {
        "ws" => "http",
        "wss" => "https",
        other => other,
    };
    let host = host(request);
    let port = match (port, scheme) {
        ("", _) | ("443", "https") | ("80", "http") => String::new(),
        (port, _) => format!(":{port}"),
    };
    let there_already = port.is_empty() || canonical::port(host).is_some_and(|given| port[1..] == *given);
    if told == scheme && there_already {
        return None;
    }
    let name = canonical::port(host).map_or(host, |port| &host[..host.len() - port.len() - 1]);
    let url = format!("{scheme}://{name}{port}{}", target(request));
    answer::redirect(status(request.method(), permanent), &url)
}

fn status(method: &Method, permanent: bool) -> StatusCode {
    match (permanent, *method == Method::GET) {
        (true, true) => StatusCode::MOVED_PERMANENTLY,
        (true, false) => StatusCode::PERMANENT_REDIRECT,
        (false, true) => StatusCode::FOUND,
        (false, false) => StatusCode::TEMPORARY_REDIRECT,
    }
}

fn host(request: &Request<Body>) -> &str {
    request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
}

fn target(request: &Request<Body>) -> &str {
    request.uri().path_and_query().map_or("/", |target| target.as_str())
}
