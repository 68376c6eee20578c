//! The service `links`: short links, their redirects and clicks, and the GraphQL door in Hasura's dialect.

mod analytics;
mod clicks;
mod error;
mod fetch;
mod manage;
mod migrations;
mod redirect;
mod routes;
mod shipped;
mod visitor;

pub use fetch::Allowed;
pub use migrations::MIGRATIONS;
pub use visitor::Keep;

use foundation::{Result, Secret};
use futures_util::future::BoxFuture;
use http_chassis::auth::Verifier;
use postgres_chassis::{Pool, cluster};
use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};
use telemetry::{client::Client, metrics::Metrics};
use tokio_util::sync::CancellationToken;

/// Few links have a password.
const HASHING_THREADS: usize = 2;

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
    /// What stays of a visitor's address.
    pub keep_address: Keep,
    /// A MaxMind database of the operator's.
    pub geoip_database: Option<PathBuf>,
    /// `http://user:password@host:8123/database`, where ClickHouse keeps the clicks instead of PostgreSQL.
    pub clickhouse_url: Option<Secret>,
    /// Bytes that clicks may take on this disk while the database is away.
    pub click_disk: u64,
    /// Clicks older than this go, a month at a time; their rollups stay.
    pub click_retention_days: Option<u32>,
    /// Addresses of the house that titles, dead-link checks and click hooks may reach.
    pub fetch_allowed: Allowed,
    /// Without a slash at the end.
    pub public_url: String,
}

/// The open service; cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

pub struct Inner {
    pool: Pool,
    lookup: Arc<redirect::Lookup>,
    clicks: Arc<clicks::Clicks>,
    anonymiser: Arc<visitor::Anonymiser>,
    geo: visitor::Geo,
    guesses: redirect::Guesses,
    hasher: passwords::Hasher,
    fetch: fetch::Fetch,
    public_url: String,
    click_retention_days: Option<u32>,
    short_domains: Vec<String>,
    /// PostgreSQL's names of them.
    time_zones: tokio::sync::OnceCell<HashSet<String>>,
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
    let sink = match &settings.clickhouse_url {
        Some(url) => clicks::Sink::ClickHouse(Box::new(clicks::ClickHouse::parse(url.expose(), client.clone())?)),
        None => clicks::Sink::Postgres,
    };
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
        clicks: Arc::new(clicks::Clicks::open(
            &settings.click_directory,
            settings.click_disk,
            sink,
            metrics,
        )?),
        lookup: Arc::new(redirect::Lookup::new(
            pool.clone(),
            settings.click_directory.join("known-links.snapshot"),
        )),
        anonymiser: Arc::new(visitor::Anonymiser::new(settings.keep_address)),
        geo: visitor::Geo::open(settings.geoip_database.as_deref())?,
        guesses: redirect::Guesses::default(),
        hasher: passwords::Hasher::start(HASHING_THREADS)?,
        fetch: fetch::Fetch::new(settings.fetch_allowed),
        public_url: settings.public_url,
        click_retention_days: settings.click_retention_days,
        short_domains: settings.short_domains,
        time_zones: tokio::sync::OnceCell::new(),
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
            (
                "links click sync",
                Box::pin(self.clicks.clone().sync_until(stop.clone())),
            ),
            (
                "links visitor salts",
                Box::pin(self.anonymiser.clone().keep_salted(self.pool.clone(), stop.clone())),
            ),
            (
                "links months",
                Box::pin(clicks::keep_partitions(
                    self.pool.clone(),
                    self.click_retention_days,
                    stop.clone(),
                )),
            ),
            (
                "links hooks",
                Box::pin(analytics::hooks::call_until(self.clone(), stop.clone())),
            ),
        ];
        tasks.extend(graphql_api::tasks(&self.graphql, stop));
        tasks
    }
}
