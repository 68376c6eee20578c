//! The keys tokens may be signed with: given as a secret, a PEM text or a set (RFC 7517), or fetched from a URL and fetched again
//! before they are stale.

use arc_swap::ArcSwap;
use http::{HeaderMap, Request};
use jsonwebtoken::{
    Algorithm, DecodingKey, Header,
    jwk::{Jwk, JwkSet},
};
use std::time::{Duration, Instant};
use telemetry::client::{Client, full};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::sync::Mutex;

const FETCH_WITHIN: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 1 << 20;
/// Without a word in the answer.
const USUAL_PAUSE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// A token with an unknown key may cause a fetch, but not every one of them.
const LEAST_BETWEEN: Duration = Duration::from_secs(10);

/// What kind of key a PEM text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Rsa,
    Ec,
    Ed25519,
}

pub struct Keys(Kind);

enum Kind {
    One {
        algorithms: &'static [Algorithm],
        key: DecodingKey,
    },
    Set(Vec<Jwk>),
    Fetched {
        url: String,
        keys: ArcSwap<Vec<Jwk>>,
        /// When to ask again, and when somebody asked last.
        times: Mutex<Times>,
    },
}

#[derive(Default)]
struct Times {
    asked: Option<Instant>,
    stale: Option<Instant>,
}

impl Family {
    fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Family::Rsa => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Family::Ec => &[Algorithm::ES256, Algorithm::ES384],
            Family::Ed25519 => &[Algorithm::EdDSA],
        }
    }
}

impl Keys {
    /// A shared secret, for HS256, HS384 and HS512.
    pub fn secret(secret: &[u8]) -> Self {
        Keys(Kind::One {
            algorithms: &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512],
            key: DecodingKey::from_secret(secret),
        })
    }

    /// # Errors
    /// The text holds no key of this family.
    pub fn pem(family: Family, text: &str) -> Result<Self, String> {
        let pem = text.as_bytes();
        let key = match family {
            Family::Rsa => DecodingKey::from_rsa_pem(pem),
            Family::Ec => DecodingKey::from_ec_pem(pem),
            Family::Ed25519 => DecodingKey::from_ed_pem(pem),
        };
        Ok(Keys(Kind::One {
            algorithms: family.algorithms(),
            key: key.map_err(|error| error.to_string())?,
        }))
    }

    /// # Errors
    /// The text is no public key, or one of a kind no token is signed with here.
    pub fn any_pem(text: &str) -> Result<Self, String> {
        let families = [Family::Rsa, Family::Ec, Family::Ed25519];
        let found = families.into_iter().find_map(|family| Self::pem(family, text).ok());
        found.ok_or_else(|| "it is no RSA, EC or Ed25519 public key in PEM".to_owned())
    }

    /// # Errors
    /// The text is no key set.
    pub fn set(text: &str) -> Result<Self, String> {
        let set: JwkSet = serde_json::from_str(text).map_err(|error| format!("it is no key set: {error}"))?;
        Ok(Keys(Kind::Set(set.keys)))
    }

    /// No token is accepted.
    pub fn none() -> Self {
        Keys(Kind::Set(Vec::new()))
    }

    /// Empty until the first [`Keys::refresh`] or [`Keys::renew`].
    pub fn fetched(url: &str) -> Self {
        Keys(Kind::Fetched {
            url: url.to_owned(),
            keys: ArcSwap::default(),
            times: Mutex::default(),
        })
    }

    /// Those that may have signed a token with this header. Its algorithm must be of the key's kind: a public key is
    /// never taken for a shared secret.
    pub fn of(&self, header: &Header) -> Vec<DecodingKey> {
        match &self.0 {
            Kind::One { algorithms, key } if algorithms.contains(&header.alg) => vec![key.clone()],
            Kind::One { .. } => Vec::new(),
            Kind::Set(keys) => fitting(keys, header),
            Kind::Fetched { keys, .. } => fitting(&keys.load(), header),
        }
    }

    /// Never returns while keys are to be fetched.
    pub async fn refresh(&self, client: &Client) {
        let Kind::Fetched { url, keys, .. } = &self.0 else {
            return;
        };
        loop {
            let pause = match fetch(client, url).await {
                Ok((set, pause)) => {
                    keys.store(set.keys.into());
                    pause
                }
                Err(message) => {
                    tracing::warn!(url, message, "signing keys could not be fetched");
                    Duration::from_secs(10)
                }
            };
            tokio::time::sleep(pause.max(SHORTEST_PAUSE)).await;
        }
    }

    /// For who asks only when there is need: fetches what is stale, and what lacks a key a token names, but not twice in
    /// ten seconds. Many askers cause one fetch. When it fails, what was known stays.
    pub async fn renew(&self, client: &Client, unknown: bool) {
        let Kind::Fetched { url, keys, times } = &self.0 else {
            return;
        };
        // While somebody fetches, others go on with the keys that are known; only who has none must wait.
        let mut times = match times.try_lock() {
            Ok(times) => times,
            Err(_) if !unknown && !keys.load().is_empty() => return,
            Err(_) => times.lock().await,
        };
        let now = Instant::now();
        let is_stale = times.stale.is_none_or(|stale| stale <= now);
        let lately = times.asked.is_some_and(|asked| now - asked < LEAST_BETWEEN);
        if (!is_stale && !unknown) || lately {
            return;
        }
        times.asked = Some(now);
        match fetch(client, url).await {
            Ok((set, pause)) => {
                keys.store(set.keys.into());
                times.stale = Some(now + pause.max(LEAST_BETWEEN));
            }
            Err(message) => tracing::warn!(url, message, "signing keys could not be fetched"),
        }
    }
}

fn fitting(keys: &[Jwk], header: &Header) -> Vec<DecodingKey> {
    keys.iter()
        .filter(|key| header.kid.is_none() || key.common.key_id == header.kid)
        .filter(|key| fits(key, header.alg))
        .filter_map(|key| DecodingKey::from_jwk(key).ok())
        .collect()
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use jsonwebtoken::jwk::AlgorithmParameters as Kind;
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => matches!(key.algorithm, Kind::EllipticCurve(_)),
        Algorithm::EdDSA => matches!(key.algorithm, Kind::OctetKeyPair(_)),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => false,
        _ => matches!(key.algorithm, Kind::RSA(_)),
    }
}

async fn fetch(client: &Client, url: &str) -> Result<(JwkSet, Duration), String> {
    let request = Request::get(url).body(full("")).map_err(|error| error.to_string())?;
    let response = client.fetch(request, FETCH_WITHIN, LONGEST_ANSWER).await;
    let response = response.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("answered {}", response.status()));
    }
    let set = serde_json::from_slice(response.body()).map_err(|error| format!("no key set: {error}"))?;
    Ok((set, fresh_for(response.headers())))
}

/// `Cache-Control: max-age`, else `Expires`.
fn fresh_for(headers: &HeaderMap) -> Duration {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(control) = text("cache-control") {
        let directives = control.split(',').map(str::trim);
        for directive in directives {
            let age = directive
                .strip_prefix("s-maxage=")
                .or_else(|| directive.strip_prefix("max-age="));
            if let Some(seconds) = age.and_then(|age| age.parse().ok()) {
                return Duration::from_secs(seconds);
            }
            if matches!(directive, "no-cache" | "no-store" | "must-revalidate") {
                return SHORTEST_PAUSE;
            }
        }
    }
    let expires = text("expires").and_then(|text| OffsetDateTime::parse(text, &Rfc2822).ok());
    let left = expires.map(|at| (at - OffsetDateTime::now_utc()).whole_seconds());
    match left.and_then(|left| u64::try_from(left).ok()) {
        Some(left) => Duration::from_secs(left),
        None => USUAL_PAUSE,
    }
}
