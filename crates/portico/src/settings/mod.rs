//! The effective settings: gathered from four places, parsed whole, with every mistake told at once.

pub mod hasura;
pub mod parse;
mod reader;
pub mod sources;
pub mod table;

use foundation::{Role, Secret};
use parse::Rate;
use postgres_chassis::DatabaseUrl;
use reader::Reader;
use sources::{Given, Mistake, Values, gather};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

#[derive(Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub addresses: Addresses,
    pub service_urls: ServiceUrls,
    pub public_url: Option<String>,
    pub s3_public_url: Option<String>,
    pub acme: Option<Acme>,
    /// Plain requests are sent to the TLS entrypoint.
    pub http_redirect: bool,
    pub short_domains: Vec<String>,
    pub clicks: Clicks,
    pub cdn_domain: Option<String>,
    pub limits: Limits,
    pub trusted_proxies: Vec<String>,
    pub media_max_upload: u64,
    pub admin: Option<(String, Secret)>,
    pub database: Database,
    pub tokens: Tokens,
    pub smtp: Option<(Secret, String)>,
    pub store: Option<ObjectStore>,
    /// The store's own secret, for `serve store`.
    pub store_secret: Option<Secret>,
    pub hasura: Hasura,
    pub webhook_secrets: webhooks::Secrets,
    /// The operator's own variables, for GraphQL metadata to read.
    pub environment: BTreeMap<String, String>,
    pub telemetry: Telemetry,
    pub shutdown_deadline: Duration,
    /// Take the sockets of the gateway that runs.
    pub take_over: bool,
}

#[derive(Debug)]
pub struct Addresses {
    pub http: SocketAddr,
    /// `None`: not given, so the command decides; `Some(None)`: off.
    pub https: Option<Option<SocketAddr>>,
    pub admin: SocketAddr,
    pub s3: SocketAddr,
    pub core: SocketAddr,
    pub media: SocketAddr,
    pub links: SocketAddr,
}

#[derive(Debug)]
pub struct ServiceUrls {
    pub core: Option<Vec<String>>,
    pub media: Option<Vec<String>>,
    pub links: Option<Vec<String>>,
}

/// From whom certificates are ordered.
#[derive(Debug)]
pub struct Acme {
    pub email: String,
    pub server: String,
    pub authority: Option<String>,
    pub challenge: gateway::settings::resolver::Challenge,
}

#[derive(Debug)]
pub struct Clicks {
    pub address: links::Keep,
    pub disk: u64,
    pub retention_days: Option<u32>,
    pub geoip_database: Option<PathBuf>,
    pub clickhouse_url: Option<Secret>,
    pub fetch_allowed: links::Allowed,
}

#[derive(Clone, Debug)]
pub struct Limits {
    pub core: Option<Rate>,
    pub media: Option<Rate>,
    pub links: Option<Rate>,
    pub links_anonymous: Option<Rate>,
    /// A Redis in which several gateways count together.
    pub redis: Option<String>,
}

#[derive(Debug)]
pub struct Database {
    pub url: Option<DatabaseUrl>,
    pub connections: usize,
    pub binaries: Option<PathBuf>,
    pub port: Option<u16>,
}

#[derive(Debug)]
pub struct Tokens {
    pub secret: Option<Secret>,
    pub issuer: Option<String>,
    pub audience: String,
}

#[derive(Debug)]
pub struct ObjectStore {
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub path_style: bool,
    pub access_key_id: Secret,
    pub secret_access_key: Secret,
    pub public_url: Option<String>,
}

#[derive(Debug)]
pub struct Hasura {
    pub admin_secret: Option<Secret>,
    pub unauthorized_role: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Telemetry {
    pub log: String,
    /// In place of standard output.
    pub log_file: Option<PathBuf>,
    pub trace: Option<telemetry::trace::Settings>,
    pub betterstack: Option<telemetry::betterstack::Settings>,
    pub heartbeat: Option<Secret>,
}

/// What was read, for `portico config`, and what it means or every reason why not.
pub struct Read {
    pub values: Values,
    pub settings: Result<Settings, Vec<Mistake>>,
}

pub fn read(given: &Given) -> Read {
    let mut mistakes = Vec::new();
    let values = gather(given, &mut mistakes);
    let mut reader = Reader::new(&values, mistakes);
    let settings = reader.settings();
    let settings = match settings {
        Some(settings) if reader.mistakes.is_empty() => Ok(Settings {
            environment: sources::operators_own(&given.environment),
            ..settings
        }),
        _ => Err(reader.mistakes),
    };
    Read { values, settings }
}

/// The role names the command line takes.
pub fn role(text: &str) -> Result<Role, String> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(environment: &[(&str, &str)]) -> Vec<String> {
        let given = Given {
            flags: Vec::new(),
            environment: environment
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            file: None,
        };
        match read(&given).settings {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes.iter().map(Mistake::to_string).collect(),
        }
    }

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(mistakes(&[]), Vec::<String>::new());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let told = mistakes(&[
            ("PORTICO_HTTP_ADDR", "nowhere"),
            ("JWT_SECRET", "short"),
            ("PORTICO_RATE_LIMIT_CORE", "many"),
            ("PORTICO_ADMIN_EMAIL", "a@b.co"),
            ("CLOUDFLARE_R2_ACCOUNT_ID", "acc"),
        ]);
        for place in [
            "PORTICO_HTTP_ADDR: 'nowhere'",
            "JWT_SECRET: is 5 bytes",
            "PORTICO_RATE_LIMIT_CORE: 'many'",
            "PORTICO_ADMIN_PASSWORD: is missing; PORTICO_ADMIN_EMAIL needs it",
            "CLOUDFLARE_R2_BUCKET: is missing",
            "CLOUDFLARE_R2_SECRET_ACCESS_KEY: is missing",
        ] {
            assert!(
                told.iter().any(|mistake| mistake.starts_with(place)),
                "{place} in {told:?}"
            );
        }
    }

    #[test]
    fn secrets_are_never_part_of_a_complaint() {
        let told = mistakes(&[("DATABASE_URL", "mysql://user:hunter2@h/d"), ("JWT_SECRET", "hunter2")]);
        assert_eq!(told.len(), 2);
        assert!(!told.join(" ").contains("hunter2"), "{told:?}");
    }
}
