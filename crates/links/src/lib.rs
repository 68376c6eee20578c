//! The service `links`: short links, their redirects and clicks, and the GraphQL door in Hasura's dialect.

mod clicks;
mod error;
mod migrations;
mod redirect;
mod routes;
mod shipped;

pub use migrations::MIGRATIONS;

use foundation::Result;
use futures_util::future::BoxFuture;
use http_chassis::auth::Verifier;
use postgres_chassis::{Pool, cluster};
use std::{path::PathBuf, sync::Arc, time::Duration};
use telemetry::{client::Client, metrics::Metrics};
use tokio_util::sync::CancellationToken;

pub struct Settings {
    /// Click segments wait here for the database.
    pub click_directory: PathBuf,
    /// Hosts on which `/{slug}` redirects.
    pub short_domains: Vec<String>,
    pub graphql: graphql_api::auth::Settings,
    pub options: graphql_api::Options,
    pub webhooks: webhooks::Settings,
    /// Where PostgreSQL's programs are looked for.
    pub programs: cluster::Settings,
}

/// The open service; cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

pub struct Inner {
    pool: Pool,
    lookup: Arc<redirect::Lookup>,
    clicks: Arc<clicks::Clicks>,
    short_domains: Vec<String>,
    graphql: Arc<graphql_api::Engine>,
}

impl std::ops::Deref for Links {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// # Errors
/// The click directory or the database cannot be used.
pub async fn open(
    settings: Settings,
    pool: Pool,
    verifier: Arc<Verifier>,
    client: Client,
    metrics: &Metrics,
) -> Result<Links> {
    let graphql = graphql_api::Settings {
        metadata_pool: pool.clone(),
        metadata_schema: MIGRATIONS.schema,
        initial: shipped::metadata()?,
        own_pool: Some(pool.clone()),
        default_source: None,
        environment: settings.webhooks.environment.clone(),
        connections: 10,
        auth: settings.graphql,
        verifier: Some(verifier),
        options: settings.options,
        allow_list: false,
        cors: graphql_api::Cors::Any,
        apis: graphql_api::Apis::default(),
        webhooks: settings.webhooks,
        programs: settings.programs,
        actions_interval: Duration::from_secs(1),
    };
    Ok(Links(Arc::new(Inner {
        lookup: Arc::new(redirect::Lookup::new(pool.clone())),
        clicks: Arc::new(clicks::Clicks::open(&settings.click_directory, metrics)?),
        short_domains: settings.short_domains,
        graphql: graphql_api::open(graphql, client, metrics).await?,
        pool,
    })))
}

impl Links {
    pub fn router(&self, verifier: Arc<Verifier>) -> Result<axum::Router> {
        routes::router(self.clone(), verifier)
    }

    /// A redirect whose link is in memory; `None` for everything else.
    pub fn at_once(&self, request: &axum::extract::Request) -> Option<axum::response::Response> {
        redirect::at_once(self, request)
    }

    /// The click writer and the listener; run until `stop`, the writer a little longer.
    pub fn tasks(&self, stop: &CancellationToken) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
        let fresh = self.lookup.clone().keep_fresh(self.pool.url().clone(), stop.clone());
        let write = clicks::write_until(self.clicks.clone(), self.pool.clone(), stop.clone());
        let mut tasks: Vec<(&'static str, BoxFuture<'static, ()>)> = vec![
            ("links notifications", Box::pin(fresh)),
            ("links clicks", Box::pin(write)),
        ];
        tasks.extend(graphql_api::tasks(&self.graphql, stop));
        tasks
    }
}
