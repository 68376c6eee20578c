//! cache: answers kept and used again as RFC 9111 says a shared cache may, in a bounded memory. What happened is told in `Cache-Status`
//! (RFC 9211). Ranges and protocol switches go past it; an unsafe method that succeeds makes its URL forgotten.

mod body;
mod store;

pub use store::Store;

use super::{Flow, Note};
use crate::exchange::Exchange;
use axum::{body::Body, response::Response};
use body::Keeping;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header, request, response};
use http_body::Body as _;
use http_cache_semantics::{AfterResponse, BeforeRequest, CachePolicy};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use store::{Fetching, Stored};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// How long a request waits for another that fetches the same.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Cache {
    pub store: Arc<Store>,
    /// Larger bodies pass without being kept.
    pub most_bytes: usize,
}

/// What the response half must know.
pub enum Asked {
    /// The answer may be kept.
    Fetch {
        key: String,
        request: Box<request::Parts>,
        /// As the client asked, before our own validators were added.
        conditions: HeaderMap,
        stale: Option<Arc<Stored>>,
        fetching: Option<Fetching>,
    },
    /// A success makes this URL stale.
    Forget(String),
    Bypass,
}

impl Cache {
    pub async fn request(&self, place: usize, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
        let asked = match *request.method() {
            _ if exchange.upgrade => Asked::Bypass,
            Method::GET | Method::HEAD if request.headers().contains_key(header::RANGE) => Asked::Bypass,
            Method::GET | Method::HEAD => match self.look(request, exchange).await {
                Ok(answer) => return Flow::Answer(answer),
                Err(asked) => asked,
            },
            Method::OPTIONS | Method::TRACE => Asked::Bypass,
            _ => Asked::Forget(key(request, exchange)),
        };
        exchange.notes.push((place, Note::Cache(Box::new(asked))));
        Flow::On
    }

    async fn look(&self, request: &mut Request<Body>, exchange: &Exchange) -> Result<Response, Asked> {
        let key = key(request, exchange);
        let head = parts(request);
        let mut stale = match self.fresh(&key, &head) {
            Ok(answer) => return Ok(answer),
            Err(stale) => stale,
        };
        // One request fetches, those for the same wait for what it brings, and fetch themselves if it was not for them.
        let mut fetching = self.store.fetch(&key);
        if let Err(other) = fetching {
            let _ = tokio::time::timeout(PATIENCE, other.cancelled()).await;
            stale = match self.fresh(&key, &head) {
                Ok(answer) => return Ok(answer),
                Err(stale) => stale,
            };
            fetching = self.store.fetch(&key);
        }
        let conditions = head.headers.clone();
        if let Some(stored) = &stale
            && let BeforeRequest::Stale { request: asking, .. } = stored.policy.before_request(&head, SystemTime::now())
        {
            for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
                request.headers_mut().remove(&name);
                if let Some(value) = asking.headers.get(&name) {
                    request.headers_mut().insert(name, value.clone());
                }
            }
        }
        Err(Asked::Fetch {
            key,
            request: Box::new(head),
            conditions,
            stale,
            fetching: fetching.ok(),
        })
    }

    /// An answer that may be used as it is, else the stored one to validate.
    fn fresh(&self, key: &str, head: &request::Parts) -> Result<Response, Option<Arc<Stored>>> {
        let now = SystemTime::now();
        let mut stale = None;
        for stored in self.store.of(key).iter() {
            match stored.policy.before_request(head, now) {
                BeforeRequest::Fresh(parts) => {
                    let left = stored.policy.time_to_live(now).as_secs();
                    let status = format!("portico; hit; ttl={left}");
                    return Ok(answer(parts, &stored.body, head, &head.headers, &status));
                }
                BeforeRequest::Stale { matches: true, .. } => stale = Some(stored.clone()),
                // A `HEAD` may be answered from a `GET` that is fresh.
                BeforeRequest::Stale { .. } if head.method == Method::HEAD => {
                    let mut as_get = head.clone();
                    as_get.method = Method::GET;
                    if let BeforeRequest::Fresh(parts) = stored.policy.before_request(&as_get, now) {
                        return Ok(answer(parts, &stored.body, head, &head.headers, "portico; hit"));
                    }
                }
                BeforeRequest::Stale { .. } => {}
            }
        }
        Err(stale)
    }

    pub fn response(&self, place: usize, response: Response, exchange: &mut Exchange) -> Response {
        let Some(Note::Cache(asked)) = exchange.take_note(place) else {
            return response;
        };
        match *asked {
            Asked::Bypass => told(response, "portico; fwd=bypass"),
            Asked::Forget(key) => {
                if response.status().is_success() || response.status().is_redirection() {
                    self.store.forget(&key);
                }
                told(response, "portico; fwd=method")
            }
            Asked::Fetch {
                key,
                request,
                conditions,
                stale,
                fetching,
            } => match stale {
                Some(stored) => self.validated(key, &request, &conditions, &stored, fetching, response),
                None => self.keep(key, &request, fetching, response, "portico; fwd=uri-miss"),
            },
        }
    }

    /// What the server says of a stored answer that had become stale.
    fn validated(
        &self,
        key: String,
        request: &request::Parts,
        conditions: &HeaderMap,
        stored: &Arc<Stored>,
        fetching: Option<Fetching>,
        response: Response,
    ) -> Response {
        let now = SystemTime::now();
        if response.status().is_server_error() && stored.may_serve_on_error(now) {
            let (mut parts, ()) = response::Response::new(()).into_parts();
            parts.status = stored.status;
            parts.headers.clone_from(&stored.headers);
            return answer(
                parts,
                &stored.body,
                request,
                conditions,
                "portico; hit; detail=stale-if-error",
            );
        }
        match stored.policy.after_response(request, &response, now) {
            AfterResponse::NotModified(policy, parts) => {
                let (headers, body) = (parts.headers.clone(), stored.body.clone());
                let fresh = Stored::new(policy, stored.status, headers, &request.headers, body);
                self.store.put(&key, Arc::new(fresh));
                answer(
                    parts,
                    &stored.body,
                    request,
                    conditions,
                    "portico; hit; fwd=stale; fwd-status=304",
                )
            }
            AfterResponse::Modified(..) => self.keep(key, request, fetching, response, "portico; fwd=stale"),
        }
    }

    /// Passes the answer on, and keeps it if it may be kept.
    fn keep(
        &self,
        key: String,
        request: &request::Parts,
        fetching: Option<Fetching>,
        response: Response,
        status: &str,
    ) -> Response {
        let policy = CachePolicy::new(request, &response);
        if !self.may_keep(&policy, request, &response) {
            return told(response, status);
        }
        let (kept, headers, asked) = (response.status(), response.headers().clone(), request.headers.clone());
        let store = self.store.clone();
        let finish = move |bytes| {
            store.put(&key, Arc::new(Stored::new(policy, kept, headers, &asked, bytes)));
            drop(fetching);
        };
        let most = self.most_bytes;
        let response = response.map(|body| Body::new(Keeping::new(body, most, finish)));
        told(response, &format!("{status}; stored"))
    }

    fn may_keep(&self, policy: &CachePolicy, request: &request::Parts, response: &Response) -> bool {
        let headers = response.headers();
        let has = |name: HeaderName, word: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values
                .flat_map(|value| value.split(','))
                .any(|part| part.trim().eq_ignore_ascii_case(word))
        };
        let validates = headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
        let useful = !policy.time_to_live(SystemTime::now()).is_zero() || validates;
        let small = response.body().size_hint().lower() <= self.most_bytes as u64;
        // A cookie is for one visitor, whatever the lifetime says, unless the server calls the answer public.
        let personal = headers.contains_key(header::SET_COOKIE) && !has(header::CACHE_CONTROL, "public");
        request.method == Method::GET
            && response.status() != StatusCode::PARTIAL_CONTENT
            && policy.is_storable()
            && useful
            && small
            && !personal
            && !has(header::VARY, "*")
    }
}

fn key(request: &Request<Body>, exchange: &Exchange) -> String {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    format!("{}://{}{target}", exchange.scheme, exchange.host)
}

/// The request's head, as the policy wants it.
fn parts(request: &Request<Body>) -> request::Parts {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    head.into_parts().0
}

fn told(mut response: Response, status: &str) -> Response {
    if let Ok(status) = HeaderValue::from_str(status) {
        response.headers_mut().append(CACHE_STATUS, status);
    }
    response
}

/// A stored answer, or 304 where the client has it already.
fn answer(
    parts: response::Parts,
    body: &bytes::Bytes,
    request: &request::Parts,
    conditions: &HeaderMap,
    status: &str,
) -> Response {
    let mut response = Response::from_parts(parts, Body::empty());
    if response.status() == StatusCode::OK && has_it(conditions, response.headers()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        return told(response, status);
    }
    response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    if request.method != Method::HEAD {
        *response.body_mut() = Body::from(body.clone());
    }
    told(response, status)
}

/// RFC 9110 section 13.1: the entity tags first; the date only without them.
fn has_it(conditions: &HeaderMap, stored: &HeaderMap) -> bool {
    let text = |headers: &HeaderMap, name: HeaderName| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if let Some(asked) = text(conditions, header::IF_NONE_MATCH) {
        let Some(tag) = text(stored, header::ETAG) else {
            return false;
        };
        return asked.trim() == "*" || asked.split(',').any(|one| weak(one) == weak(&tag));
    }
    let since = text(conditions, header::IF_MODIFIED_SINCE);
    since.is_some() && since == text(stored, header::LAST_MODIFIED)
}
