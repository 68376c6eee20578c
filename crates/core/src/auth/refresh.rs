//! `POST /v1/core/auth/refresh`

use super::session::{self, Tokens};
use crate::Core;
use axum::extract::State;
use http_chassis::{extract::Json, problem::Failure};
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    refresh_token: String,
}

/// Exchanges a refresh token, once, for a new pair.
#[utoipa::path(post, path = "/v1/core/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Tokens), (status = 401), (status = 422)))]
pub async fn refresh(State(core): State<Core>, Json(body): Json<Refresh>) -> Result<Json<Tokens>, Failure> {
    let mut client = core.pool.client().await?;
    Ok(Json(session::refresh(&core, &mut client, &body.refresh_token).await?))
}
