//! A load balancer over remote servers: picks one, sends, and moves on when a server is dead.

use super::{
    budget::Budget,
    h1::Switched,
    live::Live,
    pool::{Failure, FailureKind, Pool},
    sticky::Sticky,
};
use crate::{
    answer,
    exchange::{Exchange, is_idempotent, set_target},
    forwarded,
};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use foundation::{Error, Kind};
use http::{HeaderValue, Request, StatusCode, header};
use http_body::Body as _;
use hyper_util::rt::TokioIo;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::io::AsyncWriteExt;
use tokio_util::task::TaskTracker;

/// How often a kept connection may turn out dead before that is the answer.
const KEPT_TRIES: u32 = 3;
/// A server that failed is asked last for this long.
const ASIDE: Duration = Duration::from_secs(2);

pub struct Balancer {
    pub name: Arc<str>,
    pub servers: Vec<Server>,
    pub strategy: Strategy,
    pub sticky: Option<Sticky>,
    pub pass_host: bool,
    /// Credits of the weighted round robin, by server.
    pub turn: Mutex<Vec<i64>>,
    pub budget: Arc<Budget>,
    /// Within this window so many failures take a server out for as long.
    pub passive: Option<(Duration, usize)>,
}

pub struct Server {
    pub url: Arc<str>,
    /// `host[:port]` as the URL has it.
    pub authority: HeaderValue,
    /// Put before the path when the server wants its own path kept.
    pub base: Option<String>,
    pub weight: i64,
    pub pool: Arc<Pool>,
    pub live: Arc<Live>,
    /// What the sticky cookie says for this server.
    pub token: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    RoundRobin,
    TwoChoices,
    /// The same client, the same server.
    Rendezvous,
    LeastTime,
}

impl Strategy {
    /// # Errors
    /// There is no strategy of this name.
    pub fn parse(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "" | "wrr" => Ok(Self::RoundRobin),
            "p2c" => Ok(Self::TwoChoices),
            "hrw" => Ok(Self::Rendezvous),
            "leasttime" => Ok(Self::LeastTime),
            _ => Err(format!(
                "unknown strategy '{name}'; there are wrr, p2c, hrw and leasttime"
            )),
        }
    }
}

impl Balancer {
    pub fn is_up(&self) -> bool {
        self.servers
            .iter()
            .any(|server| server.weight > 0 && server.live.is_healthy())
    }

    pub async fn call(&self, mut request: Request<Body>, exchange: &mut Exchange) -> Response {
        let wanted = self
            .sticky
            .as_ref()
            .and_then(|sticky| sticky.wanted(request.headers(), self.servers.iter().map(|s| s.token.as_str())));
        let wanted = wanted.filter(|&index| self.servers[index].live.is_healthy() && self.servers[index].weight > 0);
        let mut tried = Vec::new();
        let mut tries = 0;
        self.budget.earn();
        let mut began = None;
        loop {
            let Some(index) = wanted.filter(|_| tries == 0).or_else(|| self.pick(&tried, exchange)) else {
                return answer::problem(&answer::no_server(&self.name), exchange);
            };
            let server = &self.servers[index];
            exchange.server = Some(server.url.clone());
            tries += 1;
            let asked = Instant::now();
            let began = *began.get_or_insert(asked);
            match self.ask(server, request, exchange, asked).await {
                Ok((response, Some(again))) if may_retry(exchange, tries, began) && self.budget.spend() => {
                    tracing::debug!(
                        service = &*self.name,
                        server = &*server.url,
                        status = response.status().as_u16(),
                        "an answer is tried anew"
                    );
                    pause(exchange, tries).await;
                    request = again;
                }
                Ok((mut response, _)) => {
                    if let Some(logged) = &mut exchange.logged {
                        logged.retries = tries - 1;
                        logged.origin = Some((response.status().as_u16(), asked.elapsed()));
                    }
                    if let Some(sticky) = self.sticky.as_ref().filter(|_| wanted != Some(index)) {
                        sticky.set(response.headers_mut(), &server.token);
                    }
                    return response;
                }
                Err(failure) => {
                    let its_fault = !failure.kept && failure.kind != FailureKind::Client;
                    if failure.kind != FailureKind::Timeout && its_fault {
                        server.live.set_aside(ASIDE);
                    }
                    tracing::debug!(service = &*self.name, server = &*server.url, cause = failure.cause, kind = ?failure.kind, "a server did not answer");
                    if !failure.kept {
                        tried.push(index);
                    }
                    let servers = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
                    // Another server, or a new connection, costs the failing one nothing; the same one again does.
                    let elsewhere = tries < servers || (failure.kept && tries < KEPT_TRIES);
                    let configured = may_retry(exchange, tries, began) && !exchange.retry.not_on_network_error;
                    let left = elsewhere || (configured && self.budget.spend());
                    match failure.request {
                        Some(again) if left => {
                            if tried.len() >= self.servers.len() {
                                tried.clear();
                                pause(exchange, tries).await;
                            }
                            request = again;
                        }
                        _ => {
                            exchange.network_error = failure.kind != FailureKind::Client;
                            return answer::problem(&refusal(failure.kind, &self.name), exchange);
                        }
                    }
                }
            }
        }
    }

    /// The answer, and the request to try anew if its status is one the route wants tried anew.
    async fn ask(
        &self,
        server: &Server,
        request: Request<Body>,
        exchange: &Exchange,
        asked: Instant,
    ) -> Result<(Response, Option<Request<Body>>), Failure> {
        let safe = !exchange.upgrade && (is_idempotent(request.method()) || exchange.retry.any_method);
        let (request, original) = self.prepare(server, request, exchange, safe);
        let (request, client_side) = match exchange.upgrade {
            true => take_upgrade(request),
            false => (request, None),
        };
        let _working = Working::on(&server.live);
        match server.pool.send(request).await {
            Ok(mut response) => {
                server.live.answered(asked.elapsed());
                server.live.recovered();
                if response.status().is_server_error() {
                    self.note_failure(server);
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    join(&mut response, client_side, &exchange.peer.tunnels);
                } else {
                    forwarded::drop_hop_by_hop_of_response(response.headers_mut());
                }
                let again = original.filter(|_| exchange.retry.wants(response.status().as_u16()));
                Ok((response, again))
            }
            Err(mut failure) => {
                if !failure.kept && failure.kind != FailureKind::Client {
                    self.note_failure(server);
                }
                // A server that is slow is not helped by asking again, unless the route says so.
                let again = failure.kind != FailureKind::Timeout || exchange.retry.attempts > 1;
                let whole = failure.request.take().filter(|_| safe || !failure.sent);
                failure.request = whole.or(original).filter(|_| again);
                Err(failure)
            }
        }
    }

    fn note_failure(&self, server: &Server) {
        if let Some((window, most)) = self.passive
            && server.live.failed(window, most)
        {
            tracing::warn!(
                service = &*self.name,
                server = &*server.url,
                seconds = window.as_secs_f64(),
                "a server failed too often and is left out"
            );
        }
    }

    /// The request as this server gets it, and a copy to try again with where that is safe.
    fn prepare(
        &self,
        server: &Server,
        mut request: Request<Body>,
        exchange: &Exchange,
        safe: bool,
    ) -> (Request<Body>, Option<Request<Body>>) {
        if !self.pass_host {
            request.headers_mut().insert(header::HOST, server.authority.clone());
        }
        if let Some(base) = &server.base {
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let target = format!("{base}{target}");
            // What was a target stays one with a path before it.
            let _ = set_target(&mut request, target);
        }
        *request.version_mut() = http::Version::HTTP_11;
        let retry = &exchange.retry;
        // Over HTTP/1.1 a request without a body is whole until there is an answer.
        let copied =
            retry.body.is_some() || !retry.statuses.is_empty() || retry.attempts > 1 || server.pool.may_speak_h2();
        let body = || retry.body.clone().or(request.body().is_end_stream().then(Bytes::new));
        let copy = if safe && copied { body() } else { None };
        let copy = copy.map(|body| copy_with(&request, body));
        (request, copy)
    }

    fn pick(&self, tried: &[usize], exchange: &Exchange) -> Option<usize> {
        let usable = |index: &usize| {
            let server = &self.servers[*index];
            server.weight > 0 && server.live.is_healthy() && !tried.contains(index)
        };
        if self.servers.len() == 1 {
            return Some(0).filter(usable);
        }
        let all: Vec<usize> = (0..self.servers.len()).filter(usable).collect();
        let mut candidates: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&index| !self.servers[index].live.is_aside())
            .collect();
        if candidates.is_empty() {
            candidates = all;
        }
        match self.strategy {
            _ if candidates.len() < 2 => candidates.first().copied(),
            Strategy::RoundRobin => self.round_robin(&candidates),
            Strategy::TwoChoices => {
                let first = candidates[rand::random_range(0..candidates.len())];
                let second = candidates[rand::random_range(0..candidates.len())];
                let load = |index: usize| self.servers[index].live.peak_cost();
                Some(if load(second) < load(first) { second } else { first })
            }
            Strategy::Rendezvous => candidates.into_iter().max_by_key(|&index| {
                let mut hasher = DefaultHasher::new();
                (exchange.ip(), &self.servers[index].url).hash(&mut hasher);
                hasher.finish()
            }),
            Strategy::LeastTime => candidates.into_iter().min_by_key(|&index| {
                let server = &self.servers[index];
                server.live.cost() / u64::try_from(server.weight).unwrap_or(1).max(1)
            }),
        }
    }

    /// Smooth weighted round robin: everyone earns its weight, the richest pays for all.
    fn round_robin(&self, candidates: &[usize]) -> Option<usize> {
        let mut credit = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        credit.resize(self.servers.len(), 0);
        smooth(&mut credit, candidates, |index| self.servers[index].weight)
    }
}

fn may_retry(exchange: &Exchange, tries: u32, began: Instant) -> bool {
    let in_time = exchange.retry.within.is_none_or(|within| began.elapsed() < within);
    in_time && tries < exchange.retry.attempts
}

/// Picks by smooth weighted round robin; on equal credit the first.
pub fn smooth(credit: &mut [i64], candidates: &[usize], weight: impl Fn(usize) -> i64) -> Option<usize> {
    let mut total = 0;
    let mut best: Option<usize> = None;
    for &index in candidates {
        credit[index] += weight(index);
        total += weight(index);
        if best.is_none_or(|best| credit[index] > credit[best]) {
            best = Some(index);
        }
    }
    if let Some(best) = best {
        credit[best] -= total;
    }
    best
}

fn copy_with(request: &Request<Body>, body: Bytes) -> Request<Body> {
    let mut copy = Request::new(if body.is_empty() {
        Body::empty()
    } else {
        Body::from(body)
    });
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

async fn pause(exchange: &Exchange, tries: u32) {
    if !exchange.retry.pause.is_zero() {
        tokio::time::sleep(exchange.retry.pause * 2_u32.saturating_pow(tries.min(6) - 1)).await;
    }
}

pub fn refusal(kind: FailureKind, service: &str) -> Error {
    match kind {
        FailureKind::Timeout => Error::new(
            Kind::Timeout,
            "UPSTREAM_TIMEOUT",
            format!("'{service}' did not answer in time"),
        ),
        FailureKind::Client => answer::bad_request("the body ended before it was whole"),
        FailureKind::Connect => Error::new(
            Kind::BadGateway,
            "UPSTREAM_UNREACHABLE",
            format!("'{service}' cannot be reached"),
        ),
        FailureKind::Broken => Error::new(
            Kind::BadGateway,
            "UPSTREAM_BROKEN",
            format!("'{service}' broke off before it answered"),
        ),
    }
}

/// The client's side of a protocol switch must be kept before the request goes out.
fn take_upgrade(mut request: Request<Body>) -> (Request<Body>, Option<hyper::upgrade::OnUpgrade>) {
    let side = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
    (request, side)
}

/// Both sides have switched: from here on bytes pass unread.
fn join(response: &mut Response, client_side: Option<hyper::upgrade::OnUpgrade>, tunnels: &TaskTracker) {
    let switched = response.extensions_mut().remove::<Switched>();
    let server_side = switched.and_then(|switched| switched.take());
    let (Some(client_side), Some((mut server, said))) = (client_side, server_side) else {
        return;
    };
    tunnels.spawn(async move {
        let Ok(client) = client_side.await else { return };
        let mut client = TokioIo::new(client);
        if client.write_all(&said).await.is_ok() {
            // Either side may end a tunnel as it likes.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    });
}

struct Working<'a>(&'a Live);

impl<'a> Working<'a> {
    fn on(live: &'a Live) -> Self {
        live.in_flight.fetch_add(1, Relaxed);
        Self(live)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_exactly_and_mixed() {
        let mut credit = vec![0; 2];
        let weights = [3, 1];
        let order: Vec<_> = (0..8)
            .filter_map(|_| smooth(&mut credit, &[0, 1], |i| weights[i]))
            .collect();
        assert_eq!(order, [0, 0, 1, 0, 0, 0, 1, 0]);
    }
}
