//! What is counted and logged of requests: Traefik's metric names and access-log fields. Handles are made once per router, method
//! and status, so a request costs a short search and six atomic additions.

use crate::{address::truncated, exchange::Exchange, listener::tls::certificates::Facts};
use http::{Method, Version};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use telemetry::metrics::{
    Counter, DURATION_BUCKETS, EncodeLabelSet, Family, Gauge, Histogram, LabelSetEncoder, Metrics,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    /// `entrypoint`, `router` and `service`, as far as the metric has them.
    scope: Vec<(&'static str, Arc<str>)>,
    code: u16,
    method: &'static str,
    protocol: &'static str,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("code", self.code)].encode(encoder)?;
        [("method", self.method), ("protocol", self.protocol)].encode(encoder)?;
        for (name, value) in &self.scope {
            [(*name, &**value)].encode(encoder)?;
        }
        Ok(())
    }
}

type Totals = Family<Labels, Counter>;
type Seconds = Family<Labels, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EntryLabel(Arc<str>);

impl EncodeLabelSet for EntryLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("entrypoint", &*self.0), ("protocol", "TCP")].encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CertificateLabel(Facts);

impl EncodeLabelSet for CertificateLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        let facts = &self.0;
        let mut names: Vec<&str> = facts.names.iter().map(String::as_str).collect();
        names.sort_unstable();
        let names = names.join(",");
        [
            ("cn", &*facts.common_name),
            ("serial", &*facts.serial),
            ("sans", &*names),
        ]
        .encode(encoder)
    }
}

pub struct Meter {
    entry: (Totals, Seconds),
    router: (Totals, Seconds),
    service: (Totals, Seconds),
    connections: Vec<Gauge>,
    expiries: Family<CertificateLabel, Gauge>,
    pub reloads: Counter,
    pub last_reload: Gauge,
}

impl Meter {
    pub fn register(metrics: &Metrics, entries: &[Arc<str>]) -> Self {
        let pair = |scope: &str| {
            let totals = metrics.register(
                &format!("traefik_{scope}_requests"),
                "Requests answered",
                Totals::default(),
            );
            let seconds: Seconds = Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
            let seconds = metrics.register(
                &format!("traefik_{scope}_request_duration_seconds"),
                "Time to the response head",
                seconds,
            );
            (totals, seconds)
        };
        let open: Family<EntryLabel, Gauge> =
            metrics.register("traefik_open_connections", "Connections open now", Family::default());
        Self {
            entry: pair("entrypoint"),
            router: pair("router"),
            service: pair("service"),
            connections: entries
                .iter()
                .map(|name| open.get_or_create_owned(&EntryLabel(name.clone())))
                .collect(),
            expiries: metrics.register(
                "traefik_tls_certs_not_after",
                "When certificates end (Unix seconds)",
                Family::default(),
            ),
            reloads: metrics.register("traefik_config_reloads", "Configurations applied", Counter::default()),
            last_reload: metrics.register(
                "traefik_config_last_reload_success",
                "When the last configuration was applied (Unix seconds)",
                Gauge::default(),
            ),
        }
    }

    /// The certificates of the configuration in force, in place of the ones before.
    pub fn certificates(&self, all: &[Facts]) {
        self.expiries.clear();
        for facts in all {
            let label = CertificateLabel(facts.clone());
            self.expiries.get_or_create_owned(&label).set(facts.not_after);
        }
    }

    pub fn connection(&self, entry: usize) -> Open {
        let gauge = self.connections[entry].clone();
        gauge.inc();
        Open(gauge)
    }

    fn cell(&self, scope: &Scope, code: u16, method: &'static str, protocol: &'static str) -> Cell {
        let labels = |scope: Vec<(&'static str, Arc<str>)>| Labels {
            scope,
            code,
            method,
            protocol,
        };
        let get = |family: &(Totals, Seconds), labels: &Labels| {
            (
                family.0.get_or_create_owned(labels),
                family.1.get_or_create_owned(labels),
            )
        };
        let mut handles = vec![get(&self.entry, &labels(vec![("entrypoint", scope.entry.clone())]))];
        if let Some((router, service)) = &scope.router {
            handles.push(get(
                &self.router,
                &labels(vec![("router", router.clone()), ("service", service.clone())]),
            ));
            handles.push(get(&self.service, &labels(vec![("service", service.clone())])));
        }
        Cell(handles)
    }
}

/// An open connection; counted until dropped.
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Where a request is counted: its entrypoint, and its router and service if it found one.
pub struct Scope {
    pub entry: Arc<str>,
    pub router: Option<(Arc<str>, Arc<str>)>,
    /// A router may be left out of the metrics, and of the access log.
    pub counts: bool,
    pub logs: bool,
    cells: RwLock<Vec<(u32, Arc<Cell>)>>,
}

struct Cell(Vec<(Counter, Histogram)>);

impl Scope {
    pub fn new(entry: Arc<str>, router: Option<(Arc<str>, Arc<str>)>) -> Self {
        Self {
            entry,
            router,
            counts: true,
            logs: true,
            cells: RwLock::default(),
        }
    }

    pub fn observed(self, counts: bool, logs: bool) -> Self {
        Self { counts, logs, ..self }
    }

    pub fn count(&self, meter: &Meter, code: u16, method: &Method, protocol: &'static str, took: Duration) {
        let (number, name) = known_method(method);
        let key = u32::from(code) << 8 | u32::from(number) << 2 | u32::from(protocol == "websocket") << 1;
        let known = {
            let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
            cells
                .iter()
                .find(|(known, _)| *known == key)
                .map(|(_, cell)| cell.clone())
        };
        let cell = known.unwrap_or_else(|| {
            let cell = Arc::new(meter.cell(self, code, name, protocol));
            self.cells
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .push((key, cell.clone()));
            cell
        });
        for (total, seconds) in &cell.0 {
            total.inc();
            seconds.observe(took.as_secs_f64());
        }
    }
}

/// A label must not be the caller's free text.
fn known_method(method: &Method) -> (u8, &'static str) {
    match *method {
        Method::GET => (0, "GET"),
        Method::HEAD => (1, "HEAD"),
        Method::POST => (2, "POST"),
        Method::PUT => (3, "PUT"),
        Method::PATCH => (4, "PATCH"),
        Method::DELETE => (5, "DELETE"),
        Method::OPTIONS => (6, "OPTIONS"),
        Method::CONNECT => (7, "CONNECT"),
        Method::TRACE => (8, "TRACE"),
        _ => (9, "EXTENSION_METHOD"),
    }
}

pub struct Entry<'a> {
    pub exchange: &'a Exchange,
    pub scope: &'a Scope,
    pub method: &'a Method,
    pub version: Version,
    pub status: u16,
    pub took: Duration,
    pub content_size: u64,
}

/// One line of the access log, with Traefik's field names. The client's address is cut to its network.
pub fn log(entry: &Entry<'_>) {
    if !tracing::enabled!(target: "access", tracing::Level::INFO) {
        return;
    }
    let exchange = entry.exchange;
    let (router, service) = entry
        .scope
        .router
        .as_ref()
        .map_or(("", ""), |(router, service)| (&**router, &**service));
    tracing::info!(
        target: "access",
        ClientHost = truncated(exchange.ip()),
        ClientUsername = exchange.username.as_deref().unwrap_or("-"),
        RequestMethod = entry.method.as_str(),
        RequestHost = &*exchange.host,
        RequestPath = &*exchange.instance,
        RequestProtocol = ?entry.version,
        RequestScheme = exchange.scheme,
        DownstreamStatus = entry.status,
        DownstreamContentSize = entry.content_size,
        Duration = u64::try_from(entry.took.as_nanos()).unwrap_or(u64::MAX),
        entryPointName = &*entry.scope.entry,
        RouterName = router,
        ServiceName = service,
        ServiceURL = exchange.server.as_deref().unwrap_or_default(),
        request_id = exchange.request_id(),
        trace_id = exchange.trace.trace_id_hex(),
        "request"
    );
}
