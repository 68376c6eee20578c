//! `POST /v1/core/auth/forgot-password`

use super::one_time::{self, Purpose};
use crate::{Core, fields::Email, mail, users::store};
use axum::extract::State;
use http::StatusCode;
use http_chassis::{extract::Json, problem::Failure};
use postgres_chassis::translate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    #[schema(format = "email")]
    email: String,
}

#[derive(Serialize, ToSchema)]
pub struct Answer {
    message: &'static str,
}

/// Mails a link to choose a new password, if there is such an account; the answer is the same if not.
#[utoipa::path(post, path = "/v1/core/auth/forgot-password", tag = "auth", request_body = Forgotten,
    responses((status = 202, body = Answer), (status = 422)))]
pub async fn forgot_password(
    State(core): State<Core>,
    Json(body): Json<Forgotten>,
) -> Result<(StatusCode, Json<Answer>), Failure> {
    let email = Email::parse(&body.email)?;
    let told = |error| translate("forgetting a password", error);
    let mut client = core.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    let account = store::account(&transaction, email.as_str()).await?;
    if let Some(account) = account.filter(|account| !account.disabled) {
        let token = one_time::make(&transaction, Some(account.user.id), Purpose::ResetPassword).await?;
        let link = core.link("/v1/core/auth/reset-password", &token);
        let text = format!(
            "Choose a new password within an hour:\n\n{link}\n\nIf you did not ask for it, ignore this mail.\n"
        );
        mail::enqueue(&transaction, &account.user.email, "Choose a new password", &text).await?;
    }
    transaction.commit().await.map_err(told)?;
    let message = "If there is an account with this address, a mail with a link is on its way";
    Ok((StatusCode::ACCEPTED, Json(Answer { message })))
}
