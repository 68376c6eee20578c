//! A compiled rule and the part of a request it looks at.

use crate::address::Net;
use http::{HeaderMap, HeaderName};
use regex::Regex;
use std::{borrow::Cow, net::IpAddr};

#[derive(Clone, Debug)]
pub enum Rule {
    And(Vec<Rule>),
    Or(Vec<Rule>),
    Not(Box<Rule>),
    Match(Matcher),
}

#[derive(Clone, Debug)]
pub enum Matcher {
    Host(String),
    /// `*.a.test` holds `.a.test`: one label before it.
    HostBelow(String),
    HostRegexp(Regex),
    Path(String),
    PathPrefix(String),
    PathRegexp(Regex),
    Method(String),
    Header(HeaderName, String),
    HeaderRegexp(HeaderName, Regex),
    /// Any value of the key is the text.
    Query(String, String),
    QueryRegexp(String, Regex),
    /// v2: the first value of the key is the text.
    QueryFirst(String, String),
    ClientIp(Net),
}

/// What rules see of a request, in canonical form.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub method: &'a str,
    pub headers: &'a HeaderMap,
    pub peer: IpAddr,
}

impl Rule {
    pub fn matches(&self, target: &Target<'_>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(target)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(target)),
            Self::Not(inner) => !inner.matches(target),
            Self::Match(matcher) => matcher.matches(target),
        }
    }
}

impl Matcher {
    fn matches(&self, target: &Target<'_>) -> bool {
        match self {
            Self::Host(host) => target.host == host,
            Self::HostBelow(suffix) => {
                let label = target.host.strip_suffix(suffix.as_str());
                label.is_some_and(|label| !label.contains('.'))
            }
            Self::HostRegexp(regex) => regex.is_match(target.host),
            Self::Path(path) => target.path == path,
            Self::PathPrefix(prefix) => target.path.starts_with(prefix.as_str()),
            Self::PathRegexp(regex) => regex.is_match(target.path),
            Self::Method(method) => target.method == method,
            Self::Header(name, text) => target.headers.get_all(name).iter().any(|value| value == text.as_str()),
            Self::HeaderRegexp(name, regex) => {
                let mut values = target.headers.get_all(name).iter();
                values.any(|value| value.to_str().is_ok_and(|value| regex.is_match(value)))
            }
            Self::Query(key, text) => values(target.query, key).any(|value| value == text.as_str()),
            Self::QueryRegexp(key, regex) => values(target.query, key).any(|value| regex.is_match(&value)),
            Self::QueryFirst(key, text) => values(target.query, key)
                .next()
                .is_some_and(|value| value == text.as_str()),
            Self::ClientIp(net) => net.contains(target.peer),
        }
    }
}

/// The values of a key in a query, decoded.
fn values<'a>(query: Option<&'a str>, key: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.filter_map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name) == key).then(|| decoded(value))
    })
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or(b'?'));
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}
