//! Opens the services of the plan, and gives each a listener of its own where no gateway is in the same process.

use super::{
    Logins, Plan, issuer,
    store::{self, OpenStore},
};
use crate::{generated, process::Process, settings::Settings};
use axum::{Router, http::header, response::IntoResponse, routing::get};
use foundation::{Clock, Error, Kind, Result};
use http_chassis::{
    auth::Verifier,
    envelope::{self, Envelope, HttpMetrics},
    in_process::{AtOnce, InProcess},
    server,
};
use links::Links;
use media::Media;
use portico_core::Core;
use postgres_chassis::{DatabaseUrl, Pool, PoolSize};
use std::{net::SocketAddr, sync::Arc, time::Instant};
use telemetry::metrics::{CONTENT_TYPE, Metrics};
use tokio::net::TcpListener;

#[derive(Default)]
pub struct Services {
    store: Option<OpenStore>,
    core: Option<Core>,
    media: Option<Media>,
    links: Option<Links>,
    pools: Vec<Pool>,
}

impl Services {
    pub async fn open(
        settings: &Settings,
        plan: &Plan,
        logins: &Logins,
        verifier: &Arc<Verifier>,
        process: &mut Process,
    ) -> Result<Self> {
        let mut services = Self::default();
        if plan.media || plan.store {
            let opened = store::open(settings, plan, logins, process, || {
                let login = logins
                    .objects
                    .as_ref()
                    .ok_or_else(|| Error::internal("the store's login", "missing"))?;
                services.pool(settings, login, "portico objects")
            });
            services.store = Some(opened.await?);
        }
        if let Some(login) = &logins.core {
            let pool = services.pool(settings, login, "portico core")?;
            let core = open_core(settings, pool, verifier).await?;
            for (name, task) in core.tasks(&process.work)? {
                process.at_work((name.to_owned(), task));
            }
            services.core = Some(core);
        }
        if let (Some(login), Some(opened)) = (&logins.media, &services.store) {
            let (store, objects_url) = (opened.store.clone(), opened.public_url.clone());
            let pool = services.pool(settings, login, "portico media")?;
            let own = media::Settings {
                max_upload: settings.media_max_upload,
                public_url: super::gateway::public_url(settings),
                cdn_domain: settings.cdn_domain.clone(),
                objects_url,
            };
            let media = media::open(own, pool, store, &process.metrics);
            for (name, task) in media.tasks(&process.work) {
                process.at_work((name.to_owned(), task));
            }
            services.media = Some(media);
        }
        if let Some(login) = &logins.links {
            let pool = services.pool(settings, login, "portico links")?;
            let own = links::Settings {
                click_directory: settings.data_dir.join("clicks"),
                short_domains: settings.short_domains.clone(),
                keep_address: settings.clicks.address,
                geoip_database: settings.clicks.geoip_database.clone(),
                clickhouse_url: settings.clicks.clickhouse_url.clone(),
                click_disk: settings.clicks.disk,
                click_retention_days: settings.clicks.retention_days,
                fetch_allowed: settings.clicks.fetch_allowed.clone(),
                public_url: super::gateway::public_url(settings),
                graphql: graphql(settings, plan)?,
                options: graphql_api::Options::default(),
                programs: super::cluster_settings(settings),
                webhooks: webhooks::Settings {
                    environment: Arc::new(settings.environment.clone()),
                    secrets: settings.webhook_secrets.clone(),
                    ..webhooks::Settings::default()
                },
            };
            let client = process.client.clone();
            let links = links::open(own, pool, verifier.clone(), client, &process.metrics).await?;
            for (name, task) in links.tasks(&process.work) {
                process.at_work((name.to_owned(), task));
            }
            services.links = Some(links);
        }
        Ok(services)
    }

    fn pool(&mut self, settings: &Settings, login: &DatabaseUrl, name: &str) -> Result<Pool> {
        let size = PoolSize {
            connections: settings.database.connections,
            ..PoolSize::default()
        };
        let pool = Pool::open(login, name, size)?;
        self.pools.push(pool.clone());
        Ok(pool)
    }

    /// Each service as the gateway of this process calls it.
    pub fn in_process(&self, verifier: &Arc<Verifier>, process: &Process) -> Result<Vec<(String, InProcess)>> {
        let metrics = HttpMetrics::register(&process.metrics);
        let routers = self.routers(verifier, process, (&metrics, false))?;
        // With traces on, every answer goes the whole way, so that none is missing a span.
        let quick = self.links.as_ref().filter(|_| !process.tracer.is_on());
        let at_once = quick.map(|links| redirects(links.clone(), &metrics));
        let whole = |(name, router): (String, Router)| {
            let at_once = at_once.clone().filter(|_| name == "links");
            (name, InProcess { router, at_once })
        };
        Ok(routers.into_iter().map(whole).collect())
    }

    /// Each service's whole router, in its envelope.
    fn routers(
        &self,
        verifier: &Arc<Verifier>,
        process: &Process,
        (metrics, logs): (&HttpMetrics, bool),
    ) -> Result<Vec<(String, Router)>> {
        let wrap = |service: &'static str, router: Router| {
            let envelope = Envelope {
                service,
                metrics: metrics.clone(),
                tracer: process.tracer.clone(),
                logs,
            };
            (service.to_owned(), envelope::wrap(router, envelope))
        };
        let mut routers = Vec::new();
        if let Some(core) = &self.core {
            routers.push(wrap("core", core.router()?));
        }
        if let Some(media) = &self.media {
            routers.push(wrap("media", media.router(verifier.clone())?));
        }
        if let Some(links) = &self.links {
            routers.push(wrap("links", links.router(verifier.clone())?));
        }
        Ok(routers)
    }

    /// Without a gateway: a listener each, and the admin listener.
    pub async fn listen(
        &self,
        settings: &Settings,
        verifier: &Arc<Verifier>,
        process: &mut Process,
    ) -> Result<Vec<(String, SocketAddr)>> {
        let mut addresses = Vec::new();
        let metrics = HttpMetrics::register(&process.metrics);
        let mut routers = self.routers(verifier, process, (&metrics, true))?;
        routers.push(("admin".to_owned(), admin(&process.metrics)));
        for (name, router) in routers {
            let address = match name.as_str() {
                "core" => settings.addresses.core,
                "media" => settings.addresses.media,
                "links" => settings.addresses.links,
                _ => settings.addresses.admin,
            };
            let listener = bind(&name, address).await?;
            let bound = listener
                .local_addr()
                .map_err(|error| Error::internal("reading a listener's address", error))?;
            let serving = server::serve(listener, router, process.door.clone(), settings.shutdown_deadline);
            process.at_the_door((format!("listener {name}"), Box::pin(serving)));
            addresses.push((name, bound));
        }
        Ok(addresses)
    }

    pub fn s3_endpoint(&self) -> Option<SocketAddr> {
        self.store.as_ref().and_then(|store| store.endpoint)
    }

    pub async fn setup_link(&self) -> Result<Option<String>> {
        match &self.core {
            Some(core) => core.setup_link().await,
            None => Ok(None),
        }
    }

    pub fn close(&self) {
        self.pools.iter().for_each(Pool::close);
    }
}

/// Redirects of links in memory, counted as the envelope counts them.
fn redirects(links: Links, metrics: &HttpMetrics) -> AtOnce {
    let followed = metrics.of("links", "GET", "/l/{slug}", 302);
    Arc::new(move |request| {
        let started = Instant::now();
        let response = links.at_once(request)?;
        followed.observe(started.elapsed().as_secs_f64());
        Some(response)
    })
}

/// In `up` an admin secret is generated, so that tools of the same machine may use it.
fn graphql(settings: &Settings, plan: &Plan) -> Result<graphql_api::auth::Settings> {
    let admin_secret = match &settings.hasura.admin_secret {
        Some(secret) => Some(secret.clone()),
        None if plan.up => Some(generated::secret(&settings.data_dir, "graphql-admin.secret")?),
        None => None,
    };
    let role = settings.hasura.unauthorized_role.clone();
    Ok(graphql_api::auth::Settings {
        admin_secrets: admin_secret.into_iter().collect(),
        unauthorized_role: Some(role.unwrap_or_else(|| "anonymous".to_owned())),
        ..graphql_api::auth::Settings::default()
    })
}

async fn open_core(settings: &Settings, pool: Pool, verifier: &Arc<Verifier>) -> Result<Core> {
    if let Some((email, password)) = &settings.admin {
        portico_core::operations::ensure_admin(&pool, email, password.expose()).await?;
    }
    let mail = match &settings.smtp {
        Some((url, from)) => portico_core::mail::Settings::Smtp {
            url: url.clone(),
            from: from.clone(),
        },
        None => portico_core::mail::Settings::Outbox {
            directory: settings.data_dir.join("outbox"),
        },
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let own = portico_core::Settings {
        public_url: super::gateway::public_url(settings),
        issuer: issuer(settings),
        audience: settings.tokens.audience.clone(),
        signing_secret: settings.tokens.secret.clone(),
        mail,
        hashing_threads: threads,
        clock: Clock::System,
    };
    portico_core::open(own, pool, verifier.clone()).await
}

pub async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!(
            "'{name}' cannot listen on {address}: {error}. Set PORTICO_{}_ADDR to a free address",
            name.to_uppercase()
        );
        Error::new(Kind::Unavailable, "LISTENER", message)
    })
}

/// `/ping` and `/metrics` of a process without a gateway.
pub fn admin(metrics: &Metrics) -> Router {
    let metrics = metrics.clone();
    let render = move || async move {
        match metrics.render() {
            Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
            Err(error) => http_chassis::problem::respond(&Error::internal("rendering metrics", error), "/metrics"),
        }
    };
    Router::new()
        .route("/ping", get(async || "OK"))
        .route("/metrics", get(render))
}
