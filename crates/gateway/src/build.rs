//! From merged configuration to a snapshot. What is wrong disables itself, says why, and leaves the rest alone.

use crate::{
    api::{Listing, Row},
    compile, compile_service,
    listener::tls,
    meter::Scope,
    model::{self, Dynamic},
    rule::{self, Matcher, Rule, Syntax},
    service::{Service, Upstream, health::Checks, internal::Internal},
    settings::{EntryPoint, Settings},
    snapshot::{Entry, Placed, Route, Routes, Snapshot},
    state::State,
};
use axum::Router as InProcess;
use http_chassis::auth::Verifier;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Every provider's configuration, by the provider's name.
pub type Configs = BTreeMap<String, Dynamic>;

/// What a snapshot is built from, besides the configuration.
pub struct Ground<'a> {
    pub settings: &'a Settings,
    pub state: &'a State,
    pub verifier: Option<&'a Arc<Verifier>>,
    /// Services of this process, by name.
    pub in_process: &'a [(String, InProcess)],
    pub generated: &'a Arc<rustls::sign::CertifiedKey>,
    /// The gateway's own services.
    pub internal: &'a dyn Fn(&str, &mut Builder<'_>) -> Option<Internal>,
}

pub struct Builder<'a> {
    pub ground: &'a Ground<'a>,
    pub configs: &'a Configs,
    pub listing: Listing,
    pub checks: Vec<Checks>,
    pub services: HashMap<String, Result<Arc<Service>, String>>,
    /// Services being built, to see circles.
    pub under_way: Vec<String>,
}

/// A name with its provider: that of the reference, else that of whoever refers.
pub fn qualify(name: &str, provider: &str) -> String {
    if name.contains('@') {
        name.to_owned()
    } else {
        format!("{name}@{provider}")
    }
}

pub fn split(qualified: &str) -> (&str, &str) {
    qualified.rsplit_once('@').unwrap_or((qualified, ""))
}

pub fn build(ground: &Ground<'_>, configs: &Configs) -> (Snapshot, Listing) {
    let mut builder = Builder {
        ground,
        configs,
        listing: Listing::default(),
        checks: Vec::new(),
        services: HashMap::new(),
        under_way: Vec::new(),
    };
    builder.all_services();
    builder.all_middlewares();
    let mut tables: Vec<(Vec<Placed>, Vec<Placed>)> = ground
        .settings
        .entry_points
        .iter()
        .map(|_| Default::default())
        .collect();
    let mut hosts: Vec<HashMap<String, Vec<String>>> = vec![HashMap::new(); tables.len()];
    for (provider, config) in configs {
        let routers = config.http.as_ref().and_then(|http| http.routers.as_ref());
        for (name, router) in routers.into_iter().flatten() {
            builder.router(provider, name, router, &mut tables, &mut hosts);
        }
    }
    builder.redirections(&mut tables);
    let certificates = builder.certificates();
    let entries = ground.settings.entry_points.iter().zip(tables).zip(hosts);
    let entries = entries
        .map(|((entry, (plain, secure)), hosts)| builder.entry(entry, plain, secure, hosts, &certificates))
        .collect();
    let snapshot = Snapshot {
        entries,
        checks: std::mem::take(&mut builder.checks),
    };
    (snapshot, builder.listing)
}

impl Builder<'_> {
    fn all_services(&mut self) {
        let configs = self.configs;
        for (provider, config) in configs {
            let services = config.http.as_ref().and_then(|http| http.services.as_ref());
            for (name, service) in services.into_iter().flatten() {
                let qualified = format!("{name}@{provider}");
                let error = self.service(&qualified).err();
                self.listing.service(&qualified, service, error);
            }
        }
        for (name, _) in self.ground.in_process {
            let qualified = format!("{name}@internal");
            self.listing.in_process(&qualified);
        }
    }

    fn all_middlewares(&mut self) {
        let configs = self.configs;
        for (provider, config) in configs {
            let middlewares = config.http.as_ref().and_then(|http| http.middlewares.as_ref());
            for (name, middleware) in middlewares.into_iter().flatten() {
                let qualified = format!("{name}@{provider}");
                let error = compile::middleware(self, &qualified, &mut Vec::new()).err();
                self.listing.middleware(&qualified, middleware, error);
            }
        }
    }

    pub fn service(&mut self, qualified: &str) -> Result<Arc<Service>, String> {
        if let Some(known) = self.services.get(qualified) {
            return known.clone();
        }
        if self.under_way.iter().any(|name| name == qualified) {
            return Err(format!("the service '{qualified}' leads back to itself"));
        }
        self.under_way.push(qualified.to_owned());
        let built = self.new_service(qualified);
        self.under_way.pop();
        self.services.insert(qualified.to_owned(), built.clone());
        built
    }

    fn new_service(&mut self, qualified: &str) -> Result<Arc<Service>, String> {
        let (name, provider) = split(qualified);
        let configs = self.configs;
        let config = configs
            .get(provider)
            .and_then(|config| config.http.as_ref()?.services.as_ref()?.get(name));
        let upstream = match config {
            Some(config) => compile_service::upstream(self, qualified, config)?,
            None if provider == "internal" => {
                let in_process = self.ground.in_process.iter().find(|(known, _)| known == name);
                match in_process {
                    Some((_, router)) => Upstream::InProcess(router.clone()),
                    None => (self.ground.internal)(name, self)
                        .map(Upstream::Internal)
                        .ok_or_else(|| format!("there is no service '{qualified}'"))?,
                }
            }
            None => return Err(format!("the service '{qualified}' does not exist")),
        };
        Ok(Arc::new(Service {
            name: qualified.into(),
            upstream,
        }))
    }

    /// The whole chain in front of a router's service, nested chains laid flat.
    fn chain(&mut self, names: &[String], provider: &str) -> Result<Vec<crate::middleware::Middleware>, String> {
        let mut chain = Vec::new();
        for name in names {
            chain.extend(compile::middleware(self, &qualify(name, provider), &mut Vec::new())?);
        }
        Ok(chain)
    }

    fn router(
        &mut self,
        provider: &str,
        name: &str,
        router: &model::Router,
        tables: &mut [(Vec<Placed>, Vec<Placed>)],
        hosts: &mut [HashMap<String, Vec<String>>],
    ) {
        let qualified: Arc<str> = format!("{name}@{provider}").into();
        let text = router.rule.clone().unwrap_or_default();
        let natural = i64::try_from(text.len()).unwrap_or(i64::MAX);
        let priority = router.priority.filter(|priority| *priority != 0).unwrap_or(natural);
        let (entries, mut errors) = self.entries_of(router);
        let names: Vec<String> = entries
            .iter()
            .map(|&entry| self.ground.settings.entry_points[entry].name.clone())
            .collect();
        let middlewares: Vec<String> = router
            .middlewares
            .iter()
            .flatten()
            .map(|name| qualify(name, provider))
            .collect();
        let compiled = self.compiled(provider, router, &text);
        let mut enabled = !entries.is_empty();
        match compiled {
            Ok((rule, service)) => {
                for entry in entries {
                    let entry_point = &self.ground.settings.entry_points[entry];
                    let tls = router.tls.as_ref().or(entry_point.tls.as_ref());
                    let mut all = entry_point.middlewares.clone();
                    all.extend(middlewares.iter().cloned());
                    match self.chain(&all, provider) {
                        Ok(chain) => {
                            let scope = Scope::new(
                                entry_point.name.as_str().into(),
                                Some((qualified.clone(), service.name.clone())),
                            );
                            let route = Arc::new(Route {
                                service: service.clone(),
                                chain,
                                scope,
                            });
                            let placed = Placed {
                                priority,
                                name: qualified.clone(),
                                rule: rule.clone(),
                                route,
                            };
                            match tls {
                                Some(tls) => {
                                    let options = tls.options.as_deref().map_or_else(
                                        || "default".to_owned(),
                                        |name| {
                                            if name == "default" {
                                                name.to_owned()
                                            } else {
                                                qualify(name, provider)
                                            }
                                        },
                                    );
                                    for host in named_hosts(&rule) {
                                        hosts[entry].entry(host).or_default().push(options.clone());
                                    }
                                    tables[entry].1.push(placed);
                                }
                                None => tables[entry].0.push(placed),
                            }
                        }
                        Err(error) => {
                            enabled = false;
                            errors.push(error);
                        }
                    }
                }
            }
            Err(error) => {
                enabled = false;
                errors.push(error);
            }
        }
        errors.dedup();
        if !enabled {
            tracing::warn!(router = &*qualified, errors = ?errors, "a router is disabled");
        }
        let missing = errors.iter().any(|error| error.starts_with(NO_ENTRY_POINT));
        let service = router.service.as_deref().map(|service| qualify(service, provider));
        let row = Row {
            config: router,
            entry_points: if missing {
                router.entry_points.as_deref().unwrap_or_default()
            } else {
                &names
            },
            middlewares: &middlewares,
            tls: router.tls.is_some(),
            priority: (!text.is_empty() && !missing).then_some(priority),
            enabled: enabled && !missing,
            errors,
            service: service.as_deref(),
        };
        self.list(&qualified, row, missing);
    }

    /// Lists a router as Traefik does: one copy for every entrypoint that adds something to its routers, under the entrypoint's
    /// and the router's name where it is on several.
    fn list(&mut self, name: &str, row: Row<'_>, missing: bool) {
        let adds = |entry: &&EntryPoint| entry.tls.is_some() || !entry.middlewares.is_empty();
        let all = &self.ground.settings.entry_points;
        let on: Vec<&EntryPoint> = row
            .entry_points
            .iter()
            .filter_map(|name| all.iter().find(|entry| entry.name == *name))
            .collect();
        let (adding, plain): (Vec<&EntryPoint>, Vec<&EntryPoint>) = on.iter().partition(|entry| adds(entry));
        if adding.is_empty() || missing {
            return self.listing.router(name, row);
        }
        for entry in &adding {
            let mut middlewares = entry.middlewares.clone();
            middlewares.extend(row.middlewares.iter().cloned());
            let copy = Row {
                entry_points: std::slice::from_ref(&entry.name),
                middlewares: &middlewares,
                tls: row.tls || entry.tls.is_some(),
                ..row.clone()
            };
            let copied = if on.len() > 1 {
                format!("{}-{name}", entry.name)
            } else {
                name.to_owned()
            };
            self.listing.router(&copied, copy);
        }
        if !plain.is_empty() {
            let names: Vec<String> = plain.iter().map(|entry| entry.name.clone()).collect();
            self.listing.router(
                name,
                Row {
                    entry_points: &names,
                    ..row
                },
            );
        }
    }

    fn compiled(&mut self, provider: &str, router: &model::Router, text: &str) -> Result<(Rule, Arc<Service>), String> {
        let syntax = match &router.rule_syntax {
            Some(name) => Syntax::parse(name)?,
            None => self.ground.settings.default_syntax,
        };
        let rule = rule::compile(text, syntax)?;
        if let Some(name) = router
            .tls
            .as_ref()
            .and_then(|tls| tls.options.as_deref())
            .filter(|name| *name != "default")
        {
            let qualified = qualify(name, provider);
            self.tls_options(&qualified)
                .ok_or_else(|| format!("the TLS options '{qualified}' do not exist"))?;
        }
        if let Some(resolver) = router.tls.as_ref().and_then(|tls| tls.cert_resolver.as_deref()) {
            return Err(format!("the certificate resolver '{resolver}' does not exist"));
        }
        let service = router.service.as_deref().ok_or("the router names no service")?;
        let service = self.service(&qualify(service, provider))?;
        Ok((rule, service))
    }

    /// The entrypoints a router is on, and which of those it names do not exist.
    fn entries_of(&self, router: &model::Router) -> (Vec<usize>, Vec<String>) {
        let all = &self.ground.settings.entry_points;
        let admin = self
            .ground
            .settings
            .admin
            .as_ref()
            .map(|admin| admin.entry_point.as_str());
        let Some(names) = router.entry_points.as_ref().filter(|names| !names.is_empty()) else {
            let any_default = all.iter().any(|entry| entry.as_default);
            let usual = |entry: &EntryPoint| {
                if any_default {
                    entry.as_default
                } else {
                    Some(entry.name.as_str()) != admin
                }
            };
            let places = all
                .iter()
                .enumerate()
                .filter(|(_, entry)| usual(entry))
                .map(|(place, _)| place);
            return (places.collect(), Vec::new());
        };
        let mut places = Vec::new();
        let mut errors = Vec::new();
        for name in names {
            match all.iter().position(|entry| entry.name.eq_ignore_ascii_case(name)) {
                Some(place) => places.push(place),
                None => errors.push(format!("{NO_ENTRY_POINT} '{name}'")),
            }
        }
        (places, errors)
    }

    /// Entrypoints that send everything elsewhere.
    fn redirections(&mut self, tables: &mut [(Vec<Placed>, Vec<Placed>)]) {
        let all = &self.ground.settings.entry_points;
        for (place, entry) in all.iter().enumerate() {
            let Some(redirect) = &entry.redirect else { continue };
            let address = all
                .iter()
                .find(|other| other.name.eq_ignore_ascii_case(&redirect.to))
                .map_or(redirect.to.as_str(), |other| &other.address);
            let port = address
                .rsplit_once(':')
                .map_or("", |(_, port)| port.split('/').next().unwrap_or_default());
            let name: Arc<str> = format!("{}-to-{}@internal", entry.name, redirect.to).into();
            let service = Arc::new(Service {
                name: "noop@internal".into(),
                upstream: Upstream::Internal(Internal::Redirect {
                    scheme: redirect.scheme.clone(),
                    port: port.to_owned(),
                    permanent: redirect.permanent,
                }),
            });
            let scope = Scope::new(entry.name.as_str().into(), Some((name.clone(), service.name.clone())));
            let route = Arc::new(Route {
                service,
                chain: Vec::new(),
                scope,
            });
            tables[place].0.push(Placed {
                priority: redirect.priority.unwrap_or(i64::MAX - 1),
                name,
                rule: Rule::And(Vec::new()),
                route,
            });
        }
    }

    fn tls_options(&self, qualified: &str) -> Option<&model::TlsOptions> {
        let (name, provider) = split(qualified);
        self.configs.get(provider)?.tls.as_ref()?.options.as_ref()?.get(name)
    }

    fn certificates(&mut self) -> Arc<tls::Certificates> {
        let mut certificates = tls::Certificates::only(self.ground.generated.clone());
        for (provider, config) in self.configs {
            let Some(tls) = &config.tls else { continue };
            let default = tls
                .stores
                .iter()
                .flatten()
                .filter(|(name, _)| *name == "default")
                .filter_map(|(_, store)| store.default_certificate.as_ref());
            let all = tls
                .certificates
                .iter()
                .flatten()
                .map(|certificate| (certificate, false))
                .chain(default.map(|certificate| (certificate, true)));
            for (certificate, is_default) in all {
                if let Err(error) = certificates.add(certificate, is_default) {
                    tracing::error!(provider, error, "a certificate was left out");
                }
            }
        }
        Arc::new(certificates)
    }

    fn entry(
        &self,
        entry: &EntryPoint,
        plain: Vec<Placed>,
        secure: Vec<Placed>,
        hosts: HashMap<String, Vec<String>>,
        certificates: &Arc<tls::Certificates>,
    ) -> Entry {
        let everyones = self
            .configs
            .values()
            .find_map(|config| config.tls.as_ref()?.options.as_ref()?.get("default"));
        let usual = everyones.cloned().unwrap_or_default();
        let strict = usual.sni_strict == Some(true);
        let config = tls::server_config(&usual, certificates.clone()).or_else(|error| {
            tracing::error!(error, "the default TLS options cannot be met; safe ones are used");
            tls::server_config(&model::TlsOptions::default(), certificates.clone())
        });
        let mut table = tls::Table::new(Arc::new(config.expect("default options can be met")), strict);
        let mut made: HashMap<String, Arc<rustls::ServerConfig>> = HashMap::new();
        for (host, mut options) in hosts {
            options.dedup();
            // Routers that disagree about a host get the default options, as in Traefik.
            let [name] = options.as_slice() else { continue };
            let Some(wanted) = self.tls_options(name) else { continue };
            let config = match made.get(name) {
                Some(config) => config.clone(),
                None => match tls::server_config(wanted, certificates.clone()) {
                    Ok(config) => Arc::new(config),
                    Err(error) => {
                        tracing::error!(options = name, error, "TLS options cannot be met");
                        continue;
                    }
                },
            };
            made.insert(name.clone(), config.clone());
            table.insert(host, name.as_str().into(), config);
        }
        Entry {
            plain: Routes::new(plain),
            secure: Routes::new(secure),
            tls: table,
            forwarded: entry.forwarded.clone(),
            keep_semicolons: entry.encode_query_semicolons,
            is_admin: self
                .ground
                .settings
                .admin
                .as_ref()
                .is_some_and(|admin| admin.entry_point == entry.name),
            scope: Scope::new(entry.name.as_str().into(), None),
        }
    }
}

/// How the complaint about an unknown entrypoint begins.
const NO_ENTRY_POINT: &str = "there is no entrypoint";

/// The hosts a rule names, wherever it names them.
fn named_hosts(rule: &Rule) -> Vec<String> {
    match rule {
        Rule::And(parts) | Rule::Or(parts) => parts.iter().flat_map(named_hosts).collect(),
        Rule::Match(Matcher::Host(host)) => vec![host.clone()],
        _ => Vec::new(),
    }
}
