//! jwt: a token that is there must hold. By the platform's own keys, or by keys the configuration names (Traefik Hub's options, and
//! the `secret`/`alg`/`required` form common among plugins); then claims are put to the test and told to the service in headers.

mod claims;
mod compile;
mod token;

pub use claims::Claims;
pub use compile::compile;

use super::Flow;
use crate::{
    answer,
    exchange::{Exchange, Token},
};
use axum::body::Body;
use foundation::{Error, Kind};
use http::{HeaderName, HeaderValue, Request, header};
use http_chassis::{
    auth::{self, Verifier},
    keys::Keys,
};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use quick_cache::sync::Cache;
use serde_json::Value;
use std::sync::Arc;
use telemetry::client::Client;
use time::OffsetDateTime;

const LONGEST_TOKEN: usize = 8 * 1024;
const REMEMBERED_TOKENS: usize = 10_000;
/// Clocks of two machines may differ by this many seconds.
const LEEWAY_S: f64 = 5.0;

pub enum Jwt {
    /// Tokens of the platform: without one the request passes, unless one is required; the service decides then.
    Platform {
        verifier: Arc<Verifier>,
        required: bool,
    },
    Own(Box<Own>),
}

/// Keys and conditions of the middleware's own.
pub struct Own {
    pub keys: Arc<Remembered>,
    pub required: bool,
    /// Beside the header: a query or form parameter.
    pub parameter: Option<String>,
    pub forward: bool,
    pub claims: Option<Claims>,
    pub headers: Vec<(HeaderName, claims::Path)>,
    pub username: Option<claims::Path>,
}

/// Keys, and the tokens they verified; kept over reloads.
pub struct Remembered {
    pub keys: Keys,
    pub algorithm: Option<Algorithm>,
    pub client: Client,
    known: Cache<Box<str>, Arc<Value>>,
}

impl Jwt {
    pub async fn request(&self, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
        match self {
            Self::Platform { verifier, required } => {
                let error = match exchange.token(request.headers(), Some(verifier)) {
                    Token::Valid(_) => return Flow::On,
                    Token::Invalid(error) => error.clone(),
                    Token::Absent | Token::Unread if !required => return Flow::On,
                    Token::Absent | Token::Unread => Arc::new(missing()),
                };
                Flow::Answer(answer::problem(&error, exchange))
            }
            Self::Own(own) => match own.admit(request, exchange).await {
                Ok(()) => Flow::On,
                Err(error) => Flow::Answer(answer::problem(&error, exchange)),
            },
        }
    }
}

impl Own {
    async fn admit(&self, request: &mut Request<Body>, exchange: &mut Exchange) -> Result<(), Error> {
        // What a client says of itself in these is forged, token or not.
        for (name, _) in &self.headers {
            request.headers_mut().remove(name);
        }
        let token = match auth::bearer(request.headers())? {
            Some(token) => Some(token.to_owned()),
            None => match &self.parameter {
                Some(name) => token::parameter(request, name).await?,
                None => None,
            },
        };
        let Some(token) = token else {
            return if self.required { Err(missing()) } else { Ok(()) };
        };
        let claims = self.keys.verify(&token).await?;
        if self.claims.as_ref().is_some_and(|wanted| !wanted.hold(&claims)) {
            let message = "The access token does not allow this: its claims are not those that are asked for";
            return Err(Error::new(Kind::Forbidden, "CLAIMS_REFUSED", message));
        }
        if let Some(path) = &self.username {
            exchange.username = path.text(&claims).map(String::into_boxed_str);
        }
        let headers = request.headers_mut();
        for (name, path) in &self.headers {
            // A claim that is missing is told as an empty header.
            let value = HeaderValue::from_str(&path.text(&claims).unwrap_or_default());
            headers.insert(name.clone(), value.unwrap_or(HeaderValue::from_static("")));
        }
        if !self.forward {
            headers.remove(header::AUTHORIZATION);
        }
        Ok(())
    }
}

impl Remembered {
    pub fn new(keys: Keys, algorithm: Option<Algorithm>, client: Client) -> Self {
        Self {
            keys,
            algorithm,
            client,
            known: Cache::new(REMEMBERED_TOKENS),
        }
    }

    /// The claims of a token that holds now.
    async fn verify(&self, token: &str) -> Result<Arc<Value>, Error> {
        self.keys.renew(&self.client, false).await;
        let claims = match self.known.get(token) {
            Some(claims) => claims,
            None => {
                let claims = Arc::new(self.check(token).await?);
                self.known.insert(token.into(), claims.clone());
                claims
            }
        };
        let now = OffsetDateTime::now_utc().unix_timestamp() as f64;
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        if time("exp").is_some_and(|at| at + LEEWAY_S < now) {
            return Err(Error::new(
                Kind::Unauthenticated,
                "TOKEN_EXPIRED",
                "The access token has expired",
            ));
        }
        if time("nbf").is_some_and(|at| at > now + LEEWAY_S) {
            return Err(invalid("it is not valid yet"));
        }
        if time("iat").is_some_and(|at| at > now + LEEWAY_S) {
            return Err(invalid("it was issued in the future"));
        }
        Ok(claims)
    }

    async fn check(&self, token: &str) -> Result<Value, Error> {
        if token.len() > LONGEST_TOKEN {
            return Err(invalid("it is longer than 8 KiB"));
        }
        let header = decode_header(token).map_err(|_| invalid("it is not a JSON Web Token"))?;
        if self.algorithm.is_some_and(|wanted| wanted != header.alg) {
            return Err(invalid("its algorithm is not accepted here"));
        }
        let mut keys = self.keys.of(&header);
        if keys.is_empty() {
            // The issuer may have changed its keys.
            self.keys.renew(&self.client, true).await;
            keys = self.keys.of(&header);
        }
        if keys.is_empty() {
            return Err(invalid("no key has its 'kid' and algorithm"));
        }
        let mut validation = Validation::new(header.alg);
        // Times are put to the test at every use; what the claims say, by the configuration.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let decoded = keys
            .iter()
            .find_map(|key| decode::<Value>(token, key, &validation).ok());
        decoded
            .map(|decoded| decoded.claims)
            .ok_or_else(|| invalid("its signature is wrong"))
    }
}

fn missing() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "TOKEN_MISSING",
        "This needs an access token: Authorization: Bearer <token>",
    )
}

fn invalid(reason: &str) -> Error {
    let message = format!("The access token is not valid: {reason}");
    Error::new(Kind::Unauthenticated, "TOKEN_INVALID", message)
}
