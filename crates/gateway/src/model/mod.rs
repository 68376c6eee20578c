//! Traefik's dynamic configuration as types: the one model files, labels, HTTP answers and our built-in routes produce.

pub mod middleware;
pub mod service;
pub mod text;
pub mod tree;

use indexmap::IndexMap;
pub use middleware::Middleware;
pub use service::{ServersTransport, Service};
use tree::shape;
pub use tree::{Mistake, Node, Period, Place, Reader, Shape, Value};

shape! {
    Dynamic { http: Http, tls: Tls }

    Http {
        routers: IndexMap<String, Router>,
        services: IndexMap<String, Service>,
        middlewares: IndexMap<String, Middleware>,
        servers_transports: IndexMap<String, ServersTransport>,
    }

    Router {
        entry_points: Vec<String>,
        middlewares: Vec<String>,
        service: String,
        rule: String,
        rule_syntax: String,
        priority: i64,
        tls: RouterTls,
        observability: Observability,
    }

    RouterTls { options: String, cert_resolver: String, domains: Vec<Domain> }
    Domain { main: String, sans: Vec<String> }
    Observability { access_logs: bool, metrics: bool, tracing: bool, trace_verbosity: String }

    Tls {
        certificates: Vec<Certificate>,
        options: IndexMap<String, TlsOptions>,
        stores: IndexMap<String, TlsStore>,
    }
    Certificate { cert_file: String, key_file: String, stores: Vec<String> }
    TlsStore { default_certificate: Certificate, default_generated_cert: GeneratedCert }
    GeneratedCert { resolver: String, domain: Domain }
    TlsOptions {
        min_version: String,
        max_version: String,
        cipher_suites: Vec<String>,
        curve_preferences: Vec<String>,
        client_auth: ClientAuth,
        sni_strict: bool,
        alpn_protocols: Vec<String>,
        disable_session_tickets: bool,
        prefer_server_cipher_suites: bool,
    }
    ClientAuth { ca_files: Vec<String>, client_auth_type: String }
    /// How a client of ours speaks TLS (`forwardAuth.tls`); files or PEM texts.
    ClientTls { ca: String, cert: String, key: String, insecure_skip_verify: bool, ca_optional: bool }
}

impl Dynamic {
    /// Reads a whole tree.
    ///
    /// # Errors
    /// Every mistake in it; one is enough to refuse the whole.
    pub fn read(node: &Node) -> Result<Self, Vec<Mistake>> {
        let mut reader = Reader::default();
        match <Self as Shape>::read(node, &mut reader) {
            Some(dynamic) if reader.mistakes.is_empty() => Ok(dynamic),
            _ => Err(reader.mistakes),
        }
    }

    /// Adds another part of the same provider's configuration. A name told twice with different content is left out of both,
    /// as Traefik does; the names are returned.
    pub fn merge(&mut self, other: Dynamic) -> Vec<String> {
        let mut twice = Vec::new();
        if let Some(theirs) = other.http {
            let ours = self.http.get_or_insert_default();
            join(&mut ours.routers, theirs.routers, "router", &mut twice);
            join(&mut ours.services, theirs.services, "service", &mut twice);
            join(&mut ours.middlewares, theirs.middlewares, "middleware", &mut twice);
            join(
                &mut ours.servers_transports,
                theirs.servers_transports,
                "serversTransport",
                &mut twice,
            );
        }
        if let Some(theirs) = other.tls {
            let ours = self.tls.get_or_insert_default();
            join(&mut ours.options, theirs.options, "tls options", &mut twice);
            join(&mut ours.stores, theirs.stores, "tls store", &mut twice);
            ours.certificates
                .get_or_insert_default()
                .extend(theirs.certificates.unwrap_or_default());
        }
        twice
    }
}

fn join<T: PartialEq>(
    ours: &mut Option<IndexMap<String, T>>,
    theirs: Option<IndexMap<String, T>>,
    kind: &str,
    twice: &mut Vec<String>,
) {
    let ours = ours.get_or_insert_default();
    for (name, value) in theirs.unwrap_or_default() {
        match ours.get(&name) {
            Some(known) if *known != value => {
                ours.shift_remove(&name);
                twice.push(format!("{kind} '{name}'"));
            }
            _ => drop(ours.insert(name, value)),
        }
    }
}
