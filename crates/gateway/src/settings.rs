//! What the gateway is told before it starts: entrypoints, providers, limits. Traefik's static configuration becomes this too.

pub mod resolver;

use crate::{
    access_log,
    address::Net,
    cloudflare::Cloudflare,
    model::{RouterTls, ServersTransport},
    provider::template::Environment,
    rule::Syntax,
};
use foundation::Error;
use http::HeaderValue;
use std::{path::PathBuf, time::Duration};

#[derive(Clone, Debug)]
pub struct Settings {
    pub entry_points: Vec<EntryPoint>,
    /// Sent as `X-Forwarded-Server`; the machine's name.
    pub server_name: String,
    /// Where the generated certificate is kept.
    pub certificate_dir: Option<PathBuf>,
    /// How long requests may take to finish when we stop.
    pub drain: Duration,
    pub access_log: AccessLog,
    /// Serves `/ping`, `/metrics` and `/api/*` on the entrypoint named here.
    pub admin: Option<Admin>,
    pub default_syntax: Syntax,
    pub providers: Providers,
    /// What templates in dynamic files may read with `env`.
    pub environment: Environment,
    /// How servers are reached whose service names no transport.
    pub servers_transport: ServersTransport,
    /// A resolver that names no storage keeps its certificates in the database.
    pub has_database: bool,
    /// Where certificates come from that routers ask a resolver for.
    pub resolvers: Vec<resolver::Resolver>,
    /// Connections held at once over all entrypoints.
    pub max_connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            entry_points: Vec::new(),
            server_name: "portico".into(),
            certificate_dir: None,
            drain: Duration::from_secs(10),
            access_log: AccessLog::On,
            admin: None,
            default_syntax: Syntax::V3,
            providers: Providers::default(),
            environment: Environment::default(),
            servers_transport: ServersTransport::default(),
            has_database: false,
            resolvers: Vec::new(),
            max_connections: 20_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum AccessLog {
    Off,
    /// Lines of the process's own log.
    On,
    /// As Traefik writes it.
    Traefik(access_log::Settings),
}

#[derive(Clone, Debug)]
pub struct Admin {
    pub entry_point: String,
    pub api: bool,
    pub ping: bool,
    pub metrics: bool,
}

impl Admin {
    /// Everything on the entrypoint of this name.
    pub fn whole(entry_point: &str) -> Self {
        Self {
            entry_point: entry_point.into(),
            api: true,
            ping: true,
            metrics: true,
        }
    }
}

#[derive(Clone, Debug)]
pub struct EntryPoint {
    pub name: String,
    /// `host:port`; `:port` listens on every address.
    pub address: String,
    /// Routers without `entryPoints` go to the defaults, or to all if none is one.
    pub as_default: bool,
    pub forwarded: Forwarded,
    /// Whose word about the client before them is taken, by the PROXY protocol; `None` reads no such header.
    pub proxy_protocol: Option<Forwarded>,
    pub cloudflare: Option<Cloudflare>,
    /// Speaks HTTP/3 beside TLS.
    pub http3: Option<Http3>,
    /// Middlewares in front of every router of this entrypoint, with their provider (`auth@file`).
    pub middlewares: Vec<String>,
    /// Routers of this entrypoint speak TLS unless they say otherwise.
    pub tls: Option<RouterTls>,
    pub redirect: Option<Redirect>,
    /// Leaves `;` in queries alone.
    pub encode_query_semicolons: bool,
    pub max_header_bytes: usize,
    /// A request head must be whole after this long.
    pub header_timeout: Duration,
    /// A kept connection may be idle for this long.
    pub idle_timeout: Duration,
}

impl EntryPoint {
    pub fn new(name: &str, address: &str) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            as_default: false,
            forwarded: Forwarded::default(),
            proxy_protocol: None,
            cloudflare: None,
            http3: None,
            middlewares: Vec::new(),
            tls: None,
            redirect: None,
            encode_query_semicolons: false,
            max_header_bytes: 64 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(180),
        }
    }

    pub fn with_tls(mut self) -> Self {
        self.tls = Some(RouterTls::default());
        self
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Http3 {
    /// Where clients find it, if not on the port we listen on.
    pub advertised_port: Option<u16>,
}

impl Http3 {
    /// What `Alt-Svc` says (RFC 7838).
    pub fn alternative(self, port: u16) -> HeaderValue {
        let port = self.advertised_port.unwrap_or(port);
        HeaderValue::from_str(&format!("h3=\":{port}\"; ma=2592000")).expect("digits make a header value")
    }
}

/// Whose `X-Forwarded-*` headers are believed.
#[derive(Clone, Debug, Default)]
pub struct Forwarded {
    pub insecure: bool,
    pub trusted: Vec<Net>,
}

impl Forwarded {
    pub fn trusts(&self, peer: std::net::IpAddr) -> bool {
        self.insecure || self.trusted.iter().any(|net| net.contains(peer))
    }

    /// # Errors
    /// One of the texts is no address range.
    pub fn trusting(ranges: &[String]) -> Result<Self, Error> {
        let nets = ranges.iter().map(|range| Net::parse(range)).collect::<Result<_, _>>();
        let trusted = nets.map_err(|message| Error::new(foundation::Kind::Invalid, "BAD_RANGE", message))?;
        Ok(Self {
            insecure: false,
            trusted,
        })
    }
}

/// `http.redirections.entryPoint`: everything goes to another entrypoint.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// An entrypoint's name, or `:port`.
    pub to: String,
    pub scheme: String,
    pub permanent: bool,
    pub priority: Option<i64>,
}

#[derive(Clone, Debug, Default)]
pub struct Providers {
    pub file: Option<FileProvider>,
    pub http: Option<HttpProvider>,
    pub docker: Option<DockerProvider>,
    /// Changes closer together than this are applied as one.
    pub throttle: Duration,
}

#[derive(Clone, Debug)]
pub struct FileProvider {
    /// A file, or a directory read with its subdirectories.
    pub path: PathBuf,
    pub watch: bool,
}

#[derive(Clone, Debug)]
pub struct HttpProvider {
    pub endpoint: String,
    pub poll_interval: Duration,
    pub poll_timeout: Duration,
    pub headers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct DockerProvider {
    /// `unix:///var/run/docker.sock` or `tcp://host:port`.
    pub endpoint: String,
    pub exposed_by_default: bool,
    /// A template.
    pub default_rule: String,
    /// What it may read with `env`.
    pub environment: Environment,
    pub network: String,
    pub constraints: String,
}
