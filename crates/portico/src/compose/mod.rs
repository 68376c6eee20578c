//! The composition: what is opened, in which order, and how it ends. The whole start reads on this page.

mod banner;
mod gateway;
mod graphql;
mod handover;
mod services;
mod store;

use crate::{generated, lock, process::Process, settings::Settings, trust};
use clap::ArgMatches;
use foundation::{Clock, Error, Kind, Result, Secret};
pub use graphql::serve as serve_graphql;
use http_chassis::auth::{self, Verifier};
use postgres_chassis::{
    DatabaseUrl, Migrations, Pool, PoolSize,
    cluster::{self, Cluster},
    migrate,
};
use services::Services;
use std::{process::ExitCode, sync::Arc, time::Duration, time::Instant};
pub use store::s3_settings;
use tokio_util::sync::CancellationToken;

/// In the order they run: nobody's schema refers to a later one's.
pub const MIGRATIONS: [Migrations; 5] = [
    objects::MIGRATIONS,
    portico_core::MIGRATIONS,
    media::MIGRATIONS,
    links::MIGRATIONS,
    ::gateway::MIGRATIONS,
];

const CLUSTER_STOP: Duration = Duration::from_secs(20);

/// Which parts this process runs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Everything, with what nobody configured generated or started.
    pub up: bool,
    pub gateway: bool,
    pub core: bool,
    pub media: bool,
    pub links: bool,
    /// The S3 endpoint of ours alone, for copies of media to share.
    pub store: bool,
    /// Traefik's static flags, for the gateway.
    pub traefik: Vec<String>,
}

impl Plan {
    fn needs_database(&self) -> bool {
        self.core || self.media || self.links || self.store
    }

    fn is_lone_gateway(&self) -> bool {
        self.gateway && !self.up && !self.needs_database()
    }
}

pub async fn up(settings: Settings) -> Result<ExitCode> {
    let plan = Plan {
        up: true,
        gateway: true,
        core: true,
        media: true,
        links: true,
        store: false,
        traefik: Vec::new(),
    };
    run(&settings, &plan).await
}

pub async fn serve(settings: Settings, matches: &ArgMatches) -> Result<ExitCode> {
    let named: Vec<&str> = matches
        .get_many::<String>("services")
        .map(|names| names.map(String::as_str).collect())
        .unwrap_or_default();
    let traefik = matches
        .get_many::<String>("traefik")
        .map(|flags| flags.cloned().collect());
    let plan = Plan {
        up: false,
        gateway: named.contains(&"gateway"),
        core: named.contains(&"core"),
        media: named.contains(&"media"),
        links: named.contains(&"links"),
        store: named.contains(&"store"),
        traefik: traefik.unwrap_or_default(),
    };
    if plan.needs_database() && settings.database.url.is_none() {
        let message = "'serve' needs DATABASE_URL (only 'up' runs a database of its own): \
                       DATABASE_URL=postgres://user:password@host:5432/database";
        return Err(Error::new(Kind::Invalid, "DATABASE_URL_MISSING", message));
    }
    run(&settings, &plan).await
}

/// Every mistake of the configuration a gateway with these flags of Traefik would have.
///
/// # Errors
/// The static configuration cannot be used.
pub fn check_gateway(settings: &Settings, traefik: Vec<String>) -> Result<Vec<String>> {
    let plan = Plan {
        up: false,
        gateway: true,
        core: false,
        media: false,
        links: false,
        store: false,
        traefik,
    };
    gateway::check(settings, &plan)
}

/// Lock, log, database, then the parts; and the same in reverse.
async fn run(settings: &Settings, plan: &Plan) -> Result<ExitCode> {
    let started = Instant::now();
    let (lock, taken) = match settings.take_over {
        true => (None, Some(handover::take_over(settings, plan)?)),
        false => (Some(lock::take(&settings.data_dir)?), None),
    };
    let mut process = Process::start(&gateway::telemetry(settings, plan)?)?;
    let mut cluster = start_cluster(settings, plan).await?;
    let url = cluster
        .as_ref()
        .map(Cluster::url)
        .or(settings.database.url.as_ref())
        .cloned();
    let outcome = match open(settings, plan, url, taken, &mut process).await {
        Ok(opened) => {
            opened.banner.show(started);
            let died = async {
                match &mut cluster {
                    Some(cluster) => format!("The local database ended: {:?}", cluster.exited().await),
                    None => std::future::pending().await,
                }
            };
            let lock = handover::Held::or_when_free(lock, settings);
            let why = process.wait(died, &opened.handed).await;
            if let Some(control) = opened.control.filter(|_| opened.handed.is_cancelled()) {
                drop(lock);
                control.leave();
                process.leave(control.shared.settings.entry_points.len()).await;
            }
            process.stop(settings.shutdown_deadline).await;
            opened.services.close();
            why
        }
        Err(error) => Err(error),
    };
    if let Some(cluster) = cluster {
        cluster.stop(CLUSTER_STOP).await;
    }
    if let Err(error) = &outcome {
        tracing::error!(code = error.code, cause = %error.chain(), "{}", error.message);
    }
    process.last_words();
    outcome.map(|()| ExitCode::SUCCESS)
}

struct Opened {
    services: Services,
    banner: banner::Banner,
    control: Option<Arc<::gateway::Control>>,
    /// Cancelled when a successor has taken the gateway's sockets.
    handed: CancellationToken,
}

/// Opens the parts and hands their tasks to the process.
async fn open(
    settings: &Settings,
    plan: &Plan,
    url: Option<DatabaseUrl>,
    taken: Option<handover::Taken>,
    process: &mut Process,
) -> Result<Opened> {
    let verifier = verifier(settings, plan)?;
    let logins = match &url {
        Some(url) if plan.needs_database() => Logins::make(url, settings, plan).await?,
        _ => Logins::default(),
    };
    keep_trust(settings, plan, &url, &logins, &verifier, process).await?;
    let services = Services::open(settings, plan, &logins, &verifier, process).await?;
    let mut banner = banner::Banner::default();
    let (mut control, handed) = (None, CancellationToken::new());
    if plan.gateway {
        let inner = services.in_process(&verifier, process)?;
        let (taken, sockets) = taken.map(handover::Taken::split).unzip();
        let trusted = (&verifier, sockets.unwrap_or_default());
        let gateway = gateway::open(settings, plan, inner, trusted, url.as_ref(), process).await?;
        banner.add_all(gateway.addresses());
        control = Some(gateway.control());
        let sockets = plan.is_lone_gateway().then(|| gateway.sockets()).transpose();
        let sockets = sockets.map_err(|error| Error::internal("copying the sockets", error))?;
        for task in gateway.tasks(&process.door) {
            process.at_the_door(task);
        }
        if let Some(taken) = taken {
            taken.ready();
        }
        if let Some(sockets) = sockets {
            handover::offer(&settings.data_dir, sockets, handed.clone())?;
        }
    } else {
        banner.add_all(&services.listen(settings, &verifier, process).await?);
    }
    if let Some(endpoint) = services.s3_endpoint() {
        banner.add_all(&[("s3".to_owned(), endpoint)]);
    }
    banner.setup_link = services.setup_link().await?;
    Ok(Opened {
        services,
        banner,
        control,
        handed,
    })
}

pub fn cluster_settings(settings: &Settings) -> cluster::Settings {
    cluster::Settings {
        data_dir: settings.data_dir.clone(),
        binaries: settings.database.binaries.clone(),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        port: settings.database.port,
    }
}

async fn start_cluster(settings: &Settings, plan: &Plan) -> Result<Option<Cluster>> {
    if settings.database.url.is_some() || !plan.up {
        return Ok(None);
    }
    Cluster::start(&cluster_settings(settings)).await.map(Some)
}

/// Each service's own database login.
#[derive(Clone, Debug, Default)]
pub struct Logins {
    pub objects: Option<DatabaseUrl>,
    pub core: Option<DatabaseUrl>,
    pub media: Option<DatabaseUrl>,
    pub links: Option<DatabaseUrl>,
}

impl Logins {
    /// Brings the schemas of the planned services up to date.
    async fn make(owner: &DatabaseUrl, settings: &Settings, plan: &Plan) -> Result<Self> {
        let planned = [
            store::is_local(settings, plan),
            plan.core,
            plan.media,
            plan.links,
            plan.gateway,
        ];
        let all = MIGRATIONS.into_iter().zip(planned);
        let wanted: Vec<Migrations> = all
            .filter(|(_, planned)| *planned)
            .map(|(migrations, _)| migrations)
            .collect();
        let mut made = migrate(owner, &wanted).await?.into_iter();
        // The gateway asks for its own when it knows that it keeps certificates there.
        let [objects, core, media, links, _] = planned.map(|planned| if planned { made.next() } else { None });
        Ok(Self {
            objects,
            core,
            media,
            links,
        })
    }

    fn any(&self) -> Option<&DatabaseUrl> {
        let all = [&self.core, &self.media, &self.links, &self.objects];
        all.into_iter().find_map(Option::as_ref)
    }
}

/// Every process of a deployment must come to the same answer, whatever it listens on.
pub fn issuer(settings: &Settings) -> String {
    let given = settings.tokens.issuer.as_ref().or(settings.public_url.as_ref());
    given.cloned().unwrap_or_else(|| "portico".to_owned())
}

/// `JWT_SECRET`; in `up` one is generated, so that tools of the same machine may mint tokens.
fn shared_secret(settings: &Settings, plan: &Plan) -> Result<Option<Secret>> {
    match &settings.tokens.secret {
        Some(secret) => Ok(Some(secret.clone())),
        None if plan.up => generated::secret(&settings.data_dir, "jwt.secret").map(Some),
        None => Ok(None),
    }
}

fn verifier(settings: &Settings, plan: &Plan) -> Result<Arc<Verifier>> {
    Ok(Verifier::new(auth::Settings {
        hs256: shared_secret(settings, plan)?,
        issuer: issuer(settings),
        audience: settings.tokens.audience.clone(),
        clock: Clock::System,
    }))
}

/// From the database where there is one; a lone gateway asks core.
async fn keep_trust(
    settings: &Settings,
    plan: &Plan,
    url: &Option<DatabaseUrl>,
    logins: &Logins,
    verifier: &Arc<Verifier>,
    process: &mut Process,
) -> Result<()> {
    let stop = process.work.clone();
    if let Some(login) = logins.any().or(url.as_ref()) {
        let size = PoolSize {
            connections: 1,
            ..PoolSize::default()
        };
        let pool = Pool::open(login, "portico trust", size)?;
        if plan.needs_database() {
            trust::load(verifier, &pool).await?;
        }
        let following = trust::follow(verifier.clone(), pool, login.clone(), stop);
        process.at_work(("trust".into(), Box::pin(following)));
    } else {
        let urls = gateway::core_urls(settings);
        let following = trust::follow_jwks(verifier.clone(), urls, process.client.clone(), stop);
        process.at_work(("trust".into(), Box::pin(following)));
    }
    Ok(())
}
