//! Opening the gateway, its tasks, and applying configurations while it runs.

use crate::{
    access_log::AccessLog,
    acme::{self, Acme, Environment, names::Wanted},
    api::Published,
    build::{self, Builder, Configs, Ground},
    builtin::{self, Builtin, PROVIDER},
    listener::{Listener, h3::Quic, lanes::Lanes, tls},
    meter::Meter,
    model::{self, Dynamic},
    provider,
    service::internal::Internal,
    settings::{self, Settings},
    shared::Shared,
    snapshot::Snapshot,
    state::State,
};
use arc_swap::ArcSwap;
use foundation::{Error, Kind};
use futures_util::future::BoxFuture;
use http::HeaderValue;
use http_chassis::{auth::Verifier, in_process::InProcess};
use postgres_chassis::DatabaseUrl;
use std::{
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use telemetry::{metrics::Metrics, trace::Tracer};
use tokio::{net::TcpListener, sync::Semaphore, sync::watch, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the composition hands over.
pub struct Inputs {
    /// Services of this process by name (`core`, `media`, `links`).
    pub services: Vec<(String, InProcess)>,
    /// Our own routes; `None` where only the operator's configuration counts.
    pub builtin: Option<Builtin>,
    pub verifier: Option<Arc<Verifier>>,
    pub metrics: Metrics,
    pub tracer: Tracer,
    /// Names for the generated certificate, besides localhost.
    pub certificate_names: Vec<String>,
    /// Sockets taken over from the process before, by entrypoint.
    pub sockets: Vec<(String, std::net::TcpListener)>,
    /// The database certificates are shared through, its schema `gateway` up to date.
    pub database: Option<DatabaseUrl>,
    /// Variables DNS providers look for.
    pub environment: Environment,
}

pub struct Gateway {
    control: Arc<Control>,
    listeners: Vec<Listener>,
    quic: Vec<Quic>,
    addresses: Vec<(String, SocketAddr)>,
}

/// Applies configurations; providers hold it.
pub struct Control {
    pub shared: Arc<Shared>,
    configs: Mutex<Configs>,
    services: Vec<(String, InProcess)>,
    builtin: Option<Builtin>,
    generated: Arc<rustls::sign::CertifiedKey>,
    pub published: Arc<Published>,
    metrics: Metrics,
    applied: watch::Sender<u64>,
}

/// Binds the entrypoints and applies the built-in configuration. Serving starts with [`Gateway::tasks`].
///
/// # Errors
/// An address cannot be bound, or a setting cannot be used.
pub async fn open(settings: Settings, mut inputs: Inputs) -> Result<Gateway, Error> {
    let mut taken = std::mem::take(&mut inputs.sockets);
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    let (mut quic, mut alternatives) = (Vec::new(), Vec::new());
    for (entry, point) in settings.entry_points.iter().enumerate() {
        let found = taken.iter().position(|(name, _)| *name == point.name);
        let opened = match found.map(|place| taken.swap_remove(place).1) {
            Some(socket) if fits(&socket, &point.address) => from_other(socket),
            _ => bind(&point.address).await,
        };
        let socket = opened.map_err(|error| {
            let message = format!(
                "the entrypoint '{}' cannot listen on {}: {error}",
                point.name, point.address
            );
            Error::new(Kind::Unavailable, "ENTRYPOINT", message)
        })?;
        let address = socket
            .local_addr()
            .map_err(|error| Error::internal("reading a listener's address", error))?;
        addresses.push((point.name.clone(), address));
        if point.http3.is_some() {
            quic.push(Quic::bind(entry, &point.name, address)?);
        }
        alternatives.push(point.http3.map(|http3| http3.alternative(address.port())));
        listeners.push(Listener { entry, socket });
    }
    let control = Control::make(settings, inputs, alternatives)?;
    match control.shared.acme.configuration().await {
        Ok(issued) if issued == Dynamic::default() => {}
        Ok(issued) => control.apply(acme::PROVIDER, issued),
        Err(error) => tracing::warn!(error, "the certificates that are kept cannot be read yet"),
    }
    if let Some(files) = &control.shared.settings.providers.file {
        provider::file::load(files, &control);
    }
    Ok(Gateway {
        control,
        listeners,
        quic,
        addresses,
    })
}

fn access_log(settings: &Settings) -> Result<Option<AccessLog>, Error> {
    let settings::AccessLog::Traefik(log) = &settings.access_log else {
        return Ok(None);
    };
    let opened = AccessLog::open(log.clone()).map_err(|error| {
        let message = format!(
            "accessLog.filePath '{}': {error}",
            log.file.as_deref().unwrap_or("standard output")
        );
        Error::new(Kind::Invalid, "ACCESS_LOG", message)
    })?;
    Ok(Some(opened))
}

async fn write_out(shared: Arc<Shared>, stop: CancellationToken) {
    while let Some(log) = &shared.access_log {
        log.flush();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = stop.cancelled() => return log.flush(),
        }
    }
}

fn providers(settings: &Settings) -> Vec<String> {
    let providers = &settings.providers;
    let all = [
        ("File", providers.file.is_some()),
        ("HTTP", providers.http.is_some()),
        ("Docker", providers.docker.is_some()),
    ];
    all.iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

/// Whether a socket listens where the configuration wants it; port 0 wants any.
fn fits(socket: &std::net::TcpListener, wanted: &str) -> bool {
    let port = wanted
        .rsplit(':')
        .next()
        .and_then(|port| port.trim_end_matches("/tcp").parse::<u16>().ok());
    let listens = socket.local_addr().map(|address| address.port()).ok();
    port.is_some_and(|port| port == 0 || Some(port) == listens)
}

fn from_other(socket: std::net::TcpListener) -> std::io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

async fn bind(address: &str) -> std::io::Result<TcpListener> {
    let address = address.trim_end_matches("/tcp");
    let address = if address.starts_with(':') {
        format!("[::]{address}")
    } else {
        address.to_owned()
    };
    match TcpListener::bind(&address).await {
        // A machine without IPv6 still has every IPv4 address.
        Err(_) if address.starts_with("[::]") => TcpListener::bind(address.replace("[::]", "0.0.0.0")).await,
        done => done,
    }
}

impl Gateway {
    /// Where each entrypoint listens, with the port the system chose for `:0`.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// The listening sockets, to be handed to a successor.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn sockets(&self) -> std::io::Result<Vec<(String, OwnedFd)>> {
        let settings = &self.control.shared.settings;
        let copy = |listener: &Listener| {
            let name = settings.entry_points[listener.entry].name.clone();
            Ok((name, listener.socket.as_fd().try_clone_to_owned()?))
        };
        self.listeners.iter().map(copy).collect()
    }

    pub fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// What must run: listeners, health checks, providers. Each ends some time after `stop`; listeners drain first.
    pub fn tasks(self, stop: &CancellationToken) -> Vec<(String, BoxFuture<'static, ()>)> {
        let settings = &self.control.shared.settings;
        let (drain, places) = (settings.drain, Arc::new(Semaphore::new(settings.max_connections)));
        let lanes = Arc::new(Lanes::start());
        let mut tasks: Vec<(String, BoxFuture<'static, ()>)> = Vec::new();
        for listener in self.listeners {
            let name = format!("entrypoint {}", settings.entry_points[listener.entry].name);
            let serving = listener.serve(
                self.control.shared.clone(),
                (places.clone(), lanes.clone()),
                stop.clone(),
                drain,
            );
            tasks.push((name, Box::pin(serving)));
        }
        for quic in self.quic {
            let name = format!("entrypoint {} (HTTP/3)", settings.entry_points[quic.entry].name);
            let applied = self.control.applied();
            let shared = self.control.shared.clone();
            let serving = quic.serve(shared, places.clone(), applied, (stop.clone(), drain));
            tasks.push((name, Box::pin(serving)));
        }
        tasks.push((
            "health checks".into(),
            Box::pin(watch_health(self.control.clone(), stop.clone())),
        ));
        if self.control.shared.access_log.is_some() {
            let writing = write_out(self.control.shared.clone(), stop.clone());
            tasks.push(("access log".into(), Box::pin(writing)));
        }
        tasks.extend(provider::tasks(&self.control, stop));
        let acme = self.control.shared.acme.clone();
        if acme.is_used() {
            let working = acme.run(self.control.clone(), stop.clone());
            tasks.push(("certificate resolvers".into(), Box::pin(working)));
        }
        tasks
    }
}

impl Control {
    /// A successor serves on the same sockets now.
    pub fn leave(&self) {
        self.shared.leaving.cancel();
    }

    /// With the built-in configuration in force. `alternatives` is what `Alt-Svc` says, by entrypoint.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn make(
        mut settings: Settings,
        inputs: Inputs,
        alternatives: Vec<Option<HeaderValue>>,
    ) -> Result<Arc<Self>, Error> {
        if let Some(docker) = &mut settings.providers.docker {
            docker.environment = settings.environment.clone();
        }
        let server_name =
            HeaderValue::from_str(&settings.server_name).map_err(|error| Error::internal("the server name", error))?;
        let names: Vec<Arc<str>> = settings
            .entry_points
            .iter()
            .map(|entry| entry.name.as_str().into())
            .collect();
        let generated = tls::generated(settings.certificate_dir.as_deref(), &inputs.certificate_names)?;
        let shown = settings.entry_points.iter().map(
            |entry| serde_json::json!({"name": entry.name, "address": entry.address, "asDefault": entry.as_default}),
        );
        let published = Arc::new(Published::new(shown.collect(), providers(&settings)));
        let acme = Acme::open(&settings.resolvers, inputs.database.as_ref(), &inputs.environment);
        let shared = Arc::new(Shared {
            acme: Arc::new(acme),
            alternatives,
            snapshot: ArcSwap::from_pointee(Snapshot {
                entries: Vec::new(),
                checks: Vec::new(),
                wanted: Vec::new(),
                certificates: Arc::new(tls::Certificates::only(generated.clone())),
            }),
            state: State::default(),
            meter: Meter::register(&inputs.metrics, &names),
            tracer: inputs.tracer,
            verifier: inputs.verifier,
            server_name,
            access_log: access_log(&settings)?,
            leaving: CancellationToken::new(),
            tunnels: TaskTracker::new(),
            settings,
        });
        let control = Arc::new(Control {
            shared,
            configs: Mutex::default(),
            services: inputs.services,
            builtin: inputs.builtin,
            generated,
            published,
            metrics: inputs.metrics,
            applied: watch::Sender::new(0),
        });
        control.apply(PROVIDER, control.own());
        Ok(control)
    }

    /// Puts a provider's configuration in force; what it had before is replaced whole.
    pub fn apply(&self, provider: &str, config: Dynamic) {
        // Held while building, so that configurations take force in the order they came.
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if configs.get(provider) == Some(&config) {
            return;
        }
        configs.insert(provider.to_owned(), config);
        let ground = Ground {
            settings: &self.shared.settings,
            state: &self.shared.state,
            verifier: self.shared.verifier.as_ref(),
            in_process: &self.services,
            generated: &self.generated,
            internal: &|name, builder| self.internal(name, builder),
        };
        let (snapshot, listing) = build::build(&ground, &configs);
        self.shared.meter.certificates(snapshot.certificates.facts());
        self.shared.snapshot.store(snapshot.into());
        self.published.publish(listing);
        self.shared.state.sweep();
        self.shared.meter.reloads.inc();
        self.shared
            .meter
            .last_reload
            .set(foundation::OffsetDateTime::now_utc().unix_timestamp());
        self.applied.send_modify(|number| *number += 1);
    }

    /// Tells of configurations as they take force.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// The certificates the configuration in force asks resolvers for.
    pub fn wanted(&self) -> Vec<Wanted> {
        self.shared.snapshot.load().wanted.clone()
    }

    pub fn show_certificates(&self, certificates: Vec<serde_json::Value>) {
        self.published.show_certificates(certificates);
    }

    /// What the gateway configures itself: the platform's routes and the admin entrypoint's.
    fn own(&self) -> Dynamic {
        let builtin = self.builtin.clone().map(|builtin| Builtin {
            verifies: builtin.verifies && self.shared.verifier.is_some(),
            ..builtin
        });
        let mut dynamic = builtin.as_ref().map(builtin::dynamic).unwrap_or_default();
        let http = dynamic.http.get_or_insert_with(model::Http::default);
        if let Some(admin) = &self.shared.settings.admin {
            http.routers.get_or_insert_default().extend(builtin::admin(admin));
        }
        dynamic
    }

    fn internal(&self, name: &str, builder: &mut Builder<'_>) -> Option<Internal> {
        Some(match name {
            "api" => Internal::Api(self.published.clone()),
            "dashboard" => Internal::Dashboard,
            "ping" => Internal::Ping,
            "noop" => Internal::Noop,
            "prometheus" => Internal::Metrics(self.metrics.clone()),
            "index" => Internal::Index,
            "health" => {
                let builtin = self.builtin.as_ref()?;
                let all = [
                    ("core", &builtin.core),
                    ("media", &builtin.media),
                    ("links", &builtin.links),
                ];
                let known = all.iter().filter(|(_, at)| at.is_some());
                let services = known.filter_map(|(name, _)| {
                    Some(((*name).to_owned(), builder.service(&format!("{name}@{PROVIDER}")).ok()?))
                });
                Internal::Health(services.collect())
            }
            _ => return None,
        })
    }
}

/// Runs the active health checks of whichever snapshot is in force.
async fn watch_health(control: Arc<Control>, stop: CancellationToken) {
    let mut applied = control.applied.subscribe();
    loop {
        let mut running = JoinSet::new();
        for checks in control.shared.snapshot.load().checks.iter().cloned() {
            running.spawn(checks.run());
        }
        tokio::select! {
            changed = applied.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}
