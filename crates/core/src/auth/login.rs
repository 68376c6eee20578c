//! `POST /v1/core/auth/login`

use super::session::{self, Tokens};
use crate::{Core, error, users::store};
use axum::extract::State;
use http_chassis::{extract::Json, problem::Failure};
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    #[schema(format = "email")]
    email: String,
    #[schema(format = "password")]
    password: String,
}

/// Begins a session. What is wrong with an account is told only to who knows its password.
#[utoipa::path(post, path = "/v1/core/auth/login", tag = "auth", request_body = Credentials,
    responses((status = 200, body = Tokens), (status = 401), (status = 403), (status = 422), (status = 503)))]
pub async fn login(State(core): State<Core>, Json(body): Json<Credentials>) -> Result<Json<Tokens>, Failure> {
    if body.email.contains('\0') {
        return Err(error::bad_credentials().into());
    }
    let account = {
        let client = core.pool.client().await?;
        store::account(&client, body.email.trim()).await?
    };
    // The connection is given back first: hashing is slow, connections are few.
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());
    let right = core.hasher.verify(body.password, stored).await?;
    let account = account.filter(|_| right).ok_or_else(error::bad_credentials)?;
    if account.disabled {
        return Err(error::account_disabled().into());
    }
    if core.demands_verification && !account.verified {
        return Err(error::email_not_verified().into());
    }
    let mut client = core.pool.client().await?;
    Ok(Json(session::begin(&core, &mut client, account.user).await?))
}
