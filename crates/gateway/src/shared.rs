//! A request from the parser to its answer: refuse what is ambiguous, canonicalise, route, run the chain, count and log.

use crate::{
    access_log::{self, AccessLog as AccessLogFile, Logged},
    acme::{Acme, challenge},
    answer, canonical,
    exchange::{Exchange, Retry, Token, set_target},
    forwarded,
    listener::{Peer, guard, lanes},
    meter::{self, Meter, Scope},
    settings::{AccessLog, Settings},
    snapshot::{Entry, Snapshot},
    state::State,
};
use arc_swap::ArcSwap;
use axum::{body::Body, response::Response};
use foundation::{Error, Kind};
use http::{HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use http_body::Body as _;
use http_chassis::{auth::Verifier, request_id};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};
use telemetry::trace::{Kind as SpanKind, Span, TRACEPARENT, TraceContext, Tracer};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// So many headers are told the next hop.
const TOLD: usize = 10;

pub struct Shared {
    pub settings: Settings,
    pub snapshot: ArcSwap<Snapshot>,
    pub state: State,
    pub meter: Meter,
    pub tracer: Tracer,
    pub verifier: Option<Arc<Verifier>>,
    pub server_name: HeaderValue,
    /// Another process has taken the sockets: nothing is accepted any more, and kept connections end after their answer.
    pub leaving: CancellationToken,
    pub tunnels: TaskTracker,
    /// Written as Traefik does, where that is asked for.
    pub access_log: Option<AccessLogFile>,
    pub acme: Arc<Acme>,
    /// What `Alt-Svc` says, by entrypoint: where HTTP/3 is spoken.
    pub alternatives: Vec<Option<HeaderValue>>,
}

impl Shared {
    pub async fn serve(&self, peer: Arc<Peer>, mut request: Request<Body>) -> Response {
        let started = Instant::now();
        let snapshot = self.snapshot.load_full();
        let entry = &snapshot.entries[peer.entry];
        let (method, version) = (request.method().clone(), request.version());
        if request.uri().path().starts_with(challenge::PATH)
            && let Some(token) = Box::pin(self.acme.challenges.token(request.uri().path())).await
        {
            // An authority looks for a proof: before any router, and whatever redirects there are.
            return answer::text(StatusCode::OK, token);
        }
        let (mut exchange, mut span) = self.begin(peer, &request);
        let admitted = match lanes::is_overloaded() && !entry.is_admin {
            true => Err(Box::new(answer::problem(&answer::overloaded(), &exchange))),
            false => self.admit(&mut request, &mut exchange, entry),
        };
        let found = admitted.map(|()| {
            let routes = if exchange.peer.tls { &entry.secure } else { &entry.plain };
            routes.find(&request, &exchange)
        });
        let (mut response, scope) = match found {
            Ok(Some(route)) => (route.run(request, &mut exchange).await, &route.scope),
            Ok(None) => (answer::problem(&answer::no_route(), &exchange), &entry.scope),
            Err(refused) => (*refused, &entry.scope),
        };
        self.address(&mut response, &exchange, version);
        let seen = Seen {
            method,
            version,
            started,
        };
        self.end(&seen, &response, &exchange, scope, entry);
        span.attribute("http.request.method", seen.method.to_string());
        span.end_http(response.status().as_u16());
        response
    }

    /// What an answer says of this hop, whoever gave it.
    fn address(&self, response: &mut Response, exchange: &Exchange, version: Version) {
        // A server of HTTP/1.0 behind us does not make us one.
        *response.version_mut() = Version::HTTP_11;
        let headers = response.headers_mut();
        headers
            .entry(request_id::HEADER)
            .or_insert_with(|| exchange.request_id.clone());
        if self.leaving.is_cancelled() && version <= Version::HTTP_11 && !exchange.upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(Some(alternative)) = self.alternatives.get(exchange.peer.entry)
            && exchange.peer.tls
            && version < Version::HTTP_3
        {
            headers.insert(header::ALT_SVC, alternative.clone());
        }
    }

    fn begin(&self, peer: Arc<Peer>, request: &Request<Body>) -> (Exchange, Span) {
        let headers = request.headers();
        let parent = TraceContext::from_headers(headers);
        let span = self.tracer.span("gateway", SpanKind::Server, parent);
        let scheme = if peer.tls { "https" } else { "http" };
        let exchange = Exchange {
            client: None,
            host: Box::default(),
            instance: request.uri().path().into(),
            request_id: request_id::value(headers),
            trace: span.context,
            scheme,
            token: Token::Unread,
            username: None,
            retry: Retry::default(),
            notes: Vec::new(),
            server: None,
            upgrade: false,
            logged: self.access_log.as_ref().map(|_| Box::new(logged(request))),
            network_error: false,
            peer,
        };
        (exchange, span)
    }

    /// Brings the request to its canonical form, or refuses it.
    fn admit(&self, request: &mut Request<Body>, exchange: &mut Exchange, entry: &Entry) -> Result<(), Box<Response>> {
        let refuse = |exchange: &Exchange, error: Error| {
            let mut response = answer::problem(&error, exchange);
            // Whoever sent this may have sent more after it that we should not read.
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            Box::new(response)
        };
        let wrong = exchange.peer.verdict.load(Relaxed);
        if wrong != 0 {
            let message = guard::WRONGS.get(usize::from(wrong)).copied().unwrap_or_default();
            return Err(refuse(exchange, answer::bad_request(message)));
        }
        if *request.method() == Method::CONNECT {
            let mut response = answer::problem(
                &Error::new(Kind::MethodNotAllowed, "CONNECT_REFUSED", "This is no forward proxy"),
                exchange,
            );
            response.headers_mut().insert(
                header::ALLOW,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            );
            return Err(Box::new(response));
        }
        if let Some(cloudflare) = &entry.cloudflare {
            exchange.client = cloudflare.client(exchange.peer.address.ip(), request.headers_mut());
        }
        let host = host_of(request).map_err(|error| refuse(exchange, error))?;
        let name = host.to_str().ok().and_then(|text| canonical::host(text).ok());
        let name = name.ok_or_else(|| refuse(exchange, answer::bad_request("the Host is no host name")))?;
        exchange.host = name.into();
        if *request.method() == Method::OPTIONS && request.uri().path() == "*" {
            return Err(Box::new(Response::new(Body::empty())));
        }
        canonicalise(request, entry.keep_semicolons)
            .map_err(|ambiguous| refuse(exchange, answer::bad_request(ambiguous.0)))?;
        if request.uri().path() != &*exchange.instance {
            exchange.instance = request.uri().path().into();
        }
        let named = exchange.peer.server_name.as_deref().unwrap_or_default();
        let misdirected = exchange.peer.tls && entry.tls.options(named) != entry.tls.options(&exchange.host);
        if misdirected {
            // The handshake was made under other rules than this host demands (RFC 9110 section 15.5.20).
            let error = answer::bad_request("this connection was made for another host");
            return Err(Box::new(answer::problem_as(
                StatusCode::MISDIRECTED_REQUEST.as_u16(),
                &error,
                exchange,
            )));
        }
        self.headers(request, exchange, entry, host);
        Ok(())
    }

    fn headers(&self, request: &mut Request<Body>, exchange: &mut Exchange, entry: &Entry, host: HeaderValue) {
        // Behind Cloudflare what may stay was decided on entry.
        let trusted = entry.cloudflare.is_some() || entry.forwarded.trusts(exchange.ip());
        let headers = request.headers_mut();
        // What is told below, without growing in steps.
        headers.reserve(TOLD);
        forwarded::drop_forged(headers, trusted);
        let upgrade = forwarded::drop_hop_by_hop(headers);
        let websocket = upgrade
            .as_ref()
            .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
        exchange.upgrade = upgrade.is_some();
        headers.remove(header::EXPECT);
        forwarded::tell(
            headers,
            &forwarded::Facts {
                peer: exchange.ip_text(),
                tls: exchange.peer.tls,
                websocket,
                host: &host,
                server_name: &self.server_name,
            },
        );
        if let Some(protocol) = upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, protocol);
        }
        headers.insert(header::HOST, host);
        headers.insert(request_id::HEADER, exchange.request_id.clone());
        headers.insert(TRACEPARENT, traceparent(&exchange.trace));
    }

    fn end(&self, seen: &Seen, response: &Response, exchange: &Exchange, scope: &Scope, entry: &Entry) {
        let took = seen.started.elapsed();
        let status = response.status().as_u16();
        let protocol = if exchange.upgrade { "websocket" } else { "http" };
        if scope.counts {
            scope.count(&self.meter, status, &seen.method, protocol, took);
        }
        if !scope.logs {
            return;
        }
        if let (Some(log), Some(logged)) = (&self.access_log, &exchange.logged) {
            if !entry.is_admin || log.internals() {
                log.write(&access_log::Entry {
                    exchange,
                    logged,
                    scope,
                    method: &seen.method,
                    version: seen.version,
                    status,
                    took,
                    content_size: response.body().size_hint().exact().unwrap_or(0),
                    response_headers: response.headers(),
                });
            }
        } else if self.settings.access_log == AccessLog::On && !entry.is_admin {
            meter::log(&meter::Entry {
                exchange,
                scope,
                method: &seen.method,
                version: seen.version,
                status,
                took,
                content_size: response.body().size_hint().exact().unwrap_or(0),
            });
        }
    }
}

fn logged(request: &Request<Body>) -> Logged {
    Logged {
        headers: request.headers().clone(),
        target: request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned(),
        request_size: request.body().size_hint().exact().unwrap_or(0),
        ..Logged::default()
    }
}

struct Seen {
    method: Method,
    version: Version,
    started: Instant,
}

/// The one host the request is for: its target's authority, else its only Host header.
fn host_of(request: &Request<Body>) -> Result<HeaderValue, Error> {
    if let Some(authority) = request.uri().authority() {
        return HeaderValue::from_str(authority.as_str())
            .map_err(|_| answer::bad_request("the target's host is no host name"));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Ok(host.clone()),
        (None, _) if request.version() < Version::HTTP_11 => Ok(HeaderValue::from_static("")),
        (None, _) => Err(answer::bad_request("the Host header is missing")),
        (Some(_), Some(_)) => Err(answer::bad_request("there is more than one Host header")),
    }
}

fn canonicalise(request: &mut Request<Body>, keep_semicolons: bool) -> Result<(), canonical::Ambiguous> {
    const NO_PATH: canonical::Ambiguous = canonical::Ambiguous("the request target is no path");
    let uri = request.uri();
    if uri.scheme().is_none() && uri.authority().is_some() {
        return Err(NO_PATH);
    }
    let raw = uri.path();
    let path = canonical::path(if raw.is_empty() { "/" } else { raw })?;
    if !path.starts_with('/') || !raw.starts_with('/') && !raw.is_empty() {
        return Err(NO_PATH);
    }
    let query = uri.query().map(|query| canonical::query(query, keep_semicolons));
    let same = *path == *raw && query.as_deref() == uri.query();
    if same && uri.authority().is_none() {
        return Ok(());
    }
    if same {
        let target = uri.path_and_query().cloned().ok_or(NO_PATH)?;
        *request.uri_mut() = Uri::from(target);
        return Ok(());
    }
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    set_target(request, target).ok_or(NO_PATH)
}

fn traceparent(context: &TraceContext) -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 55];
    text[..2].copy_from_slice(b"00");
    let mut write = |at: usize, bytes: &[u8]| {
        for (index, byte) in bytes.iter().enumerate() {
            text[at + 2 * index] = HEX[usize::from(byte >> 4)];
            text[at + 2 * index + 1] = HEX[usize::from(byte & 15)];
        }
    };
    write(3, &context.trace_id);
    write(36, &context.span_id);
    write(53, &[u8::from(context.sampled)]);
    HeaderValue::from_bytes(&text).expect("hex digits and dashes are a header value")
}
