//! The gateway's settings, from ours and, where Traefik's flags or file are given, from those.

use super::Plan;
use crate::{
    process::Process,
    settings::{Acme, Settings, Telemetry, parse::Rate},
};
use foundation::{Error, Kind, Result};
use gateway::{
    Admin, At, Builtin, EntryPoint, Gateway, Inputs,
    model::{Domain, Mistake, RouterTls},
    settings::{
        Redirect,
        resolver::{KeyType, Resolver, Storage},
    },
    traefik::Static,
};
use http_chassis::{auth::Verifier, in_process::InProcess};
use postgres_chassis::{DatabaseUrl, migrate};
use std::{
    collections::HashMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};

/// What the log filter is when nobody said another.
const DEFAULT_LOG: &str = "info";
const CORE: &str = "http://core:3000";
const MEDIA: &str = "http://media:8080";
const LINKS: &str = "http://links:8080";

/// What the outside calls us, without a slash at the end.
pub fn public_url(settings: &Settings) -> String {
    let listening = || format!("http://{}", settings.addresses.http);
    settings.public_url.clone().unwrap_or_else(listening)
}

pub async fn open(
    settings: &Settings,
    plan: &Plan,
    services: Vec<(String, InProcess)>,
    (verifier, sockets): (&Arc<Verifier>, Vec<(String, TcpListener)>),
    url: Option<&DatabaseUrl>,
    process: &Process,
) -> Result<Gateway> {
    let own = whole_settings(settings, plan, url.is_some())?;
    let database = certificate_database(&own, url).await?;
    let names = settings.short_domains.iter().chain(&settings.cdn_domain).cloned();
    let inputs = Inputs {
        builtin: Some(builtin(settings, plan, &services)),
        services,
        verifier: Some(verifier.clone()),
        metrics: process.metrics.clone(),
        tracer: process.tracer.clone(),
        certificate_names: names.collect(),
        sockets,
        database,
        environment: dns_variables(),
    };
    gateway::open(own, inputs).await
}

/// `portico check`: every mistake of the gateway's configuration, static and dynamic.
///
/// # Errors
/// The static configuration cannot be used; the message has all its mistakes.
pub fn check(settings: &Settings, plan: &Plan) -> Result<Vec<String>> {
    let inputs = Inputs {
        services: Vec::new(),
        builtin: None,
        verifier: None,
        metrics: telemetry::metrics::Metrics::default(),
        tracer: telemetry::trace::Tracer::default(),
        certificate_names: Vec::new(),
        sockets: Vec::new(),
        // A resolver that keeps its certificates there is taken at its word.
        database: settings.database.url.clone(),
        environment: dns_variables(),
    };
    // Looking changes nothing, so no certificate is made and kept either.
    let own = gateway::Settings {
        certificate_dir: None,
        ..whole_settings(settings, plan, settings.database.url.is_some())?
    };
    gateway::check(own, inputs)
}

/// What Traefik's static configuration says of the process's own log and traces, over what our settings say.
///
/// # Errors
/// It cannot be read.
pub fn telemetry(settings: &Settings, plan: &Plan) -> Result<Telemetry> {
    let mut own = settings.telemetry.clone();
    if !plan.gateway || !speaks_traefik(plan) {
        return Ok(own);
    }
    let read = read_static(&plan.traefik).map_err(refused)?;
    own.trace = own.trace.or(read.traces());
    if let Some(filter) = read.log_filter().filter(|_| own.log == DEFAULT_LOG) {
        own.log = filter.to_owned();
    }
    own.log_file = read.log_file().or(own.log_file);
    Ok(own)
}

fn whole_settings(settings: &Settings, plan: &Plan, has_database: bool) -> Result<gateway::Settings> {
    let own = gateway::Settings {
        has_database,
        ..gateway_settings(settings, plan, has_database)?
    };
    if speaks_traefik(plan) {
        over(own, &plan.traefik)
    } else {
        Ok(own)
    }
}

/// Whether Traefik's static configuration counts: flags are given, or, as where its image was swapped for ours, a gateway alone
/// finds its variables or its file.
fn speaks_traefik(plan: &Plan) -> bool {
    let lone = plan.is_lone_gateway();
    let variables = || std::env::vars().any(|(name, _)| name.starts_with("TRAEFIK_"));
    let file = || {
        gateway::traefik::USUAL_FILES
            .iter()
            .any(|path| fs::exists(path).unwrap_or(false))
    };
    !plan.traefik.is_empty() || lone && (variables() || file())
}

/// The gateway's login to the database its certificates are in, with the schema up to date; `None` where they are in files.
async fn certificate_database(own: &gateway::Settings, url: Option<&DatabaseUrl>) -> Result<Option<DatabaseUrl>> {
    let wanted = own
        .resolvers
        .iter()
        .any(|resolver| matches!(resolver.storage, Storage::Postgres(_)));
    let Some(url) = url.filter(|_| wanted) else {
        return Ok(None);
    };
    Ok(migrate(url, &[gateway::MIGRATIONS]).await?.into_iter().next())
}

/// What DNS providers are configured with; nobody else sees these.
fn dns_variables() -> HashMap<String, String> {
    let wanted = |name: &str| {
        ["CF_", "CLOUDFLARE_", "EXEC_", "LEGO_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    std::env::vars().filter(|(name, _)| wanted(name)).collect()
}

fn gateway_settings(settings: &Settings, plan: &Plan, has_database: bool) -> Result<gateway::Settings> {
    let forwarded = gateway::settings::Forwarded::trusting(&settings.trusted_proxies)?;
    let mut web = EntryPoint::new("web", &settings.addresses.http.to_string());
    web.forwarded = forwarded.clone();
    web.as_default = true;
    let usual = plan.up.then(|| SocketAddr::from(([127, 0, 0, 1], 8443)));
    let https = settings.addresses.https.unwrap_or(usual);
    if settings.http_redirect {
        web.redirect = Some(redirect(settings, https)?);
    }
    let mut entry_points = vec![web];
    let mut resolvers = Vec::new();
    if settings.acme.is_some() && https.is_none() {
        return Err(unusable(
            "PORTICO_ACME_EMAIL: certificates need the TLS entrypoint; set PORTICO_HTTPS_ADDR",
        ));
    }
    if let Some(address) = https {
        let mut websecure = EntryPoint::new("websecure", &address.to_string()).with_tls();
        if let Some(acme) = &settings.acme {
            websecure.tls = Some(certified(settings)?);
            resolvers.push(resolver(acme, &settings.data_dir, has_database));
        }
        websecure.forwarded = forwarded;
        websecure.as_default = true;
        entry_points.push(websecure);
    }
    entry_points.push(EntryPoint::new("admin", &settings.addresses.admin.to_string()));
    Ok(gateway::Settings {
        entry_points,
        server_name: fs::read_to_string("/etc/hostname")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        certificate_dir: Some(settings.data_dir.join("certificates")),
        drain: settings.shutdown_deadline,
        admin: Some(Admin::whole("admin")),
        environment: Arc::new(std::env::vars().collect()),
        resolvers,
        ..gateway::Settings::default()
    })
}

const RESOLVER: &str = "acme";

fn resolver(acme: &Acme, data_dir: &Path, has_database: bool) -> Resolver {
    Resolver {
        name: RESOLVER.into(),
        email: acme.email.clone(),
        server: acme.server.clone(),
        storage: match has_database {
            true => Storage::Postgres("default".into()),
            false => Storage::File(data_dir.join("acme.json")),
        },
        key_type: KeyType::Ec256,
        external: None,
        preferred_chain: String::new(),
        profile: String::new(),
        authorities: acme.authority.iter().cloned().collect(),
        server_name: None,
        duration_hours: None,
        challenge: acme.challenge.clone(),
    }
}

/// The public URL, if one was set.
fn given_url(settings: &Settings) -> Option<url::Url> {
    settings.public_url.as_deref().and_then(|url| url::Url::parse(url).ok())
}

/// A certificate for each name we are known by; one that cannot be had keeps none of the others back.
fn certified(settings: &Settings) -> Result<RouterTls> {
    let public = given_url(settings).and_then(|url| url.domain().map(str::to_owned));
    let names = public.iter().chain(&settings.short_domains).chain(&settings.cdn_domain);
    let names: Vec<&String> = names.filter(|name| name.contains('.')).collect();
    if names.is_empty() {
        return Err(unusable(
            "PORTICO_ACME_EMAIL: there is no name to order a certificate for; set PORTICO_PUBLIC_URL=https://<your host>, \
             PORTICO_SHORT_DOMAINS or PORTICO_CDN_DOMAIN",
        ));
    }
    let domain = |name: &&String| Domain {
        main: Some((*name).clone()),
        sans: None,
    };
    Ok(RouterTls {
        options: None,
        cert_resolver: Some(RESOLVER.into()),
        domains: Some(names.iter().map(domain).collect()),
    })
}

/// Where the outside finds the TLS entrypoint: at the port of the public URL, else where it listens.
fn redirect(settings: &Settings, https: Option<SocketAddr>) -> Result<Redirect> {
    let public = given_url(settings).filter(|url| url.scheme() == "https");
    let port = public.and_then(|url| url.port_or_known_default());
    let to = match (port, https) {
        (_, None) => {
            return Err(unusable(
                "PORTICO_HTTP_REDIRECT: there is no TLS entrypoint; set PORTICO_HTTPS_ADDR",
            ));
        }
        (Some(port), _) => format!(":{port}"),
        (None, Some(_)) => "websecure".into(),
    };
    Ok(Redirect {
        to,
        scheme: "https".into(),
        permanent: true,
        priority: None,
    })
}

fn unusable(message: &str) -> Error {
    Error::new(Kind::Invalid, "SETTINGS", message)
}

/// Traefik's static configuration says which entrypoints and providers there are; ours stays for what it does not say.
fn over(base: gateway::Settings, flags: &[String]) -> Result<gateway::Settings> {
    let read = read_static(flags);
    let base = gateway::Settings {
        entry_points: Vec::new(),
        admin: None,
        ..base
    };
    read.and_then(|read| read.settings(base)).map_err(refused)
}

fn read_static(flags: &[String]) -> std::result::Result<Static, Vec<Mistake>> {
    let environment: Vec<(String, String)> = std::env::vars()
        .filter(|(name, _)| name.starts_with("TRAEFIK_"))
        .collect();
    Static::parse(flags, &environment, &|path| fs::read_to_string(path))
}

fn refused(mistakes: Vec<Mistake>) -> Error {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    Error::new(Kind::Invalid, "TRAEFIK_CONFIGURATION", lines.join("\n"))
}

/// Where a gateway looks for core that is told nothing: a container of that name.
pub fn core_urls(settings: &Settings) -> Vec<String> {
    let given = settings.service_urls.core.clone();
    given.unwrap_or_else(|| vec![CORE.to_owned()])
}

/// A service of this process is at home, another is where its URL says. Only a gateway alone, without Traefik's
/// configuration, looks for containers named after the services.
fn builtin(settings: &Settings, plan: &Plan, services: &[(String, InProcess)]) -> Builtin {
    let lone = services.is_empty() && !speaks_traefik(plan);
    let at = |name: &str, given: &Option<Vec<String>>, usual: &str| {
        if services.iter().any(|(service, _)| service == name) {
            return Some(At::InProcess);
        }
        let usual = lone.then(|| vec![usual.to_owned()]);
        given.clone().or(usual).map(At::Urls)
    };
    let urls = &settings.service_urls;
    let rate = |rate: Option<Rate>| rate.map(|rate| (u64::from(rate.requests), rate.window));
    let limits = &settings.limits;
    Builtin {
        core: at("core", &urls.core, CORE),
        media: at("media", &urls.media, MEDIA),
        links: at("links", &urls.links, LINKS),
        core_rate: rate(limits.core),
        media_rate: rate(limits.media),
        links_rate: rate(limits.links),
        links_anonymous: rate(limits.links_anonymous),
        redis: limits.redis.clone(),
        short_domains: settings.short_domains.clone(),
        cdn_domain: settings.cdn_domain.clone(),
        verifies: true,
    }
}
