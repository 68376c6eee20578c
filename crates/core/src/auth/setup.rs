//! `POST /v1/core/setup`: the first administrator, made by whoever can read the one-time link in the terminal.

use super::{
    one_time::{self, Purpose},
    page::{self, Field},
};
use crate::{
    Core, error,
    fields::{self, Email, Password},
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
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    token: String,
    #[schema(format = "email")]
    email: String,
    /// At least 8 characters
    #[schema(format = "password")]
    password: String,
    name: Option<String>,
}

/// Makes the first administrator.
#[utoipa::path(post, path = "/v1/core/setup", tag = "auth", request_body = Setup,
    responses((status = 201, body = UserBody), (status = 400), (status = 409), (status = 410), (status = 422), (status = 503)))]
pub async fn setup(State(core): State<Core>, Json(body): Json<Setup>) -> Result<Response, Failure> {
    let email = Email::parse(&body.email)?;
    let password = Password::parse(&body.password)?;
    let name = fields::name(body.name.as_deref())?;
    let hash = core.hasher.hash(password.into_string()).await?;
    let told = |error| translate("setting up", error);
    let mut client = core.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    one_time::consume(&transaction, &body.token, Purpose::Setup).await?;
    if store::has_admin(&transaction).await? {
        return Err(error::set_up_already().into());
    }
    let new = store::NewUser {
        email: &email,
        name: name.as_deref(),
        role: Role::Admin,
        password_hash: Some(&hash),
        verified: true,
    };
    let user = store::insert(&transaction, &new).await?;
    transaction.commit().await.map_err(told)?;
    let location = format!("/v1/core/users/{}", user.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(UserBody { user }),
    )
        .into_response())
}

/// The page behind the link that `portico up` prints.
#[utoipa::path(get, path = "/v1/core/setup", tag = "auth", responses((status = 200, content_type = "text/html")))]
pub async fn show_setup() -> Response {
    let fields = [
        Field::new("email", "E-mail", "email"),
        Field::new("password", "Password", "new-password"),
        Field::new("name", "Name", "name"),
    ];
    page::form(
        "Create the administrator",
        &fields,
        "Create",
        "Done. You can log in now.",
    )
}

/// A fresh link while there is no administrator; earlier ones stop working.
pub async fn link(core: &Core) -> Result<Option<String>> {
    let client = core.pool.client().await?;
    if store::has_admin(&client).await? {
        return Ok(None);
    }
    let token = one_time::make(&client, None, Purpose::Setup).await?;
    Ok(Some(core.link("/v1/core/setup", &token)))
}
