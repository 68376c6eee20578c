//! `DELETE /v1/core/users/{id}`

use super::store::{self, Demotion};
use crate::{Core, error};
use axum::extract::State;
use foundation::Uuid;
use http::StatusCode;
use http_chassis::{auth::Caller, extract::Path, problem::Failure};

/// Deletes one's own account, or any for administrators, and ends its sessions.
#[utoipa::path(delete, path = "/v1/core/users/{id}", tag = "users", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404), (status = 409)))]
pub async fn delete(State(core): State<Core>, caller: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    if !caller.may_act_for(id) {
        return Err(error::user_not_found().into());
    }
    let mut client = core.pool.client().await?;
    store::demote(&mut client, id, Demotion::Delete).await?;
    Ok(StatusCode::NO_CONTENT)
}
