//! The route table of links: its own REST paths. GraphQL and Hasura's paths are in `graphql`.

use crate::{Links, graphql, redirect};
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
    let endpoint = graphql::Endpoint::new(links.graphql.clone(), links.pool.clone(), verifier.clone());
    let (routes, document) = Routes::new(verifier)
        .add(Access::Public, routes!(redirect::follow))
        .split("Portico links");
    let documents = docs::router("/v1/links", &document).map_err(|error| Error::internal("writing OpenAPI", error))?;
    let routes = routes
        .route("/v1/links/health", get(health))
        .route("/{slug}", get(redirect::follow_on_short_domain));
    let graphql = graphql::router(Arc::new(endpoint));
    Ok(routes.with_state(links).merge(documents).merge(graphql))
}

async fn health(State(links): State<Links>) -> Health {
    Health::of("links", vec![check("database", links.pool.ping()).await])
}
