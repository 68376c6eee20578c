//! `POST /v1/core/users`

use super::{User, store};
use crate::{
    Core,
    auth::one_time::{self, Purpose},
    fields::{self, Email},
    mail,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use foundation::Role;
use http::{StatusCode, header};
use http_chassis::{extract::Json, problem::Failure};
use postgres_chassis::translate;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    #[schema(format = "email")]
    email: String,
    name: Option<String>,
}

/// Makes an account without a password and mails its owner a link to set one.
#[utoipa::path(post, path = "/v1/core/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = User), (status = 401), (status = 403), (status = 409), (status = 422)))]
pub async fn create(State(core): State<Core>, Json(body): Json<NewUser>) -> Result<Response, Failure> {
    let email = Email::parse(&body.email)?;
    let name = fields::name(body.name.as_deref())?;
    let mut client = core.pool.client().await?;
    let told = |error| translate("creating a user", error);
    let transaction = client.transaction().await.map_err(told)?;
    let new = store::NewUser {
        email: &email,
        name: name.as_deref(),
        role: Role::User,
        password_hash: None,
        verified: true,
    };
    let user = store::insert(&transaction, &new).await?;
    let token = one_time::make(&transaction, Some(user.id), Purpose::ResetPassword).await?;
    let link = core.link("/v1/core/auth/reset-password", &token);
    let text = format!("An account was made for you. Choose its password within an hour:\n\n{link}\n");
    mail::enqueue(&transaction, email.as_str(), "Your new account", &text).await?;
    transaction.commit().await.map_err(told)?;
    let location = format!("/v1/core/users/{}", user.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(user)).into_response())
}
