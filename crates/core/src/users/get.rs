//! `GET /v1/core/users/{id}`

use super::{User, store};
use crate::{Core, error};
use axum::extract::State;
use foundation::Uuid;
use http_chassis::{
    auth::Caller,
    extract::{Json, Path},
    problem::Failure,
};

/// One account: one's own, or any for administrators. Others' do not exist for the caller.
#[utoipa::path(get, path = "/v1/core/users/{id}", tag = "users", params(("id" = Uuid, Path)),
    responses((status = 200, body = User), (status = 401), (status = 404)))]
pub async fn get(State(core): State<Core>, caller: Caller, Path(id): Path<Uuid>) -> Result<Json<User>, Failure> {
    if !caller.may_act_for(id) {
        return Err(error::user_not_found().into());
    }
    let client = core.pool.client().await?;
    let user = store::find(&client, id).await?;
    Ok(Json(user.ok_or_else(error::user_not_found)?))
}
