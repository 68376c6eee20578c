//! Hasura's HTTP and WebSocket APIs over the pure engine: who may ask, where metadata is kept, which databases there are.
//! `portico serve graphql` runs it alone; the links service runs it with its own metadata.

mod actions;
mod allow_list;
mod answer;
pub mod auth;
mod catalog_store;
mod commands;
mod compress;
mod cors;
mod dependents;
mod draft;
mod endpoints;
mod engine;
mod identity;
mod limits;
mod listed;
mod live;
mod refusal;
mod remotes;
mod session;
mod sources;
mod split;
mod state;
mod time_limit;
mod triggers;
mod websocket;

pub use actions::ACTION_TABLES;
pub use cors::Cors;
pub use endpoints::Apis;
pub use engine::Engine;

use foundation::Result;
use futures_util::future::BoxFuture;
pub use graphql::Options;
use http_chassis::auth::Verifier;
use metadata::Metadata;
use postgres_chassis::{Pool, cluster};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use telemetry::{client::Client, metrics::Metrics};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct Settings {
    /// Where metadata is kept: the database, and the schema in it.
    pub metadata_pool: Pool,
    pub metadata_schema: &'static str,
    /// What there is before any metadata was saved.
    pub initial: Metadata,
    /// The database of source `default`, where its configuration names none.
    pub own_pool: Option<Pool>,
    /// The variable that names the database of source `default`, if there is one from the start.
    pub default_source: Option<String>,
    /// What metadata may read with `from_env`.
    pub environment: Arc<BTreeMap<String, String>>,
    /// Connections of a source that says nothing about it.
    pub connections: usize,
    pub auth: auth::Settings,
    /// Where the platform's own tokens are accepted.
    pub verifier: Option<Arc<Verifier>>,
    pub options: Options,
    /// Only listed operations, except for administrators.
    pub allow_list: bool,
    pub cors: Cors,
    pub apis: Apis,
    pub webhooks: webhooks::Settings,
    /// Where PostgreSQL's programs are looked for.
    pub programs: cluster::Settings,
    /// How often asynchronous actions are looked for when nothing wakes us; zero: never.
    pub actions_interval: Duration,
}

/// # Errors
/// The metadata database cannot be used.
pub async fn open(settings: Settings, client: Client, metrics: &Metrics) -> Result<Arc<Engine>> {
    let store = catalog_store::CatalogStore::new(settings.metadata_pool.clone(), settings.metadata_schema);
    Engine::open(settings, store, client, metrics).await
}

/// Hasura's paths, as they are.
pub fn router(engine: Arc<Engine>) -> axum::Router {
    let cors = engine.settings.cors.clone();
    endpoints::router(engine)
        .layer(axum::middleware::from_fn(compress::layer))
        .layer(axum::middleware::from_fn_with_state(cors, cors::layer))
}

/// `/graphql`, for those who need no version in it.
pub fn short_path(engine: Arc<Engine>) -> axum::Router {
    endpoints::short_path(engine)
}

/// What keeps copies on the same metadata, answers subscriptions and calls webhooks; runs until `stop`.
pub fn tasks(engine: &Arc<Engine>, stop: &CancellationToken) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
    let (following, refreshing) = (engine.clone(), engine.clone());
    let stopped = stop.clone();
    vec![
        ("graphql metadata", Box::pin(following.follow(stop.clone()))),
        (
            "graphql subscriptions",
            Box::pin(engine.clone().serve_subscriptions(stop.clone())),
        ),
        ("graphql actions", Box::pin(engine.clone().serve_actions(stop.clone()))),
        (
            "graphql webhooks",
            Box::pin(engine.deliveries.clone().run(engine.plans.subscribe(), stop.clone())),
        ),
        (
            "graphql keys",
            Box::pin(async move { refreshing.auth.refresh(stopped).await }),
        ),
    ]
}
