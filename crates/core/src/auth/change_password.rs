//! `POST /v1/core/auth/change-password`

use crate::{Core, error, fields::Password, users::store};
use axum::extract::State;
use http::StatusCode;
use http_chassis::{auth::Caller, extract::Json, problem::Failure};
use postgres_chassis::translate;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[schema(format = "password")]
    current_password: String,
    /// At least 8 characters
    #[schema(format = "password")]
    password: String,
}

/// Replaces one's own password and ends all sessions, this one included.
#[utoipa::path(post, path = "/v1/core/auth/change-password", tag = "auth", request_body = Change,
    responses((status = 204), (status = 401), (status = 422), (status = 503)))]
pub async fn change_password(
    State(core): State<Core>,
    caller: Caller,
    Json(body): Json<Change>,
) -> Result<StatusCode, Failure> {
    let password = Password::parse(&body.password)?;
    let account = {
        let client = core.pool.client().await?;
        let user = store::find(&client, caller.user_id)
            .await?
            .ok_or_else(error::user_not_found)?;
        store::account(&client, &user.email).await?
    };
    let stored = account.and_then(|account| account.password_hash);
    if !core.hasher.verify(body.current_password, stored).await? {
        return Err(error::bad_credentials().into());
    }
    let hash = core.hasher.hash(password.into_string()).await?;
    let told = |error| translate("changing a password", error);
    let mut client = core.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    store::set_password(&transaction, caller.user_id, &hash).await?;
    store::end_sessions(&transaction, caller.user_id).await?;
    transaction.commit().await.map_err(told)?;
    Ok(StatusCode::NO_CONTENT)
}
