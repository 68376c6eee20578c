//! Services: where a router's requests go. In this process, to balanced servers, to other services, or to the gateway itself.

pub mod balancer;
pub mod budget;
pub mod h1;
pub mod h2;
pub mod health;
pub mod internal;
pub mod live;
pub mod pool;
pub mod sticky;

use crate::{answer, exchange::Exchange};
use axum::{body::Body, response::Response};
use balancer::{Balancer, smooth};
use futures_util::future::BoxFuture;
use http::{Request, StatusCode};
use http_chassis::in_process::InProcess;
use internal::Internal;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};
use sticky::Sticky;
use tower::Service as _;

pub struct Service {
    /// With its provider: `links@internal`.
    pub name: Arc<str>,
    pub upstream: Upstream,
}

pub enum Upstream {
    InProcess(InProcess),
    Remote(Balancer),
    Weighted(Weighted),
    /// The same client, the same service, in proportion to their weights.
    Rendezvous(Vec<Child>),
    Mirroring(Mirroring),
    Failover(Arc<Service>, Arc<Service>),
    Internal(Internal),
}

pub struct Weighted {
    pub children: Vec<Child>,
    pub sticky: Option<Sticky>,
    pub turn: Mutex<Vec<i64>>,
}

pub struct Child {
    pub service: Arc<Service>,
    pub weight: i64,
    pub token: String,
}

pub struct Mirroring {
    pub main: Arc<Service>,
    pub mirrors: Vec<Mirror>,
    pub mirror_body: bool,
    /// Larger bodies are not mirrored; below zero there is no limit.
    pub max_body: i64,
}

pub struct Mirror {
    pub service: Arc<Service>,
    pub percent: u64,
    /// Requests seen and copied.
    pub counts: Mutex<(u64, u64)>,
}

impl Service {
    /// What a service of this process answers without waiting for anything.
    pub fn at_once(&self, request: &Request<Body>) -> Option<Response> {
        match &self.upstream {
            Upstream::InProcess(service) => service.at_once.as_ref().and_then(|answer| answer(request)),
            _ => None,
        }
    }

    /// Boxed, because services call services.
    pub fn call<'a>(&'a self, request: Request<Body>, exchange: &'a mut Exchange) -> BoxFuture<'a, Response> {
        Box::pin(self.answer(request, exchange))
    }

    async fn answer(&self, request: Request<Body>, exchange: &mut Exchange) -> Response {
        match &self.upstream {
            Upstream::InProcess(service) => {
                let mut router = service.router.clone();
                // A router is always ready and never fails: both are written in its types.
                match router.call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            Upstream::Remote(balancer) => balancer.call(request, exchange).await,
            Upstream::Internal(internal) => internal.call(request, exchange).await,
            Upstream::Weighted(weighted) => weighted.call(request, exchange, &self.name).await,
            Upstream::Rendezvous(children) => match rendezvous(children, exchange) {
                Some(child) => child.service.call(request, exchange).await,
                None => answer::problem(&answer::no_server(&self.name), exchange),
            },
            Upstream::Mirroring(mirroring) => mirroring.call(request, exchange).await,
            Upstream::Failover(main, fallback) => {
                let chosen = if main.is_up() { main } else { fallback };
                chosen.call(request, exchange).await
            }
        }
    }

    /// Whether anybody could answer.
    pub fn is_up(&self) -> bool {
        match &self.upstream {
            Upstream::InProcess(_) | Upstream::Internal(_) => true,
            Upstream::Remote(balancer) => balancer.is_up(),
            Upstream::Weighted(weighted) => weighted.children.iter().any(|child| child.service.is_up()),
            Upstream::Rendezvous(children) => children.iter().any(|child| child.service.is_up()),
            Upstream::Mirroring(mirroring) => mirroring.main.is_up(),
            Upstream::Failover(main, fallback) => main.is_up() || fallback.is_up(),
        }
    }
}

/// Rendezvous hashing with weights: each service draws a number from its name and the client, and the highest weight / -ln(number)
/// wins, so a service that comes or goes moves its own clients only.
fn rendezvous<'a>(children: &'a [Child], exchange: &Exchange) -> Option<&'a Child> {
    let usable = children
        .iter()
        .filter(|child| child.weight > 0 && child.service.is_up());
    let score = |child: &Child| {
        let mut hasher = DefaultHasher::new();
        (exchange.ip(), &child.token).hash(&mut hasher);
        let drawn = (hasher.finish() as f64 + 1.0) / (u64::MAX as f64 + 2.0);
        child.weight as f64 / -drawn.ln()
    };
    usable.max_by(|a, b| score(a).total_cmp(&score(b)))
}

impl Weighted {
    async fn call(&self, request: Request<Body>, exchange: &mut Exchange, name: &str) -> Response {
        let tokens = self.children.iter().map(|child| child.token.as_str());
        let wanted = self
            .sticky
            .as_ref()
            .and_then(|sticky| sticky.wanted(request.headers(), tokens));
        let wanted = wanted.filter(|&index| self.children[index].weight > 0 && self.children[index].service.is_up());
        let Some(index) = wanted.or_else(|| self.pick()) else {
            return answer::problem(&answer::no_server(name), exchange);
        };
        let child = &self.children[index];
        let mut response = child.service.call(request, exchange).await;
        if let Some(sticky) = self.sticky.as_ref().filter(|_| wanted.is_none()) {
            sticky.set(response.headers_mut(), &child.token);
        }
        response
    }

    fn pick(&self) -> Option<usize> {
        let usable = |index: &usize| self.children[*index].weight > 0 && self.children[*index].service.is_up();
        let candidates: Vec<usize> = (0..self.children.len()).filter(usable).collect();
        let mut credit = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        credit.resize(self.children.len(), 0);
        smooth(&mut credit, &candidates, |index| self.children[index].weight)
    }
}

impl Mirroring {
    /// The main service answers; copies go out beside it and what they answer is dropped.
    async fn call(&self, request: Request<Body>, exchange: &mut Exchange) -> Response {
        let due: Vec<Arc<Service>> = self
            .mirrors
            .iter()
            .filter(|mirror| mirror.is_due())
            .map(|mirror| mirror.service.clone())
            .collect();
        if due.is_empty() {
            return self.main.call(request, exchange).await;
        }
        let (parts, body) = request.into_parts();
        let limit = usize::try_from(self.max_body).unwrap_or(usize::MAX);
        let bytes = match axum::body::to_bytes(body, limit).await {
            Ok(bytes) => bytes,
            Err(_) => {
                let error = foundation::Error::new(
                    foundation::Kind::TooLarge,
                    "BODY_TOO_LARGE",
                    "The body is too large to be mirrored",
                );
                return answer::problem(&error, exchange);
            }
        };
        for service in due {
            let mut copy = Request::from_parts(parts.clone(), Body::empty());
            if self.mirror_body {
                *copy.body_mut() = Body::from(bytes.clone());
            } else {
                copy.headers_mut().remove(http::header::CONTENT_LENGTH);
            }
            let mut aside = exchange.aside();
            tokio::spawn(async move { drop(service.call(copy, &mut aside).await) });
        }
        let request = Request::from_parts(parts, Body::from(bytes));
        self.main.call(request, exchange).await
    }
}

impl Mirror {
    fn is_due(&self) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.0 += 1;
        let due = counts.1 * 100 < counts.0 * self.percent;
        counts.1 += u64::from(due);
        due
    }
}

/// A teapot: Traefik's `noop@internal`.
pub fn noop() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::IM_A_TEAPOT;
    response
}
