//! Verdicts of an authentication server, remembered for a while: the same question gets the same answer without being asked again.
//! Only permissions are remembered, never refusals, and never one that sets a cookie or says that it must not be stored.

use aws_lc_rs::digest;
use axum::body::Body;
use http::{HeaderMap, HeaderName, Request, header};
use quick_cache::sync::Cache;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Other in every request, and nothing a verdict depends on.
const VOLATILE: [HeaderName; 4] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
    header::CONTENT_LENGTH,
];

pub struct Verdicts {
    longest: Duration,
    known: Cache<Key, Arc<Verdict>>,
}

pub type Key = [u8; 32];

struct Verdict {
    until: Instant,
    headers: HeaderMap,
}

impl Verdicts {
    pub fn new(longest: Duration, most: usize) -> Self {
        Self {
            longest,
            known: Cache::new(most),
        }
    }

    /// What the question is: its target, its method and its headers, whose order does not matter.
    pub fn key(question: &Request<Body>) -> Key {
        let mut lines: Vec<Vec<u8>> = question
            .headers()
            .iter()
            .filter(|(name, _)| !VOLATILE.contains(name))
            .map(|(name, value)| [name.as_str().as_bytes(), b"\0", value.as_bytes(), b"\0"].concat())
            .collect();
        lines.sort_unstable();
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(format!("{} {}\0", question.method(), question.uri()).as_bytes());
        lines.iter().for_each(|line| context.update(line));
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        key
    }

    /// The headers of a permission that still holds.
    pub fn get(&self, key: &Key) -> Option<HeaderMap> {
        let verdict = self.known.get(key)?;
        (verdict.until > Instant::now()).then(|| verdict.headers.clone())
    }

    pub fn put(&self, key: Key, headers: &HeaderMap) {
        let Some(lifetime) = self.lifetime(headers) else { return };
        let verdict = Verdict {
            until: Instant::now() + lifetime,
            headers: headers.clone(),
        };
        self.known.insert(key, Arc::new(verdict));
    }

    /// As long as configured, or shorter where the server says so.
    fn lifetime(&self, headers: &HeaderMap) -> Option<Duration> {
        if headers.contains_key(header::SET_COOKIE) {
            return None;
        }
        let lines = headers.get_all(header::CACHE_CONTROL).iter();
        let directives = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','));
        let mut lifetime = self.longest;
        for directive in directives.map(str::trim) {
            match directive.split_once('=') {
                None if matches!(directive, "no-store" | "no-cache") => return None,
                Some(("max-age", seconds)) => {
                    lifetime = lifetime.min(Duration::from_secs(seconds.parse().unwrap_or(0)))
                }
                _ => {}
            }
        }
        (!lifetime.is_zero()).then_some(lifetime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn question(headers: &[(&'static str, &'static str)]) -> Key {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        Verdicts::key(&request)
    }

    #[test]
    fn a_question_is_the_same_whatever_the_order_and_the_trace() {
        let one = question(&[("authorization", "a"), ("x", "1"), ("x-request-id", "1")]);
        assert_eq!(
            one,
            question(&[("x", "1"), ("authorization", "a"), ("x-request-id", "2")])
        );
        assert_ne!(one, question(&[("x", "1"), ("authorization", "b")]));
    }

    #[test]
    fn a_server_may_shorten_the_memory_and_forbid_it() {
        let verdicts = Verdicts::new(Duration::from_secs(60), 10);
        let lifetime = |name: &'static str, value: &'static str| {
            verdicts.lifetime(&HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(lifetime("x", "y"), Some(Duration::from_secs(60)));
        assert_eq!(
            lifetime("cache-control", "private, max-age=5"),
            Some(Duration::from_secs(5))
        );
        assert_eq!(lifetime("cache-control", "max-age=500"), Some(Duration::from_secs(60)));
        assert_eq!(lifetime("cache-control", "no-store"), None);
        assert_eq!(lifetime("cache-control", "max-age=0"), None);
        assert_eq!(lifetime("set-cookie", "a=b"), None);
    }
}
