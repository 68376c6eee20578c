//! forwardAuth: another server decides. 2xx lets the request on, with headers of its answer; anything else is the answer.

use super::{Flow, Note, verdicts::Verdicts};
use crate::{
    address::X_FORWARDED_FOR,
    answer,
    exchange::Exchange,
    forwarded::{self, X_FORWARDED_HOST, X_FORWARDED_PROTO},
    model,
    service::pool::Pool,
};
use axum::{body::Body, response::Response};
use foundation::{Error, Kind};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body::Body as _;
use regex::Regex;
use std::{sync::Arc, time::Duration};

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
/// Refusals longer than this are cut off by an error.
const LONGEST_REFUSAL: usize = 16 * 1024 * 1024;

pub struct ForwardAuth {
    pool: Arc<Pool>,
    address: Uri,
    authority: HeaderValue,
    trust: bool,
    only: Option<Vec<HeaderName>>,
    copied: Vec<HeaderName>,
    copied_regex: Option<Regex>,
    /// Sends the request's body to the authentication server too, up to this long.
    forwards_body: bool,
    longest_body: usize,
    longest_answer: usize,
    cookies: Vec<String>,
    keep_location: bool,
    keep_method: bool,
    verdicts: Option<Verdicts>,
}

fn names(list: Option<&Vec<String>>) -> Result<Vec<HeaderName>, String> {
    let name =
        |text: &String| HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("'{text}' is no header name"));
    list.into_iter().flatten().map(name).collect()
}

impl ForwardAuth {
    /// `pool` makes or finds the connections to an address.
    ///
    /// # Errors
    /// An option that cannot be used, by name.
    pub fn compile(
        config: &model::middleware::ForwardAuth,
        pool: impl FnOnce(&Uri) -> Result<Arc<Pool>, String>,
    ) -> Result<Self, String> {
        let text = config
            .address
            .as_deref()
            .filter(|text| !text.is_empty())
            .ok_or("the address is missing")?;
        let address: Uri = text.parse().map_err(|_| format!("'{text}' is no URL"))?;
        let authority = address.authority().ok_or_else(|| format!("'{text}' names no host"))?;
        let most = |size: Option<i64>| size.and_then(|size| usize::try_from(size).ok());
        let pattern = config
            .auth_response_headers_regex
            .as_deref()
            .filter(|text| !text.is_empty());
        let only = names(config.auth_request_headers.as_ref())?;
        Ok(Self {
            pool: pool(&address)?,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| "the host is none")?,
            trust: config.trust_forward_header == Some(true),
            only: (!only.is_empty()).then_some(only),
            copied: names(config.auth_response_headers.as_ref())?,
            copied_regex: pattern
                .map(|text| Regex::new(&format!("(?i){text}")))
                .transpose()
                .map_err(|error| error.to_string())?,
            forwards_body: config.forward_body == Some(true),
            longest_body: most(config.max_body_size).unwrap_or(usize::MAX),
            longest_answer: most(config.max_response_body_size).unwrap_or(LONGEST_REFUSAL),
            cookies: config.add_auth_cookies_to_response.clone().unwrap_or_default(),
            keep_location: config.preserve_location_header == Some(true),
            keep_method: config.preserve_request_method == Some(true),
            verdicts: config.cache.as_ref().map(|cache| {
                let longest = cache.ttl.map_or(Duration::from_secs(30), |ttl| ttl.0);
                let most = cache.max_entries.and_then(|most| usize::try_from(most).ok());
                Verdicts::new(longest, most.unwrap_or(10_000))
            }),
            address,
        })
    }

    pub async fn request(&self, place: usize, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
        let mut question = self.question(request, exchange);
        if self.forwards_body
            && let Err(refused) = self.lend_body(request, &mut question, exchange).await
        {
            return Flow::Answer(*refused);
        }
        // With a body lent, the question is more than its head.
        let verdicts = self.verdicts.as_ref().filter(|_| !self.forwards_body);
        let key = verdicts.map(|verdicts| (verdicts, Verdicts::key(&question)));
        if let Some(known) = key.as_ref().and_then(|(verdicts, key)| verdicts.get(key)) {
            self.copy(request.headers_mut(), &known);
            return Flow::On;
        }
        let answered = match self.pool.send(question).await {
            Ok(answered) => answered,
            Err(failure) => {
                tracing::warn!(
                    server = self.pool.address(),
                    cause = failure.cause,
                    "the authentication server did not answer"
                );
                let error = Error::new(
                    Kind::BadGateway,
                    "AUTH_UNREACHABLE",
                    "The authentication server cannot be reached",
                );
                return Flow::Answer(answer::problem(&error, exchange));
            }
        };
        let (mut parts, body) = answered.into_parts();
        let body = match axum::body::to_bytes(body, self.longest_answer).await {
            Ok(body) => body,
            Err(error) => {
                return Flow::Answer(answer::problem(
                    &Error::internal("reading the authentication server's answer", error),
                    exchange,
                ));
            }
        };
        forwarded::drop_hop_by_hop_of_response(&mut parts.headers);
        if !parts.status.is_success() {
            parts.headers.remove(header::CONTENT_LENGTH);
            if !self.keep_location {
                self.absolute(&mut parts.headers);
            }
            return Flow::Answer(Response::from_parts(parts, Body::from(body)));
        }
        if let Some((verdicts, key)) = key {
            verdicts.put(key, &parts.headers);
        }
        self.copy(request.headers_mut(), &parts.headers);
        let set = parts
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter(|value| self.wants_cookie(value));
        let set: Vec<HeaderValue> = set.cloned().collect();
        if !set.is_empty() {
            exchange.notes.push((place, Note::Cookies(set)));
        }
        Flow::On
    }

    /// The body is read once and goes to both.
    async fn lend_body(
        &self,
        request: &mut Request<Body>,
        question: &mut Request<Body>,
        exchange: &Exchange,
    ) -> Result<(), Box<Response>> {
        let body = std::mem::take(request.body_mut());
        if body.is_end_stream() {
            return Ok(());
        }
        let Ok(bytes) = axum::body::to_bytes(body, self.longest_body).await else {
            // Traefik's answer to a body above maxBodySize: what could not be judged was not allowed.
            let error = Error::new(
                Kind::Unauthenticated,
                "BODY_NOT_JUDGED",
                "The body is too long for the authentication server",
            );
            return Err(Box::new(answer::problem(&error, exchange)));
        };
        *question.body_mut() = Body::from(bytes.clone());
        *request.body_mut() = Body::from(bytes);
        Ok(())
    }

    fn question(&self, request: &Request<Body>, exchange: &Exchange) -> Request<Body> {
        let theirs = request.headers();
        let mut question = Request::new(Body::empty());
        *question.method_mut() = if self.keep_method {
            request.method().clone()
        } else {
            Method::GET
        };
        *question.uri_mut() = self
            .address
            .path_and_query()
            .cloned()
            .map(Uri::from)
            .unwrap_or_default();
        let headers = question.headers_mut();
        *headers = theirs.clone();
        if let Some(only) = &self.only {
            *headers = HeaderMap::new();
            for name in only {
                headers.extend(theirs.get_all(name).iter().map(|value| (name.clone(), value.clone())));
            }
        }
        for name in [header::CONTENT_LENGTH, header::CONNECTION, header::UPGRADE, header::TE] {
            headers.remove(name);
        }
        let set = |headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value.filter(|_| !(self.trust && theirs.contains_key(&name))) {
                headers.insert(name, value);
            }
        };
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        set(
            headers,
            X_FORWARDED_METHOD,
            HeaderValue::from_str(request.method().as_str()).ok(),
        );
        set(headers, X_FORWARDED_URI, HeaderValue::from_str(target).ok());
        set(headers, X_FORWARDED_HOST, theirs.get(header::HOST).cloned());
        set(headers, X_FORWARDED_PROTO, HeaderValue::from_str(exchange.scheme).ok());
        if !self.trust {
            headers.remove(X_FORWARDED_FOR);
        }
        forwarded::append_peer(headers, exchange.ip_text());
        headers.insert(header::HOST, self.authority.clone());
        question
    }

    fn copy(&self, headers: &mut HeaderMap, answered: &HeaderMap) {
        for name in &self.copied {
            headers.remove(name);
            headers.extend(answered.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
        if let Some(pattern) = &self.copied_regex {
            let forged: Vec<HeaderName> = headers
                .keys()
                .filter(|name| pattern.is_match(name.as_str()))
                .cloned()
                .collect();
            forged.into_iter().for_each(|name| drop(headers.remove(name)));
            let given = answered.iter().filter(|(name, _)| pattern.is_match(name.as_str()));
            headers.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        }
    }

    fn wants_cookie(&self, value: &HeaderValue) -> bool {
        let name = value.to_str().ok().and_then(|text| text.split('=').next());
        name.is_some_and(|name| self.cookies.iter().any(|wanted| wanted == name))
    }

    /// A relative Location of the authentication server means a page of that server.
    fn absolute(&self, headers: &mut HeaderMap) {
        let relative = headers
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .filter(|text| text.starts_with('/'));
        let scheme = self.address.scheme_str().unwrap_or("http");
        let whole = relative.map(|path| format!("{scheme}://{}{path}", self.authority.to_str().unwrap_or_default()));
        if let Some(Ok(whole)) = whole.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::LOCATION, whole);
        }
    }
}

pub fn response(place: usize, mut response: Response, exchange: &mut Exchange) -> Response {
    if let Some(Note::Cookies(cookies)) = exchange.take_note(place) {
        for cookie in cookies {
            let name = |value: &HeaderValue| {
                value
                    .to_str()
                    .ok()
                    .and_then(|text| text.split('=').next())
                    .map(str::to_owned)
            };
            let kept: Vec<HeaderValue> = response
                .headers()
                .get_all(header::SET_COOKIE)
                .iter()
                .filter(|value| name(value) != name(&cookie))
                .cloned()
                .collect();
            response.headers_mut().remove(header::SET_COOKIE);
            let all = kept.into_iter().chain([cookie]);
            response
                .headers_mut()
                .extend(all.map(|value| (header::SET_COOKIE, value)));
        }
    }
    response
}
