//! rateLimit. Traefik's form is a token bucket per source. Ours, switched on by `headers`, counts exactly: so many requests per
//! period and client, told on every answer of the route, and clients without a valid token may have a number of their own.

use super::{Flow, Note, limit_redis::Shared};
use crate::{
    address::Strategy,
    answer,
    exchange::{Exchange, Token},
};
use axum::{body::Body, response::Response};
use foundation::{Error, Kind};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_chassis::auth::Verifier;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub struct Limit {
    pub form: Form,
    pub source: Source,
    pub buckets: Arc<Buckets>,
    /// Where several gateways count together; what is counted here has this name there.
    pub shared: Option<(Arc<Shared>, String)>,
}

pub enum Form {
    /// `rate` tokens a second, `burst` at most; a request may wait a little for its token.
    Bucket {
        rate: f64,
        burst: f64,
        longest_wait: Duration,
    },
    /// `limit` requests per `period`; `anonymous` for clients without a valid token.
    Window {
        limit: u64,
        anonymous: u64,
        period: Duration,
    },
    Off,
}

/// What makes two requests those of one client.
pub enum Source {
    Address(Strategy),
    Header(HeaderName),
    Host,
    /// The subject of a valid token, else the address.
    Subject(Option<Arc<Verifier>>),
}

impl Source {
    /// The key, and whether a valid token stands behind it.
    pub fn key(&self, headers: &HeaderMap, exchange: &mut Exchange) -> (String, bool) {
        match self {
            Self::Address(strategy) => (strategy.client(exchange.ip(), headers), false),
            Self::Header(name) => {
                let text = headers.get(name).and_then(|value| value.to_str().ok());
                (text.unwrap_or_default().to_owned(), false)
            }
            Self::Host => (exchange.host.to_string(), false),
            Self::Subject(verifier) => match exchange.token(headers, verifier.as_deref()) {
                Token::Valid(verified) => (format!("sub {}", verified.principal.user_id), true),
                _ => (network(exchange.ip()), false),
            },
        }
    }
}

/// One IPv6 customer has a /64 to choose addresses from.
fn network(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// How a client stands after a request.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub limit: u64,
    pub remaining: u64,
    /// Seconds
    pub reset: u64,
}

/// What the configuration's largest number means.
const UNLIMITED: u64 = i64::MAX as u64;
const SHARDS: usize = 16;
/// A shard this large is swept of clients whose time has passed.
const SWEEP_AT: usize = 4096;

pub struct Buckets {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    clients: HashMap<String, Client>,
    sweep_at: usize,
}

#[derive(Clone, Copy)]
struct Client {
    since: Instant,
    /// Tokens left at `since`, or requests counted since.
    amount: f64,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: Default::default(),
        }
    }
}

impl Buckets {
    fn with<T>(
        &self,
        key: &str,
        stale: impl Fn(&Client) -> bool,
        fresh: Client,
        change: impl FnOnce(&mut Client) -> T,
    ) -> T {
        let shard = usize::try_from(self.hasher.hash_one(key)).unwrap_or(0) % SHARDS;
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = shard.clients.get_mut(key) {
            return change(client);
        }
        if shard.clients.len() >= shard.sweep_at.max(SWEEP_AT) {
            shard.clients.retain(|_, client| !stale(client));
            shard.sweep_at = shard.clients.len() * 2;
        }
        change(shard.clients.entry(key.to_owned()).or_insert(fresh))
    }

    /// Takes a token; how long to wait for it.
    fn take(
        &self,
        key: &str,
        rate: f64,
        burst: f64,
        longest_wait: Duration,
        now: Instant,
    ) -> Result<Duration, Duration> {
        let fresh = Client {
            since: now,
            amount: burst,
        };
        let full = |client: &Client| now.duration_since(client.since).as_secs_f64() * rate + client.amount >= burst;
        self.with(key, full, fresh, |client| {
            let level = (client.amount + now.duration_since(client.since).as_secs_f64() * rate).min(burst);
            let wait = Duration::try_from_secs_f64(((1.0 - level) / rate).max(0.0)).unwrap_or(Duration::MAX);
            *client = Client {
                since: now,
                amount: level,
            };
            if wait > longest_wait {
                return Err(wait);
            }
            client.amount -= 1.0;
            Ok(wait)
        })
    }

    /// Counts a request, unless the limit is reached.
    fn count(&self, key: &str, limit: u64, period: Duration, now: Instant) -> Result<Standing, Standing> {
        let fresh = Client {
            since: now,
            amount: 0.0,
        };
        let over = |client: &Client| now.duration_since(client.since) >= period;
        self.with(key, over, fresh, |client| {
            if over(client) {
                *client = fresh;
            }
            let left = period.saturating_sub(now.duration_since(client.since));
            let used = client.amount as u64;
            let standing = |remaining| Standing {
                limit,
                remaining,
                reset: (left.as_secs_f64().ceil() as u64).max(1),
            };
            if used >= limit {
                return Err(standing(0));
            }
            client.amount += 1.0;
            Ok(standing(limit - used - 1))
        })
    }
}

impl Limit {
    async fn take(
        &self,
        key: &str,
        rate: f64,
        burst: f64,
        longest_wait: Duration,
        now: Instant,
    ) -> Result<Duration, Duration> {
        if let Some((shared, name)) = &self.shared
            && let Some(answer) = shared
                .take(&format!("{name} bucket {key}"), rate, burst, longest_wait)
                .await
        {
            return answer;
        }
        self.buckets.take(key, rate, burst, longest_wait, now)
    }

    async fn count(&self, key: &str, limit: u64, period: Duration, now: Instant) -> Result<Standing, Standing> {
        if let Some((shared, name)) = &self.shared
            && let Some(answer) = shared.count(&format!("{name} window {key}"), limit, period).await
        {
            return answer;
        }
        self.buckets.count(key, limit, period, now)
    }

    pub async fn request(&self, place: usize, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
        let now = Instant::now();
        match self.form {
            Form::Off => Flow::On,
            Form::Bucket {
                rate,
                burst,
                longest_wait,
            } => {
                let (key, _) = self.source.key(request.headers(), exchange);
                match self.take(&key, rate, burst, longest_wait, now).await {
                    Ok(Duration::ZERO) => Flow::On,
                    Ok(wait) => {
                        tokio::time::sleep(wait).await;
                        Flow::On
                    }
                    Err(wait) => {
                        let mut response = answer::problem(&too_many(wait), exchange);
                        let wait = crate::model::Period(wait).to_string();
                        if let Ok(wait) = HeaderValue::from_str(&wait) {
                            response
                                .headers_mut()
                                .insert(HeaderName::from_static("x-retry-in"), wait);
                        }
                        Flow::Answer(response)
                    }
                }
            }
            Form::Window {
                limit,
                anonymous,
                period,
            } => {
                let (key, known) = self.source.key(request.headers(), exchange);
                let limit = if known { limit } else { anonymous };
                if limit >= UNLIMITED {
                    return Flow::On;
                }
                match self.count(&key, limit, period, now).await {
                    Ok(standing) => {
                        exchange.notes.push((place, Note::Limit(standing)));
                        Flow::On
                    }
                    Err(standing) => {
                        let mut response = answer::problem(&too_many(Duration::from_secs(standing.reset)), exchange);
                        tell(response.headers_mut(), standing);
                        Flow::Answer(response)
                    }
                }
            }
        }
    }
}

pub fn response(place: usize, mut response: Response, exchange: &mut Exchange) -> Response {
    if let Some(Note::Limit(standing)) = exchange.take_note(place) {
        tell(response.headers_mut(), standing);
    }
    response
}

fn tell(headers: &mut HeaderMap, standing: Standing) {
    headers.insert(
        HeaderName::from_static("x-ratelimit-limit"),
        HeaderValue::from(standing.limit),
    );
    headers.insert(
        HeaderName::from_static("x-ratelimit-remaining"),
        HeaderValue::from(standing.remaining),
    );
    headers.insert(
        HeaderName::from_static("x-ratelimit-reset"),
        HeaderValue::from(standing.reset),
    );
}

fn too_many(wait: Duration) -> Error {
    let seconds = u32::try_from(wait.as_secs_f64().ceil() as u64)
        .unwrap_or(u32::MAX)
        .max(1);
    let error = Error::new(
        Kind::TooMany,
        "RATE_LIMITED",
        format!("Too many requests; try again in {seconds} s"),
    );
    error.retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_admits_exactly_its_limit_and_starts_anew() {
        let (buckets, start, minute) = (Buckets::default(), Instant::now(), Duration::from_secs(60));
        let admitted = |key: &str, at: u64| {
            (0..150)
                .filter(|_| buckets.count(key, 100, minute, start + Duration::from_secs(at)).is_ok())
                .count()
        };
        assert_eq!(admitted("a", 0), 100);
        assert_eq!(admitted("a", 59), 0);
        assert_eq!(admitted("b", 59), 100);
        assert_eq!(admitted("a", 60), 100);
        let standing = buckets
            .count("a", 100, minute, start + Duration::from_secs(100))
            .expect_err("spent");
        assert_eq!((standing.limit, standing.remaining, standing.reset), (100, 0, 20));
    }

    #[test]
    fn a_bucket_spends_its_burst_and_refills() {
        let (buckets, start) = (Buckets::default(), Instant::now());
        let take = |at: u64| {
            buckets
                .take(
                    "a",
                    0.25,
                    2.0,
                    Duration::from_millis(500),
                    start + Duration::from_secs(at),
                )
                .is_ok()
        };
        assert_eq!(
            [take(0), take(0), take(0), take(3), take(4)],
            [true, true, false, false, true]
        );
    }

    #[test]
    fn clients_whose_time_has_passed_are_forgotten() {
        let (buckets, start, second) = (Buckets::default(), Instant::now(), Duration::from_secs(1));
        for client in 0..200_000_u64 {
            let at = start + Duration::from_millis(client);
            buckets
                .count(&client.to_string(), 1, second, at)
                .expect("first request");
        }
        let held: usize = buckets
            .shards
            .iter()
            .map(|shard| shard.lock().expect("lock").clients.len())
            .sum();
        assert!(held < SHARDS * SWEEP_AT * 2, "{held}");
    }
}
