//! Hasura's paths.

mod graphql_http;
mod query;

use crate::engine::Engine;
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use std::sync::Arc;

pub fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/v1/graphql", get(graphql_http::got).post(graphql_http::posted))
        .route(
            "/v1alpha1/graphql",
            get(graphql_http::got).post(graphql_http::posted_first_version),
        )
        .route(
            "/v1beta1/relay",
            get(graphql_http::got).post(graphql_http::posted_relay),
        )
        .route("/v1/query", post(query::posted))
        .route("/v2/query", post(query::posted))
        .route("/v1/metadata", post(query::posted))
        .route("/v1/version", get(version))
        .route("/healthz", get(healthz))
        .with_state(engine)
}

pub fn short_path(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/graphql", get(graphql_http::got).post(graphql_http::posted))
        .with_state(engine)
}

/// Hasura's version whose APIs these are; tools ask for it to know what they may use.
const VERSION: &str = "v2.48.0";

async fn version() -> Response {
    Json(json!({"server_type": "ce", "version": VERSION})).into_response()
}

async fn healthz(State(engine): State<Arc<Engine>>) -> Response {
    let state = engine.state();
    for source in state.sources.values() {
        if source.pool.ping().await.is_err() {
            return (http::StatusCode::INTERNAL_SERVER_ERROR, "ERROR").into_response();
        }
    }
    match state.inconsistent.is_empty() {
        true => "OK".into_response(),
        false => "WARN: inconsistent objects in schema".into_response(),
    }
}
