//! `POST /v1/core/auth/register`

use super::one_time::{self, Purpose};
use crate::{
    Core, error,
    fields::{self, Email, Password},
    mail,
    users::{UserBody, store},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use foundation::{Result, Role};
use http::{StatusCode, header};
use http_chassis::{extract::Json, problem::Failure};
use postgres_chassis::translate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    #[schema(format = "email")]
    email: String,
    /// At least 8 characters
    #[schema(format = "password")]
    password: String,
    name: Option<String>,
}

/// The same whether or not the address was known already.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    message: &'static str,
}

/// Makes an account. Where addresses are verified by mail, the answer is 202 and tells nobody who has an account.
#[utoipa::path(post, path = "/v1/core/auth/register", tag = "auth", request_body = Registration,
    responses((status = 201, body = UserBody), (status = 202, body = Accepted), (status = 409), (status = 422), (status = 503)))]
pub async fn register(State(core): State<Core>, Json(body): Json<Registration>) -> Result<Response, Failure> {
    let email = Email::parse(&body.email)?;
    let password = Password::parse(&body.password)?;
    let name = fields::name(body.name.as_deref())?;
    let hash = core.hasher.hash(password.into_string()).await?;
    let new = store::NewUser {
        email: &email,
        name: name.as_deref(),
        role: Role::User,
        password_hash: Some(&hash),
        verified: !core.demands_verification,
    };
    if core.demands_verification {
        with_verification(&core, &new).await?;
        let message = "If this address is new here, a mail with a link to finish is on its way";
        return Ok((StatusCode::ACCEPTED, Json(Accepted { message })).into_response());
    }
    let client = core.pool.client().await?;
    let user = store::insert(&client, &new).await?;
    let location = format!("/v1/core/users/{}", user.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(UserBody { user }),
    )
        .into_response())
}

async fn with_verification(core: &Core, new: &store::NewUser<'_>) -> Result<()> {
    let mut client = core.pool.client().await?;
    let told = |error| translate("registering", error);
    let transaction = client.transaction().await.map_err(told)?;
    let savepoint = store::account(&transaction, new.email.as_str()).await?;
    if savepoint.is_some() {
        let text =
            "Somebody tried to register with your address, but you have an account already. Nothing was changed.\n";
        mail::enqueue(&transaction, new.email.as_str(), "You have an account already", text).await?;
        return transaction.commit().await.map_err(told);
    }
    match store::insert(&transaction, new).await {
        Ok(user) => {
            let token = one_time::make(&transaction, Some(user.id), Purpose::VerifyEmail).await?;
            let link = core.link("/v1/core/auth/verify-email", &token);
            let text = format!("Welcome! Confirm your address within a day:\n\n{link}\n");
            mail::enqueue(&transaction, new.email.as_str(), "Confirm your address", &text).await?;
            transaction.commit().await.map_err(told)
        }
        // Two registrations at once: the other one sends the mail.
        Err(taken) if taken.code == error::email_taken().code => Ok(()),
        Err(error) => Err(error),
    }
}
