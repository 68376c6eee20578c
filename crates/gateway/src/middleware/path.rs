//! addPrefix, stripPrefix, stripPrefixRegex, replacePath, replacePathRegex, encodedCharacters: what a router does to the path.

use super::Flow;
use crate::{
    answer, canonical,
    exchange::{Exchange, set_path},
    forwarded::X_FORWARDED_PREFIX,
};
use axum::body::Body;
use http::{HeaderName, HeaderValue, Request};
use regex::Regex;

pub const X_REPLACED_PATH: HeaderName = HeaderName::from_static("x-replaced-path");

pub enum Change {
    Add(String),
    Strip(Vec<String>),
    StripRegex(Vec<Regex>),
    Replace(String),
    ReplaceRegex(Regex, String),
    /// Refuses paths with one of these codes in them.
    Refuse(Vec<&'static str>),
}

impl Change {
    pub fn request(&self, request: &mut Request<Body>, exchange: &Exchange) -> Flow {
        let path = request.uri().path().to_owned();
        let done = match self {
            Self::Add(prefix) => set_path(request, &format!("{prefix}{path}")),
            Self::Strip(prefixes) => match prefixes.iter().find(|prefix| path.starts_with(prefix.as_str())) {
                Some(prefix) => strip(request, &path, prefix),
                None => Some(()),
            },
            Self::StripRegex(patterns) => {
                let found = patterns
                    .iter()
                    .filter_map(|pattern| pattern.find(&path))
                    .find(|found| found.start() == 0);
                match found.map(|found| found.as_str().to_owned()) {
                    Some(prefix) => strip(request, &path, &prefix),
                    None => Some(()),
                }
            }
            Self::Replace(new) => {
                remember(request, &path);
                set_path(request, new)
            }
            Self::ReplaceRegex(pattern, replacement) => match pattern.is_match(&path) {
                true => {
                    remember(request, &path);
                    let new = pattern.replace_all(&path, replacement.as_str()).into_owned();
                    canonical::path(&new).ok().and_then(|new| set_path(request, &new))
                }
                false => Some(()),
            },
            Self::Refuse(codes) => (!codes.iter().any(|code| path.contains(code))).then_some(()),
        };
        match done {
            Some(()) => Flow::On,
            None => Flow::Answer(answer::problem(
                &answer::bad_request("The path cannot be rewritten as configured"),
                exchange,
            )),
        }
    }
}

/// What is left must be a path by itself: `/api..` less `/api` would climb.
fn strip(request: &mut Request<Body>, path: &str, prefix: &str) -> Option<()> {
    let rest = path.strip_prefix(prefix)?;
    let rest = rest.strip_prefix("%2F").unwrap_or(rest);
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    if canonical::path(&rest).ok()? != rest {
        return None;
    }
    let prefix = HeaderValue::from_str(prefix).ok()?;
    request.headers_mut().append(X_FORWARDED_PREFIX, prefix);
    set_path(request, &rest)
}

fn remember(request: &mut Request<Body>, path: &str) {
    if let Ok(path) = HeaderValue::from_str(path) {
        request.headers_mut().append(X_REPLACED_PATH, path);
    }
}
