//! Verifying tokens by one configured secret: whose key it is, until when it holds, for whom it was made.

use super::{
    claims,
    settings::{JwtSecret, Key, TokenHeader},
};
use crate::refusal::Refusal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderMap;
use http_chassis::keys::Keys;
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::Value;
use telemetry::client::Client;
use time::OffsetDateTime;

pub struct Secret {
    settings: JwtSecret,
    keys: Keys,
}

fn keys(key: &Key) -> Keys {
    match key {
        Key::Hmac { secret, .. } => Keys::secret(secret.expose().as_bytes()),
        Key::Pem { family, text } => Keys::pem(*family, text).unwrap_or_else(|error| {
            tracing::error!(
                error,
                "HASURA_GRAPHQL_JWT_SECRET: the key cannot be read; no token will be accepted"
            );
            Keys::none()
        }),
        Key::Remote { url } => Keys::fetched(url),
    }
}

impl Secret {
    pub fn new(settings: JwtSecret) -> Self {
        let keys = keys(&settings.key);
        Secret { settings, keys }
    }

    /// Where the settings say it is.
    pub fn token(&self, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
        let text = |name: &str| {
            let value = headers.get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        match &self.settings.header {
            TokenHeader::Authorization => {
                let Some(header) = text("authorization") else {
                    return Ok(None);
                };
                match header.split_once(' ') {
                    Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
                    _ => Err(Refusal::new("invalid-headers", "$", "Malformed Authorization header")),
                }
            }
            TokenHeader::Cookie(name) => {
                let cookies = text("cookie").unwrap_or_default();
                let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
                let found = pairs.find(|(known, _)| known == name);
                Ok(found.map(|(_, token)| token.to_owned()))
            }
            TokenHeader::Custom(name) => {
                let found = text(name);
                Ok(found.map(|token| token.strip_prefix("Bearer ").unwrap_or(&token).to_owned()))
            }
        }
    }

    /// Judged by the unverified payload: only which secret to try depends on it.
    pub fn may_have_issued(&self, token: &str) -> bool {
        let payload = token
            .split('.')
            .nth(1)
            .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Value = payload
            .and_then(|payload| serde_json::from_slice(&payload).ok())
            .unwrap_or_default();
        match (&self.settings.issuer, claims["iss"].as_str()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, None) => true,
            _ => false,
        }
    }

    /// The session variables in the token, and when it expires.
    pub fn verify(&self, token: &str) -> Result<(Value, Option<OffsetDateTime>), Refusal> {
        let wrong = |what: &str| Refusal::new("invalid-jwt", "$", format!("Could not verify JWT: {what}"));
        let header = decode_header(token).map_err(|_| wrong("JWSError (CompactDecodeError)"))?;
        let mut payload = None;
        for key in self.keys.of(&header) {
            let mut validation = Validation::new(header.alg);
            validation.algorithms = vec![header.alg];
            // Times and names are put to the test below, with Hasura's words for what is wrong.
            validation.required_spec_claims.clear();
            validation.validate_exp = false;
            validation.validate_aud = false;
            if let Ok(decoded) = decode::<Value>(token, &key, &validation) {
                payload = Some(decoded.claims);
                break;
            }
        }
        let payload = payload.ok_or_else(|| wrong("JWSError JWSInvalidSignature"))?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let time = |name: &str| payload[name].as_f64().map(|at| at as i64);
        let skew = self.settings.skew;
        if time("exp").is_some_and(|at| at + skew <= now) {
            return Err(wrong("JWTExpired"));
        }
        if time("nbf").is_some_and(|at| at - skew > now) {
            return Err(wrong("JWTNotYetValid"));
        }
        if time("iat").is_some_and(|at| at - skew > now + 1) {
            return Err(wrong("JWTIssuedAtFuture"));
        }
        if !self.is_for_us(&payload["aud"]) {
            return Err(wrong("JWTNotInAudience"));
        }
        if self.settings.issuer.is_some() && payload["iss"].as_str() != self.settings.issuer.as_deref() {
            return Err(wrong("JWTNotInIssuer"));
        }
        let expires = time("exp").and_then(|at| OffsetDateTime::from_unix_timestamp(at + skew).ok());
        Ok((claims::locate(&self.settings, &payload)?, expires))
    }

    fn is_for_us(&self, audience: &Value) -> bool {
        let ours = |one: &Value| {
            one.as_str()
                .is_some_and(|one| self.settings.audience.iter().any(|known| known == one))
        };
        self.settings.audience.is_empty()
            || match audience {
                Value::Array(all) => all.iter().any(ours),
                one => ours(one),
            }
    }

    pub async fn refresh(&self, client: &Client) {
        self.keys.refresh(client).await;
    }
}
