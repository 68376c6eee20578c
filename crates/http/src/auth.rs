//! Verifies access tokens: HS256 with the shared secret, or a public key of the set in force; then that the session still
//! lives. A verified token is remembered until it expires, so the signature is checked once.

use crate::problem::Failure;
use arc_swap::ArcSwap;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use foundation::{Clock, Error, Kind, Principal, Role, Secret, Uuid};
use http::{HeaderMap, header, request::Parts};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::Jwk};
use quick_cache::sync::Cache;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Where Hasura looks for its claims, and so do we.
pub const HASURA_NAMESPACE: &str = "https://hasura.io/jwt/claims";

const LONGEST_TOKEN: usize = 8 * 1024;
const REMEMBERED_TOKENS: usize = 10_000;
/// Clocks of two machines may differ by this many seconds.
const LEEWAY_S: u64 = 5;

#[derive(Clone, Debug)]
pub struct Settings {
    /// `JWT_SECRET`; `None` refuses HS256.
    pub hs256: Option<Secret>,
    /// Demanded of tokens signed with a published key.
    pub issuer: String,
    pub audience: String,
    pub clock: Clock,
}

/// A token that holds: who it speaks for, and all its claims (GraphQL reads the Hasura namespace).
#[derive(Clone, Debug)]
pub struct Verified {
    pub principal: Principal,
    pub claims: Value,
}

pub struct Verifier {
    hs256: Option<DecodingKey>,
    issuer: String,
    audience: String,
    clock: Clock,
    keys: ArcSwap<HashMap<String, (Algorithm, DecodingKey)>>,
    ended: RwLock<HashMap<Uuid, i64>>,
    known: Cache<Box<str>, Arc<Verified>>,
}

impl Verifier {
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            hs256: settings
                .hs256
                .map(|secret| DecodingKey::from_secret(secret.expose().as_bytes())),
            issuer: settings.issuer,
            audience: settings.audience,
            clock: settings.clock,
            keys: ArcSwap::default(),
            ended: RwLock::default(),
            known: Cache::new(REMEMBERED_TOKENS),
        })
    }

    /// Replaces the published keys (RFC 7517). Keys we cannot use are left out and named in the log.
    pub fn set_keys(&self, jwks: &[Value]) {
        let mut keys = HashMap::new();
        for value in jwks {
            match usable(value) {
                Ok((kid, algorithm, key)) => drop(keys.insert(kid, (algorithm, key))),
                Err(reason) => tracing::warn!(reason, "a published key was left out"),
            }
        }
        self.keys.store(Arc::new(keys));
        self.known.clear();
    }

    /// Replaces the set of ended sessions.
    pub fn set_ended(&self, sessions: impl IntoIterator<Item = (Uuid, i64)>) {
        *self.ended.write().unwrap_or_else(PoisonError::into_inner) = sessions.into_iter().collect();
    }

    /// Adds one at once, where the process that ended it also verifies.
    pub fn end(&self, session: Uuid, until: i64) {
        self.ended
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session, until);
    }

    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED` or `SESSION_ENDED`, all 401.
    pub fn verify(&self, token: &str) -> Result<Arc<Verified>, Error> {
        let verified = match self.known.get(token) {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.check(token)?);
                self.known.insert(token.into(), verified.clone());
                verified
            }
        };
        if verified.principal.expires_at + (LEEWAY_S as i64) < self.clock.unix() {
            return Err(refuse(
                "TOKEN_EXPIRED",
                "The access token has expired; get a new one with the refresh token",
            ));
        }
        if let Some(session) = verified.principal.session_id
            && self
                .ended
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains_key(&session)
        {
            return Err(refuse("SESSION_ENDED", "This session has been ended; log in again"));
        }
        Ok(verified)
    }

    fn check(&self, token: &str) -> Result<Verified, Error> {
        if token.len() > LONGEST_TOKEN {
            return Err(invalid("it is longer than 8 KiB"));
        }
        let header = decode_header(token).map_err(|_| invalid("it is not a JSON Web Token"))?;
        let keys = self.keys.load();
        let (algorithm, key, ours) = match (header.alg, &header.kid) {
            (Algorithm::HS256, _) => {
                let key = self
                    .hs256
                    .as_ref()
                    .ok_or_else(|| invalid("HS256 is not accepted here"))?;
                (Algorithm::HS256, key, false)
            }
            (given, Some(kid)) => match keys.get(kid) {
                Some((algorithm, key)) if *algorithm == given => (given, key, true),
                _ => return Err(invalid("no published key has its 'kid' and algorithm")),
            },
            _ => return Err(invalid("its algorithm is not accepted here")),
        };
        let claims = decode::<Value>(token, key, &self.validation(algorithm, ours))
            .map_err(why)?
            .claims;
        let now = self.clock.unix();
        if claims
            .get("nbf")
            .and_then(Value::as_f64)
            .is_some_and(|nbf| nbf > (now + LEEWAY_S as i64) as f64)
        {
            return Err(invalid("it is not valid yet"));
        }
        let principal = principal(&claims).map_err(invalid)?;
        Ok(Verified { principal, claims })
    }

    fn validation(&self, algorithm: Algorithm, ours: bool) -> Validation {
        let mut validation = Validation::new(algorithm);
        // Time is checked by us, against our clock; that the claims exist is checked here.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = ours;
        if ours {
            validation.set_issuer(&[&self.issuer]);
            validation.set_audience(&[&self.audience]);
            validation.set_required_spec_claims(&["exp", "sub", "iss", "aud"]);
        } else {
            validation.set_required_spec_claims(&["exp", "sub"]);
        }
        validation
    }
}

fn usable(value: &Value) -> Result<(String, Algorithm, DecodingKey), String> {
    let jwk: Jwk = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let kid = jwk.common.key_id.clone().ok_or("it has no 'kid'")?;
    let algorithm = jwk
        .common
        .key_algorithm
        .and_then(|name| name.to_string().parse().ok())
        .ok_or("it has no known 'alg'")?;
    if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Err("a published key cannot be symmetric".into());
    }
    let key = DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?;
    Ok((kid, algorithm, key))
}

fn principal(claims: &Value) -> Result<Principal, &'static str> {
    let hasura = claims.get(HASURA_NAMESPACE);
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .ok_or("its 'sub' is no text")?;
    let user_id = Uuid::try_parse(subject).map_err(|_| "its 'sub' is no UUID")?;
    let role = claims
        .get("role")
        .or_else(|| hasura.and_then(|claims| claims.get("x-hasura-default-role")));
    let expires_at = claims
        .get("exp")
        .and_then(Value::as_f64)
        .ok_or("its 'exp' is no number")?;
    let session_id = match claims.get("sid") {
        Some(sid) => Some(
            sid.as_str()
                .and_then(|text| Uuid::try_parse(text).ok())
                .ok_or("its 'sid' is no UUID")?,
        ),
        None => None,
    };
    Ok(Principal {
        user_id,
        email: claims
            .get("email")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        // Roles beyond ours matter to GraphQL only, which reads the claims themselves.
        role: role
            .and_then(Value::as_str)
            .and_then(|role| role.parse().ok())
            .unwrap_or(Role::User),
        session_id,
        expires_at: expires_at as i64,
    })
}

fn why(error: jsonwebtoken::errors::Error) -> Error {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => invalid("its signature is wrong"),
        ErrorKind::MissingRequiredClaim(claim) => invalid(&format!("the claim '{claim}' is missing")),
        ErrorKind::InvalidIssuer => invalid("it was issued by somebody else"),
        ErrorKind::InvalidAudience => invalid("it is meant for somebody else"),
        _ => invalid("it cannot be read"),
    }
}

fn invalid(reason: &str) -> Error {
    refuse("TOKEN_INVALID", &format!("The access token is not valid: {reason}"))
}

fn refuse(code: &'static str, message: &str) -> Error {
    Error::new(Kind::Unauthenticated, code, message)
}

/// The bearer token, if the header is there and has that form (RFC 6750 section 2.1).
///
/// # Errors
/// There is an `Authorization` header that is no single bearer token.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refuse("TOKEN_INVALID", "There is more than one Authorization header"));
    }
    let text = value.to_str().map_err(|_| invalid("it is not printable ASCII"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim_start())),
        _ => Err(refuse(
            "TOKEN_INVALID",
            "The Authorization header must have the form 'Bearer <token>'",
        )),
    }
}

/// The caller of a route that demands one; see [`crate::routes`], which put it there.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Verified>);

impl std::ops::Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0.principal
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let missing = || {
            refuse(
                "TOKEN_MISSING",
                "This needs an access token: Authorization: Bearer <token>",
            )
        };
        parts
            .extensions
            .get::<Caller>()
            .cloned()
            .ok_or_else(|| Failure(missing()))
    }
}

/// On a public route, the caller is who a good token says, or nobody.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Failure> {
        Ok(parts.extensions.get::<Caller>().cloned())
    }
}
