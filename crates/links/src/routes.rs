//! The route table of links: its own REST paths. GraphQL and Hasura's paths are in the crate `graphql-api`.

use crate::{Links, redirect};
use axum::{Router, extract::State, routing::get};
use foundation::{Error, Result};
use http_chassis::{
    auth::Verifier,
    docs,
    health::{Health, check},
    routes::{Access, Routes},
};
use std::sync::Arc;
use utoipa_axum::routes;

pub fn router(links: Links, verifier: Arc<Verifier>) -> Result<Router> {
    let (routes, document) = Routes::new(verifier)
        .add(Access::Public, routes!(redirect::follow, redirect::unlock))
        .split("Portico links");
    let documents = docs::router("/v1/links", &document).map_err(|error| Error::internal("writing OpenAPI", error))?;
    let routes = routes
        .route("/v1/links/health", get(health))
        .route("/", get(redirect::root))
        .route(
            "/{slug}",
            get(redirect::follow_on_short_domain).post(redirect::unlock_on_short_domain),
        );
    let graphql = graphql_api::router(links.graphql.clone()).merge(graphql_api::short_path(links.graphql.clone()));
    let routes = routes.with_state(links).merge(documents);
    Ok(routes.nest("/v1/links", graphql))
}

async fn health(State(links): State<Links>) -> Health {
    Health::of("links", vec![check("database", links.pool.ping()).await])
}
