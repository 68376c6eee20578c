//! Hasura's paths.

mod config;
mod events;
mod explain;
mod graphql_http;
mod openapi;
mod pg_dump;
mod query;
mod rest;

use crate::engine::Engine;
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use serde_json::json;
use std::sync::Arc;

/// Which of Hasura's APIs there are: `HASURA_GRAPHQL_ENABLED_APIS`.
#[derive(Clone, Copy, Debug)]
pub struct Apis {
    pub graphql: bool,
    pub metadata: bool,
    pub config: bool,
    pub developer: bool,
    pub pgdump: bool,
}

impl Default for Apis {
    fn default() -> Self {
        Apis {
            graphql: true,
            metadata: true,
            config: true,
            developer: false,
            pgdump: true,
        }
    }
}

impl Apis {
    /// # Errors
    /// Names the API that does not exist.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut apis = Apis {
            graphql: false,
            metadata: false,
            config: false,
            developer: false,
            pgdump: false,
        };
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "graphql" => apis.graphql = true,
                "metadata" => apis.metadata = true,
                "config" => apis.config = true,
                "developer" => apis.developer = true,
                "pgdump" => apis.pgdump = true,
                "metrics" => {}
                other => {
                    return Err(format!(
                        "'{other}' is not one of graphql, metadata, config, developer, pgdump, metrics"
                    ));
                }
            }
        }
        Ok(apis)
    }
}

pub fn router(engine: Arc<Engine>) -> Router {
    let apis = engine.settings.apis;
    let mut router = Router::new()
        .route("/v1/version", get(version))
        .route("/healthz", get(healthz));
    if apis.graphql {
        router = router
            .route("/v1/graphql", get(graphql_http::got).post(graphql_http::posted))
            .route(
                "/v1alpha1/graphql",
                get(graphql_http::got_first_version).post(graphql_http::posted_first_version),
            )
            .route(
                "/v1beta1/relay",
                get(graphql_http::got_relay).post(graphql_http::posted_relay),
            )
            .route("/v1/graphql/explain", post(explain::posted))
            .route("/api/rest/{*path}", any(rest::called))
            .route("/api/swagger/json", get(openapi::document));
    }
    if apis.metadata {
        router = router
            .route("/v1/query", post(query::posted))
            .route("/v2/query", post(query::posted))
            .route("/v1/metadata", post(query::posted));
    }
    if apis.pgdump {
        router = router.route("/v1alpha1/pg_dump", post(pg_dump::posted));
    }
    if apis.config {
        router = router.route("/v1alpha1/config", get(config::config));
    }
    if apis.developer {
        router = router
            .route("/dev/ekg", get(config::connections))
            .route("/dev/plan_cache", get(config::plan_cache))
            .route("/dev/subscriptions", get(config::subscriptions))
            .route("/dev/subscriptions/extended", get(config::subscriptions));
    }
    router.with_state(engine)
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
