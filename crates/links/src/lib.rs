//! The service `links`: short links, their redirects and clicks, and the GraphQL door in Hasura's dialect.

mod clicks;
mod error;
pub mod graphql;
mod migrations;
mod redirect;
mod routes;

pub use migrations::MIGRATIONS;

use foundation::Result;
use futures_util::future::BoxFuture;
use http_chassis::auth::Verifier;
use postgres_chassis::Pool;
use std::{path::PathBuf, sync::Arc};
use telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

pub struct Settings {
    /// Click segments wait here for the database.
    pub click_directory: PathBuf,
    /// Hosts on which `/{slug}` redirects.
    pub short_domains: Vec<String>,
    pub graphql: graphql::Settings,
}

/// The open service; cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

pub struct Inner {
    pool: Pool,
    lookup: Arc<redirect::Lookup>,
    clicks: Arc<clicks::Clicks>,
    short_domains: Vec<String>,
    graphql: graphql::Settings,
}

impl std::ops::Deref for Links {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// # Errors
/// The click directory cannot be used.
pub fn open(settings: Settings, pool: Pool, metrics: &Metrics) -> Result<Links> {
    Ok(Links(Arc::new(Inner {
        lookup: Arc::new(redirect::Lookup::new(pool.clone())),
        clicks: Arc::new(clicks::Clicks::open(&settings.click_directory, metrics)?),
        short_domains: settings.short_domains,
        graphql: settings.graphql,
        pool,
    })))
}

impl Links {
    pub fn router(&self, verifier: Arc<Verifier>) -> Result<axum::Router> {
        routes::router(self.clone(), verifier)
    }

    /// The click writer and the listener; run until `stop`, the writer a little longer.
    pub fn tasks(&self, stop: &CancellationToken) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
        let fresh = self.lookup.clone().keep_fresh(self.pool.url().clone(), stop.clone());
        let write = clicks::write_until(self.clicks.clone(), self.pool.clone(), stop.clone());
        vec![
            ("links notifications", Box::pin(fresh)),
            ("links clicks", Box::pin(write)),
        ]
    }
}
