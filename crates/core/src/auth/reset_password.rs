//! `POST /v1/core/auth/reset-password`, and the page its mailed link opens.

use super::{
    one_time::{self, Purpose},
    page::{self, Field},
};
use crate::{Core, error, fields::Password, users::store};
use axum::{extract::State, response::Response};
use http::StatusCode;
use http_chassis::{extract::Json, problem::Failure};
use postgres_chassis::translate;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    token: String,
    /// At least 8 characters
    #[schema(format = "password")]
    password: String,
}

/// Sets a new password with the token of a mailed link, which also proves the address, and ends all sessions.
#[utoipa::path(post, path = "/v1/core/auth/reset-password", tag = "auth", request_body = Reset,
    responses((status = 204), (status = 400), (status = 422), (status = 503)))]
pub async fn reset_password(State(core): State<Core>, Json(body): Json<Reset>) -> Result<StatusCode, Failure> {
    let password = Password::parse(&body.password)?;
    let hash = core.hasher.hash(password.into_string()).await?;
    let told = |error| translate("resetting a password", error);
    let mut client = core.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    let user = one_time::consume(&transaction, &body.token, Purpose::ResetPassword)
        .await?
        .ok_or_else(error::link_invalid)?;
    store::set_password(&transaction, user, &hash).await?;
    store::set_verified(&transaction, user).await?;
    store::end_sessions(&transaction, user).await?;
    transaction.commit().await.map_err(told)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The page behind the mailed link.
#[utoipa::path(get, path = "/v1/core/auth/reset-password", tag = "auth", responses((status = 200, content_type = "text/html")))]
pub async fn show_reset_password() -> Response {
    let fields = [Field::new("password", "New password", "new-password")];
    page::form(
        "Choose a new password",
        &fields,
        "Save",
        "Your new password is set. You can log in now.",
    )
}
