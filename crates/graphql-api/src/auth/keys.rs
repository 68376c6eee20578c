//! The keys of one configured secret: given, or fetched from a URL and fetched again before they are stale.

use super::settings::{Family, Key};
use arc_swap::ArcSwap;
use http::{HeaderMap, Request};
use jsonwebtoken::{
    Algorithm, DecodingKey, Header,
    jwk::{Jwk, JwkSet},
};
use std::time::Duration;
use telemetry::client::{Client, full};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

const FETCH_WITHIN: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 1 << 20;
/// Without a word in the answer.
const USUAL_PAUSE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

pub enum Keys {
    Given {
        algorithms: &'static [Algorithm],
        key: Option<DecodingKey>,
    },
    Fetched {
        url: String,
        keys: ArcSwap<Vec<Jwk>>,
    },
}

impl Keys {
    pub fn new(key: &Key) -> Self {
        match key {
            Key::Hmac { secret, .. } => Keys::Given {
                algorithms: &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512],
                key: Some(DecodingKey::from_secret(secret.expose().as_bytes())),
            },
            Key::Pem { family, text } => {
                let pem = text.as_bytes();
                let (algorithms, key): (&'static [Algorithm], _) = match family {
                    Family::Rsa => (
                        &[
                            Algorithm::RS256,
                            Algorithm::RS384,
                            Algorithm::RS512,
                            Algorithm::PS256,
                            Algorithm::PS384,
                            Algorithm::PS512,
                        ],
                        DecodingKey::from_rsa_pem(pem),
                    ),
                    Family::Ec => (&[Algorithm::ES256, Algorithm::ES384], DecodingKey::from_ec_pem(pem)),
                    Family::Ed25519 => (&[Algorithm::EdDSA], DecodingKey::from_ed_pem(pem)),
                };
                if let Err(error) = &key {
                    tracing::error!(%error, "HASURA_GRAPHQL_JWT_SECRET: the key cannot be read; no token will be accepted");
                }
                Keys::Given {
                    algorithms,
                    key: key.ok(),
                }
            }
            Key::Remote { url } => Keys::Fetched {
                url: url.clone(),
                keys: ArcSwap::default(),
            },
        }
    }

    /// Those that may have signed a token with this header. Its algorithm must be of the key's kind: a public key is
    /// never taken for a shared secret.
    pub fn of(&self, header: &Header) -> Vec<DecodingKey> {
        match self {
            Keys::Given { algorithms, key } if algorithms.contains(&header.alg) => key.iter().cloned().collect(),
            Keys::Given { .. } => Vec::new(),
            Keys::Fetched { keys, .. } => keys
                .load()
                .iter()
                .filter(|key| header.kid.is_none() || key.common.key_id == header.kid)
                .filter(|key| fits(key, header.alg))
                .filter_map(|key| DecodingKey::from_jwk(key).ok())
                .collect(),
        }
    }

    /// Never returns while keys are to be fetched.
    pub async fn refresh(&self, client: &Client) {
        let Keys::Fetched { url, keys } = self else { return };
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
