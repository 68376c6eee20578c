//! `/.well-known/*`: who issues the tokens, and the keys to check them with.

use crate::Core;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use http_chassis::{extract::Json, problem::Failure};
use postgres_chassis::trust;
use serde_json::json;

const CACHED: (header::HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

/// The public keys in force (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "discovery", responses((status = 200)))]
pub async fn jwks(State(core): State<Core>) -> Result<Response, Failure> {
    let trust = trust::load(&core.pool).await?;
    Ok(([CACHED], Json(json!({ "keys": trust.keys }))).into_response())
}

/// OpenID Connect Discovery 1.0, the parts that exist here.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "discovery", responses((status = 200)))]
pub async fn openid_configuration(State(core): State<Core>) -> Response {
    let document = json!({
        "issuer": core.issuer,
        "jwks_uri": core.url("/.well-known/jwks.json"),
        "userinfo_endpoint": core.url("/v1/core/users/me"),
        "token_endpoint": core.url("/v1/core/auth/login"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "email", "role"],
    });
    ([CACHED], Json(document)).into_response()
}
