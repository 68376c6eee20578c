//! From merged configuration to a snapshot. What is wrong disables itself, says why, and leaves the rest alone.

mod routers;

use crate::{
    acme::{self, names::Wanted},
    api::Listing,
    compile, compile_service,
    listener::tls,
    meter::Scope,
    model::{self, Dynamic},
    service::{Service, Upstream, health::Checks, internal::Internal},
    settings::{EntryPoint, Settings},
    snapshot::{Entry, Placed, Routes, Snapshot},
    state::State,
};
use http_chassis::{auth::Verifier, in_process::InProcess};
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
    pub wanted: Vec<Wanted>,
    pub checks: Vec<Checks>,
    pub services: HashMap<String, Result<Arc<Service>, String>>,
    /// Services being built, to see circles.
    pub under_way: Vec<String>,
}

/// One entrypoint's routers while they are gathered.
#[derive(Default)]
pub struct Tables {
    plain: Vec<Placed>,
    secure: Vec<Placed>,
    /// The TLS options routers want for the hosts they name.
    hosts: HashMap<String, Vec<String>>,
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
        wanted: Vec::new(),
        checks: Vec::new(),
        services: HashMap::new(),
        under_way: Vec::new(),
    };
    let certificates = builder.certificates();
    builder.all_services();
    builder.all_middlewares();
    let mut tables: Vec<Tables> = ground.settings.entry_points.iter().map(|_| Tables::default()).collect();
    for (provider, config) in configs {
        let routers = config.http.as_ref().and_then(|http| http.routers.as_ref());
        for (name, router) in routers.into_iter().flatten() {
            builder.router(provider, name, router, (&mut tables, &certificates));
        }
    }
    builder.redirections(&mut tables);
    let entries = ground.settings.entry_points.iter().zip(tables);
    let entries = entries
        .map(|(entry, tables)| builder.entry(entry, tables, &certificates))
        .collect();
    let snapshot = Snapshot {
        entries,
        checks: std::mem::take(&mut builder.checks),
        wanted: builder.all_wanted(),
        certificates,
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
                    Some((_, service)) => Upstream::InProcess(service.clone()),
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
                let added = if provider == acme::PROVIDER {
                    certificates.add_issued(certificate)
                } else {
                    certificates.add(certificate, is_default)
                };
                if let Err(error) = added {
                    tracing::error!(provider, error, "a certificate was left out");
                }
            }
        }
        for domain in self.generated().filter_map(|generated| generated.domain.as_ref()) {
            certificates.make_default(domain.main.as_deref().unwrap_or_default());
        }
        Arc::new(certificates)
    }

    /// Default certificates a resolver is to get (`stores.default.defaultGeneratedCert`).
    fn generated(&self) -> impl Iterator<Item = &model::GeneratedCert> {
        self.configs.values().filter_map(|config| {
            let store = config.tls.as_ref()?.stores.as_ref()?.get("default")?;
            store.default_generated_cert.as_ref()
        })
    }

    /// Domains that are named before hosts of rules: they may cover these.
    fn all_wanted(&mut self) -> Vec<Wanted> {
        let generated: Vec<Wanted> = self
            .generated()
            .flat_map(|generated| {
                let resolver = generated.resolver.as_deref().unwrap_or_default();
                acme::names::wanted(resolver, generated.domain.as_slice(), &[], &|_| false)
            })
            .collect();
        let mut wanted = std::mem::take(&mut self.wanted);
        wanted.extend(generated);
        wanted.sort_by(|a, b| b.explicit.cmp(&a.explicit).then_with(|| a.cmp(b)));
        wanted.dedup_by(|a, b| a.resolver == b.resolver && a.names == b.names);
        wanted
    }

    fn entry(&self, entry: &EntryPoint, tables: Tables, certificates: &Arc<tls::Certificates>) -> Entry {
        let pulls = entry
            .cloudflare
            .as_ref()
            .and_then(|cloudflare| cloudflare.origin_pull_ca.clone());
        let table = self.tls_table(tables.hosts, certificates, pulls.as_ref());
        Entry {
            plain: Routes::new(tables.plain),
            secure: Routes::new(tables.secure),
            tls: table,
            forwarded: entry.forwarded.clone(),
            cloudflare: entry.cloudflare.clone(),
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

    /// Options that cannot be met refuse their handshakes; others would let in whom they were to keep out.
    ///
    /// With `pulls`, the authority of Cloudflare's own certificate, nobody without such a certificate comes in.
    fn tls_table(
        &self,
        hosts: HashMap<String, Vec<String>>,
        certificates: &Arc<tls::Certificates>,
        pulls: Option<&String>,
    ) -> tls::Table {
        let built = |name: &str, options: &model::TlsOptions| {
            let mut options = options.clone();
            if let Some(authority) = pulls {
                options.client_auth = Some(model::ClientAuth {
                    ca_files: Some(vec![authority.clone()]),
                    client_auth_type: Some("RequireAndVerifyClientCert".into()),
                });
            }
            match tls::server_config(&options, certificates.clone()) {
                Ok(config) => Some(Arc::new(config)),
                Err(error) => {
                    tracing::error!(
                        options = name,
                        error,
                        "TLS options cannot be met; their handshakes are refused"
                    );
                    None
                }
            }
        };
        let everyones = self
            .configs
            .values()
            .find_map(|config| config.tls.as_ref()?.options.as_ref()?.get("default"));
        let mut table = tls::Table::new(built("default", &everyones.cloned().unwrap_or_default()));
        let mut made: HashMap<String, Option<Arc<rustls::ServerConfig>>> = HashMap::new();
        for (host, mut options) in hosts {
            options.sort();
            options.dedup();
            // Routers that disagree about a host get the default options, as in Traefik.
            let [name] = options.as_slice() else {
                tracing::error!(
                    host,
                    ?options,
                    "routers disagree about the TLS options of a host; the default ones apply"
                );
                continue;
            };
            let Some(wanted) = self.tls_options(name) else { continue };
            let config = made.entry(name.clone()).or_insert_with(|| built(name, wanted)).clone();
            table.insert(host, name.as_str().into(), config);
        }
        table
    }
}
