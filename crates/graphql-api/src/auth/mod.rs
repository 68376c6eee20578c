//! Who asks, by Hasura's rules: the admin secret, else a token's claims or what the authentication hook says, else the
//! role of the unknown. Without an admin secret everybody is an administrator.

mod claims;
mod hook;
mod json_path;
mod jwt;
mod settings;

pub use settings::{Claims as JwtClaims, Settings};

use crate::refusal::Refusal;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use graphql::Session;
use http::HeaderMap;
use http_chassis::auth::{HASURA_NAMESPACE, Verifier, bearer};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};
use telemetry::client::Client;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const SECRET_HEADERS: [&str; 2] = ["x-hasura-admin-secret", "x-hasura-access-key"];

/// A caller that was let in.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub session: Session,
    /// When the proof runs out; a WebSocket is closed then.
    pub expires_at: Option<OffsetDateTime>,
}

pub struct Auth {
    settings: Settings,
    secrets: Vec<jwt::Secret>,
    /// The platform's own tokens.
    verifier: Option<Arc<Verifier>>,
    client: Client,
}

impl Auth {
    pub fn new(settings: Settings, verifier: Option<Arc<Verifier>>, client: Client) -> Self {
        let secrets = settings.jwt_secrets.iter().cloned().map(jwt::Secret::new).collect();
        Auth {
            settings,
            secrets,
            verifier,
            client,
        }
    }

    /// `request` is what an authentication hook may be shown of the body.
    ///
    /// # Errors
    /// The secret or token is wrong, the role is not the caller's, or there is neither.
    pub async fn session(&self, headers: &HeaderMap, request: Option<&Value>) -> Result<Authenticated, Refusal> {
        if self.settings.admin_secrets.is_empty() && self.verifier.is_none() {
            return Ok(lasting(administrator(headers)));
        }
        if let Some(given) = SECRET_HEADERS.iter().find_map(|name| headers.get(*name)) {
            let right = |secret: &foundation::Secret| {
                verify_slices_are_equal(secret.expose().as_bytes(), given.as_bytes()).is_ok()
            };
            // All of them, so that the time tells nothing about which.
            if self
                .settings
                .admin_secrets
                .iter()
                .filter(|secret| right(secret))
                .count()
                == 0
            {
                return Err(denied("invalid \"x-hasura-admin-secret\"/\"x-hasura-access-key\""));
            }
            return Ok(lasting(administrator(headers)));
        }
        if let Some(verifier) = &self.verifier {
            return self.of_platform(headers, verifier);
        }
        if !self.secrets.is_empty() {
            return self.of_token(headers);
        }
        if let Some(hook) = &self.settings.hook {
            return hook::ask(hook, &self.client, headers, request).await;
        }
        self.unknown(|| denied("x-hasura-admin-secret/x-hasura-access-key required, but not found"))
    }

    fn unknown(&self, refusal: impl Fn() -> Refusal) -> Result<Authenticated, Refusal> {
        match &self.settings.unauthorized_role {
            Some(role) => Ok(lasting(with_role(role.clone(), HashMap::new(), false))),
            None => Err(refusal()),
        }
    }

    fn of_platform(&self, headers: &HeaderMap, verifier: &Verifier) -> Result<Authenticated, Refusal> {
        let wrong = |text: String| Refusal::new("invalid-jwt", "$", format!("Could not verify JWT: {text}"));
        let token = bearer(headers).map_err(|error| wrong(error.message.to_string()))?;
        let Some(token) = token else {
            return self.unknown(|| denied("x-hasura-admin-secret/x-hasura-access-key required, but not found"));
        };
        let verified = verifier
            .verify(token)
            .map_err(|error| wrong(error.message.to_string()))?;
        let mut session = claims::session(headers, &verified.claims[HASURA_NAMESPACE])?;
        session.backend = session.role == "admin";
        let expires_at = verified.claims["exp"].as_i64();
        Ok(Authenticated {
            session,
            expires_at: expires_at.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()),
        })
    }

    /// By the secret whose issuer the token names, where there are several.
    fn of_token(&self, headers: &HeaderMap) -> Result<Authenticated, Refusal> {
        let mut first_refusal = None;
        let mut found_token = false;
        for secret in &self.secrets {
            let token = match secret.token(headers) {
                Ok(Some(token)) => token,
                Ok(None) => continue,
                Err(refusal) => return Err(refusal),
            };
            found_token = true;
            if self.secrets.len() > 1 && !secret.may_have_issued(&token) {
                continue;
            }
            match secret.verify(&token) {
                Ok((claims, expires_at)) => {
                    return Ok(Authenticated {
                        session: claims::session(headers, &claims)?,
                        expires_at,
                    });
                }
                Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
            }
        }
        match (first_refusal, found_token) {
            (Some(refusal), _) => Err(refusal),
            (None, true) => Err(Refusal::new("invalid-jwt", "$", "Could not verify JWT: JWTNotInIssuer")),
            (None, false) => self.unknown(|| {
                let message = "Missing 'Authorization' or 'Cookie' header in JWT authentication mode";
                Refusal::new("invalid-headers", "$", message)
            }),
        }
    }

    /// Cookies of the upgrade count beside the headers a WebSocket client sends later.
    pub fn reads_cookies_of_sockets(&self) -> bool {
        self.settings.socket_cookies
    }

    /// What `/v1alpha1/config` tells.
    pub fn told(&self) -> &Settings {
        &self.settings
    }

    /// Fetches signing keys again before they are stale; runs until `stop`.
    pub async fn refresh(&self, stop: CancellationToken) {
        let all = self.secrets.iter().map(|secret| secret.refresh(&self.client));
        tokio::select! {
            _ = futures_util::future::join_all(all) => stop.cancelled().await,
            () = stop.cancelled() => {}
        }
    }
}

fn lasting(session: Session) -> Authenticated {
    Authenticated {
        session,
        expires_at: None,
    }
}

fn administrator(headers: &HeaderMap) -> Session {
    let mut variables = HashMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        if let (true, false, Ok(value)) = (
            name.starts_with("x-hasura-"),
            SECRET_HEADERS.contains(&name),
            std::str::from_utf8(value.as_bytes()),
        ) {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    let role = variables
        .get("x-hasura-role")
        .cloned()
        .unwrap_or_else(|| "admin".to_owned());
    let backend = variables.remove("x-hasura-use-backend-only-permissions");
    let backend = role == "admin" || backend.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    with_role(role, variables, backend)
}

fn with_role(role: String, mut variables: HashMap<String, String>, backend: bool) -> Session {
    variables.insert("x-hasura-role".to_owned(), role.clone());
    Session {
        role,
        variables,
        backend,
    }
}

fn denied(message: &str) -> Refusal {
    Refusal::new("access-denied", "$", message).with_status(http::StatusCode::UNAUTHORIZED)
}
