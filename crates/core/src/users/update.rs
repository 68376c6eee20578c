//! `PATCH /v1/core/users/{id}`

use super::{User, store};
use crate::{Core, error, fields};
use axum::extract::State;
use foundation::Uuid;
use http_chassis::{
    auth::Caller,
    extract::{Json, Path},
    problem::Failure,
};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Null clears it; left out, it stays.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
}

/// Tells a null from a field that is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// Changes one's own account, or any for administrators.
#[utoipa::path(patch, path = "/v1/core/users/{id}", tag = "users", params(("id" = Uuid, Path)), request_body = Changes,
    responses((status = 200, body = User), (status = 401), (status = 404), (status = 422)))]
pub async fn update(
    State(core): State<Core>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Changes>,
) -> Result<Json<User>, Failure> {
    if !caller.may_act_for(id) {
        return Err(error::user_not_found().into());
    }
    let name = match &body.name {
        Some(name) => Some(fields::name(name.as_deref())?),
        None => None,
    };
    let client = core.pool.client().await?;
    let user = store::rename(&client, id, name.as_ref().map(Option::as_deref)).await?;
    Ok(Json(user.ok_or_else(error::user_not_found)?))
}
