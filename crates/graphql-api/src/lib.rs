//! Hasura's HTTP and WebSocket APIs over the pure engine: who may ask, where metadata is kept, which databases there are.
//! `portico serve graphql` runs it alone; the links service runs it with its own metadata.

mod answer;
pub mod auth;
mod catalog_store;
mod commands;
mod dependents;
mod draft;
mod endpoints;
mod engine;
mod identity;
mod live;
mod refusal;
mod sources;
mod split;
mod state;
mod websocket;

pub use engine::Engine;

use foundation::Result;
use futures_util::future::BoxFuture;
use http_chassis::auth::Verifier;
use postgres_chassis::{DatabaseUrl, Pool, PoolSize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use telemetry::client::Client;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct Settings {
    /// Where metadata is kept.
    pub metadata_database: DatabaseUrl,
    /// The variable that names the database of source `default`, if there is one from the start.
    pub default_source: Option<String>,
    /// What metadata may read with `from_env`.
    pub environment: BTreeMap<String, String>,
    /// Connections of a source that says nothing about it.
    pub connections: usize,
    pub auth: auth::Settings,
    /// Where the platform's own tokens are accepted.
    pub verifier: Option<Arc<Verifier>>,
    /// `bigint`, `numeric`, `float8` as JSON text.
    pub stringify_numerics: bool,
    /// Without it functions need permissions of their own.
    pub infer_function_permissions: bool,
}

/// # Errors
/// The metadata database cannot be used.
pub async fn open(settings: Settings, client: Client) -> Result<Arc<Engine>> {
    let size = PoolSize {
        connections: 4,
        wait: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(30),
    };
    let pool = Pool::open(&settings.metadata_database, "portico graphql metadata", size)?;
    Engine::open(settings, catalog_store::CatalogStore::new(pool), client).await
}

/// Hasura's paths, as they are.
pub fn router(engine: Arc<Engine>) -> axum::Router {
    endpoints::router(engine)
}

/// What keeps copies on the same metadata; runs until `stop`.
pub fn tasks(engine: &Arc<Engine>, stop: &CancellationToken) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
    let (following, refreshing) = (engine.clone(), engine.clone());
    let stopped = stop.clone();
    vec![
        ("graphql metadata", Box::pin(following.follow(stop.clone()))),
        (
            "graphql subscriptions",
            Box::pin(engine.clone().serve_subscriptions(stop.clone())),
        ),
        (
            "graphql keys",
            Box::pin(async move { refreshing.auth.refresh(stopped).await }),
        ),
    ]
}
