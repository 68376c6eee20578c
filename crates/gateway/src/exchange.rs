//! What is known of one request on its way down the chain and of its answer on the way up.

use crate::{forwarded, listener::Peer, middleware::Note};
use axum::body::Body;
use foundation::Error;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, uri::PathAndQuery};
use http_chassis::auth::{self, Verified, Verifier};
use std::{net::IpAddr, sync::Arc};
use telemetry::trace::TraceContext;

pub struct Exchange {
    pub peer: Arc<Peer>,
    /// The client a proxy we trust speaks for, in the peer's place.
    pub client: Option<IpAddr>,
    /// Canonical: lower case, no port.
    pub host: Box<str>,
    /// The canonical path as it came, for problems and the log.
    pub instance: Box<str>,
    /// Printable ASCII.
    pub request_id: HeaderValue,
    pub trace: TraceContext,
    /// `https` or `http`, as the client used it.
    pub scheme: &'static str,
    pub token: Token,
    /// Who an authenticating middleware found, for the log.
    pub username: Option<Box<str>>,
    /// How often a request may be tried anew, beyond what a dead connection excuses.
    pub retry: Retry,
    /// Left by the request half of a middleware for its response half, by place in the chain.
    pub notes: Vec<(usize, Note)>,
    /// The server that answered, for the log and for sticky cookies.
    pub server: Option<Arc<str>>,
    pub upgrade: bool,
    /// For the access log, where it is written as Traefik does.
    pub logged: Option<Box<crate::access_log::Logged>>,
    /// The upstream could not be reached or broke off; for breakers.
    pub network_error: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    pub attempts: u32,
    pub any_method: bool,
    pub pause: std::time::Duration,
    /// Answers with these are tried anew, too: from and to, both included.
    pub statuses: std::sync::Arc<[(u16, u16)]>,
    /// After this long nothing is tried anew.
    pub within: Option<std::time::Duration>,
    /// A dead connection is not tried anew for the route's sake.
    pub not_on_network_error: bool,
    /// Bodies up to this long are read first, so that they can be sent again.
    pub most_body: Option<usize>,
    /// The body, once it has been read.
    pub body: Option<bytes::Bytes>,
}

impl Retry {
    pub fn wants(&self, status: u16) -> bool {
        self.statuses.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

/// The bearer token, looked at once, by whoever asks first.
pub enum Token {
    Unread,
    Absent,
    Valid(Arc<Verified>),
    Invalid(Arc<Error>),
}

impl Exchange {
    pub fn ip(&self) -> IpAddr {
        self.client.unwrap_or_else(|| self.peer.address.ip())
    }

    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// The client's address as it stands in headers.
    pub fn ip_text(&self) -> HeaderValue {
        match self.client {
            Some(ip) => forwarded::address(ip),
            None => self.peer.ip_text.clone(),
        }
    }

    pub fn token(&mut self, headers: &HeaderMap, verifier: Option<&Verifier>) -> &Token {
        if matches!(self.token, Token::Unread) {
            self.token = match (verifier, auth::bearer(headers)) {
                (None, _) | (_, Ok(None)) => Token::Absent,
                (Some(verifier), Ok(Some(token))) => match verifier.verify(token) {
                    Ok(verified) => Token::Valid(verified),
                    Err(error) => Token::Invalid(Arc::new(error)),
                },
                (Some(_), Err(error)) => Token::Invalid(Arc::new(error)),
            };
        }
        &self.token
    }

    /// Takes the note a middleware left at its place.
    pub fn take_note(&mut self, place: usize) -> Option<Note> {
        let index = self.notes.iter().position(|(at, _)| *at == place)?;
        Some(self.notes.swap_remove(index).1)
    }
}

/// Replaces the path and keeps the query. `None` when the path is none.
pub fn set_path(request: &mut Request<Body>, path: &str) -> Option<()> {
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    set_target(request, target)
}

pub fn set_target(request: &mut Request<Body>, target: String) -> Option<()> {
    let target = PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).ok()?;
    *request.uri_mut() = Uri::from(target);
    Some(())
}

/// RFC 9110 section 9.2.2.
pub fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

impl Exchange {
    /// The same request, for a copy that nobody waits for.
    pub fn aside(&self) -> Self {
        Self {
            peer: self.peer.clone(),
            client: self.client,
            host: self.host.clone(),
            instance: self.instance.clone(),
            request_id: self.request_id.clone(),
            trace: self.trace,
            scheme: self.scheme,
            token: Token::Absent,
            username: None,
            retry: Retry::default(),
            notes: Vec::new(),
            server: None,
            upgrade: false,
            logged: None,
            network_error: false,
        }
    }
}
