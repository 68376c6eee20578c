//! `GET /v1/core/users/me`

use super::{User, store};
use crate::{Core, error};
use axum::extract::State;
use http_chassis::{auth::Caller, extract::Json, problem::Failure};

/// The caller's own account.
#[utoipa::path(get, path = "/v1/core/users/me", tag = "users", responses((status = 200, body = User), (status = 401)))]
pub async fn me(State(core): State<Core>, caller: Caller) -> Result<Json<User>, Failure> {
    let client = core.pool.client().await?;
    let user = store::find(&client, caller.user_id).await?;
    Ok(Json(user.ok_or_else(error::user_not_found)?))
}
