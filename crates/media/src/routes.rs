//! The route table: a path's handlers and who may call them, a line each.

use crate::{Media, assets, cdn, presign, upload};
use axum::{
    Router,
    extract::State,
    routing::{any, get},
};
use foundation::{Error, Result};
use http_chassis::{
    auth::Verifier,
    docs,
    health::{Health, check},
    routes::{Access, Routes},
};
use std::sync::Arc;
use utoipa_axum::routes;

pub fn router(media: Media, verifier: Arc<Verifier>) -> Result<Router> {
    use Access::{Public, User};
    let (routes, document) = Routes::new(verifier)
        .add(User, routes!(upload::upload))
        .add(User, routes!(presign::presign))
        .add(User, routes!(assets::list::list))
        .add(User, routes!(assets::get::get, assets::delete::delete))
        .add(User, routes!(assets::complete::complete))
        .add(User, routes!(assets::content::content))
        .add(Public, routes!(cdn::fetch))
        .split("Portico media");
    let documents = docs::router("/v1/media", &document).map_err(|error| Error::internal("writing OpenAPI", error))?;
    let routes = routes
        .route("/v1/media/health", get(health))
        .route("/{*key}", any(cdn::fetch_on_domain));
    Ok(routes.with_state(media).merge(documents))
}

async fn health(State(media): State<Media>) -> Health {
    let database = check("database", media.pool.ping());
    let store = check("store", media.store.health());
    let (database, store) = futures_util::future::join(database, store).await;
    Health::of("media", vec![database, store])
}
