//! The route table: a path's handlers and who may call them, a line each.

use crate::{Core, auth, discovery, users};
use axum::{Router, extract::State, routing::get};
use foundation::{Error, Result};
use http_chassis::{
    docs,
    health::{Health, check},
    routes::{Access, Routes},
};
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

pub fn router(core: Core) -> Result<Router> {
    let (routes, document) = table(&core);
    let documents = docs::router("/v1/core", &document).map_err(|error| Error::internal("writing OpenAPI", error))?;
    let health = Router::new().route("/v1/core/health", get(health));
    Ok(routes.merge(health).with_state(core).merge(documents))
}

fn table(core: &Core) -> (Router<Core>, OpenApi) {
    use Access::{Admin, Door, Public, User};
    Routes::new(core.verifier.clone())
        .add(Door, routes!(auth::register::register))
        .add(Door, routes!(auth::login::login))
        .add(Door, routes!(auth::refresh::refresh))
        .add(User, routes!(auth::logout::logout))
        .add(
            Door,
            routes!(auth::verify_email::verify_email, auth::verify_email::show_verify_email),
        )
        .add(Door, routes!(auth::forgot_password::forgot_password))
        .add(
            Door,
            routes!(
                auth::reset_password::reset_password,
                auth::reset_password::show_reset_password
            ),
        )
        .add(User, routes!(auth::change_password::change_password))
        .add(Door, routes!(auth::setup::setup, auth::setup::show_setup))
        .add(Admin, routes!(users::list::list, users::create::create))
        .add(User, routes!(users::me::me))
        .add(
            User,
            routes!(users::get::get, users::update::update, users::delete::delete),
        )
        .add(Public, routes!(discovery::jwks))
        .add(Public, routes!(discovery::openid_configuration))
        .split("Portico core")
}

async fn health(State(core): State<Core>) -> Health {
    Health::of("core", vec![check("database", core.pool.ping()).await])
}
