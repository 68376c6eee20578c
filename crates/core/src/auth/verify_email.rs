//! `POST /v1/core/auth/verify-email`, and the page its mailed link opens. The page asks for a click: mail scanners follow
//! links, but press no buttons.

use super::{
    one_time::{self, Purpose},
    page,
};
use crate::{Core, error, users::store};
use axum::{extract::State, response::Response};
use http::StatusCode;
use http_chassis::{extract::Json, problem::Failure};
use postgres_chassis::translate;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    token: String,
}

/// Confirms the address the token was mailed to.
#[utoipa::path(post, path = "/v1/core/auth/verify-email", tag = "auth", request_body = Verification,
    responses((status = 204), (status = 400), (status = 422)))]
pub async fn verify_email(State(core): State<Core>, Json(body): Json<Verification>) -> Result<StatusCode, Failure> {
    let told = |error| translate("verifying an address", error);
    let mut client = core.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    let user = one_time::consume(&transaction, &body.token, Purpose::VerifyEmail).await?;
    store::set_verified(&transaction, user.ok_or_else(error::link_invalid)?).await?;
    transaction.commit().await.map_err(told)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The page behind the mailed link.
#[utoipa::path(get, path = "/v1/core/auth/verify-email", tag = "auth", responses((status = 200, content_type = "text/html")))]
pub async fn show_verify_email() -> Response {
    page::form(
        "Confirm your address",
        &[],
        "Confirm",
        "Your address is confirmed. You can log in now.",
    )
}
