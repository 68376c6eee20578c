//! The effective settings: gathered from four places, parsed whole, with every mistake told at once.

pub mod parse;
pub mod sources;
pub mod table;

use foundation::{Role, Secret};
use parse::Rate;
use postgres_chassis::DatabaseUrl;
use sources::{Given, Mistake, Source, Values, gather};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

#[derive(Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub addresses: Addresses,
    pub service_urls: ServiceUrls,
    pub public_url: Option<String>,
    pub s3_public_url: Option<String>,
    pub short_domains: Vec<String>,
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
    pub telemetry: Telemetry,
    pub shutdown_deadline: Duration,
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
    pub core: Vec<String>,
    pub media: Vec<String>,
    pub links: Vec<String>,
}

#[derive(Debug)]
pub struct Limits {
    pub core: Option<Rate>,
    pub media: Option<Rate>,
    pub links: Option<Rate>,
    pub links_anonymous: Option<Rate>,
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

#[derive(Debug)]
pub struct Telemetry {
    pub log: String,
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
    let mut reader = Reader {
        values: &values,
        mistakes,
    };
    let settings = reader.settings();
    let settings = match settings {
        Some(settings) if reader.mistakes.is_empty() => Ok(settings),
        _ => Err(reader.mistakes),
    };
    Read { values, settings }
}

/// Parses value by value, noting mistakes and going on, so that all of them are told.
struct Reader<'a> {
    values: &'a Values,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// `None` only when there are mistakes.
    fn settings(&mut self) -> Option<Settings> {
        // Every part is read before the first `?`, or mistakes behind it would stay untold.
        let addresses = self.addresses();
        let service_urls = self.service_urls();
        let limits = self.limits();
        let database = self.database();
        let tokens = self.tokens();
        let store = self.store();
        let hasura = self.hasura();
        let telemetry = self.telemetry();
        let public_url = self.optional("public_url", parse::base_url);
        let s3_public_url = self.optional("s3_public_url", parse::base_url);
        let media_max_upload = self.required("media_max_upload", parse::bytes);
        let shutdown_deadline = self.required("shutdown_deadline", parse::duration);
        let admin = self.admin();
        let smtp = self.smtp();
        Some(Settings {
            data_dir: PathBuf::from(self.text("data_dir")?),
            addresses: addresses?,
            service_urls: service_urls?,
            public_url,
            s3_public_url,
            short_domains: self.list("short_domains"),
            cdn_domain: self.text("cdn_domain"),
            limits: limits?,
            trusted_proxies: self.list("trusted_proxies"),
            media_max_upload: media_max_upload?,
            admin,
            database: database?,
            tokens: tokens?,
            smtp,
            store,
            store_secret: self.text("s3_secret_access_key").map(Secret::new),
            hasura,
            telemetry: telemetry?,
            shutdown_deadline: shutdown_deadline?,
        })
    }

    fn addresses(&mut self) -> Option<Addresses> {
        let http = self.required("http_addr", parse::address);
        let https = self.optional("https_addr", parse::optional_address);
        let admin = self.required("admin_addr", parse::address);
        let s3 = self.required("s3_addr", parse::address);
        let core = self.required("core_addr", parse::address);
        let media = self.required("media_addr", parse::address);
        let links = self.required("links_addr", parse::address);
        Some(Addresses {
            http: http?,
            https,
            admin: admin?,
            s3: s3?,
            core: core?,
            media: media?,
            links: links?,
        })
    }

    fn service_urls(&mut self) -> Option<ServiceUrls> {
        let urls = |text: &str| parse::list(text).iter().map(|url| parse::base_url(url)).collect();
        let core = self.required("core_url", urls);
        let media = self.required("media_url", urls);
        let links = self.required("links_url", urls);
        Some(ServiceUrls {
            core: core?,
            media: media?,
            links: links?,
        })
    }

    fn limits(&mut self) -> Option<Limits> {
        let core = self.required("rate_limit_core", parse::rate);
        let media = self.required("rate_limit_media", parse::rate);
        let links = self.required("rate_limit_links", parse::rate);
        let links_anonymous = self.required("rate_limit_links_anonymous", parse::rate);
        Some(Limits {
            core: core?,
            media: media?,
            links: links?,
            links_anonymous: links_anonymous?,
        })
    }

    fn database(&mut self) -> Option<Database> {
        let url = self.optional("database_url", DatabaseUrl::parse);
        let number = |text: &str| match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("'{text}' is no number of connections")),
        };
        let connections = self.required("database_connections", number);
        let port = |text: &str| text.parse().map_err(|_| format!("'{text}' is no port"));
        let port = self.optional("postgres_port", port);
        Some(Database {
            url,
            connections: connections?,
            binaries: self.text("postgres_bin").map(PathBuf::from),
            port,
        })
    }

    fn tokens(&mut self) -> Option<Tokens> {
        let long_enough = |text: &str| match text.len() {
            0..32 => Err(format!(
                "is {} bytes long; at least 32 are needed. Make one: openssl rand -hex 32",
                text.len()
            )),
            _ => Ok(Secret::new(text)),
        };
        Some(Tokens {
            secret: self.optional("jwt_secret", long_enough),
            issuer: self.text("jwt_issuer"),
            audience: self.text("jwt_audience")?,
        })
    }

    fn admin(&mut self) -> Option<(String, Secret)> {
        match (self.text("admin_email"), self.text("admin_password")) {
            (Some(email), Some(password)) => Some((email, Secret::new(password))),
            (None, None) => None,
            (Some(_), None) => self.missing("admin_password", "admin_email"),
            (None, Some(_)) => self.missing("admin_email", "admin_password"),
        }
    }

    fn smtp(&mut self) -> Option<(Secret, String)> {
        match (self.text("smtp_url"), self.text("mail_from")) {
            (Some(url), Some(from)) => Some((Secret::new(url), from)),
            (Some(_), None) => self.missing("mail_from", "smtp_url"),
            (None, _) => None,
        }
    }

    /// R2, or any other S3; `None` is the own store.
    fn store(&mut self) -> Option<ObjectStore> {
        let r2 = "cloudflare_r2_account_id";
        if let Some(account) = self.text(r2) {
            if self.text("s3_endpoint").is_some() {
                self.note(
                    "s3_endpoint",
                    "R2 is configured as well (CLOUDFLARE_R2_ACCOUNT_ID); keep one of the two".into(),
                );
            }
            let bucket = self.together("cloudflare_r2_bucket", r2);
            let key = self.together("cloudflare_r2_access_key_id", r2);
            let secret = self.together("cloudflare_r2_secret_access_key", r2);
            return Some(ObjectStore {
                endpoint: format!("https://{account}.r2.cloudflarestorage.com"),
                region: "auto".into(),
                bucket: bucket?,
                path_style: true,
                access_key_id: Secret::new(key?),
                secret_access_key: Secret::new(secret?),
                public_url: self.optional("cloudflare_r2_public_url", parse::base_url),
            });
        }
        let endpoint = self.optional("s3_endpoint", parse::base_url)?;
        let key = self.together("s3_access_key_id", "s3_endpoint");
        let secret = self.together("s3_secret_access_key", "s3_endpoint");
        let path_style = self.required("s3_path_style", parse::truth);
        Some(ObjectStore {
            endpoint,
            region: self.text("s3_region")?,
            bucket: self.text("s3_bucket")?,
            path_style: path_style?,
            access_key_id: Secret::new(key?),
            secret_access_key: Secret::new(secret?),
            public_url: None,
        })
    }

    fn hasura(&self) -> Hasura {
        Hasura {
            admin_secret: self.text("hasura_admin_secret").map(Secret::new),
            unauthorized_role: self.text("hasura_unauthorized_role"),
        }
    }

    fn telemetry(&mut self) -> Option<Telemetry> {
        let headers = self.optional("otel_headers", parse::pairs);
        let resource = self.optional("otel_resource_attributes", parse::pairs);
        let ratio = self.required("otel_sampler_arg", |text| match text.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err(format!("'{text}' is no share between 0 and 1")),
        });
        let endpoint = self.optional("otel_endpoint", parse::base_url);
        let betterstack = match (
            self.text("betterstack_source_token"),
            self.text("betterstack_ingesting_host"),
        ) {
            (Some(source_token), Some(ingesting_host)) => Some(telemetry::betterstack::Settings {
                ingesting_host,
                source_token,
            }),
            (Some(_), None) => self.missing("betterstack_ingesting_host", "betterstack_source_token"),
            (None, _) => None,
        };
        let trace = endpoint.map(|endpoint| telemetry::trace::Settings {
            endpoint,
            service_name: self.text("otel_service_name").unwrap_or_default(),
            headers: headers.unwrap_or_default(),
            resource: resource.unwrap_or_default(),
            ratio: ratio.unwrap_or(1.0),
        });
        Some(Telemetry {
            log: self.text("log")?,
            trace,
            betterstack,
            heartbeat: self.text("betterstack_heartbeat_url").map(Secret::new),
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|value| value.text.clone())
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.text(name).map(|text| parse::list(&text)).unwrap_or_default()
    }

    fn optional<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_err(|message| self.note(name, message)).ok()
    }

    /// Has a default, so it is missing only when it does not parse.
    fn required<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.optional(name, parse)
    }

    /// Must be there because `other` is.
    fn together(&mut self, name: &'static str, other: &'static str) -> Option<String> {
        let text = self.text(name);
        if text.is_none() {
            self.missing::<()>(name, other);
        }
        text
    }

    fn missing<T>(&mut self, name: &'static str, other: &'static str) -> Option<T> {
        let env = |name| table::by_name(name).map_or(name, |setting| setting.env);
        self.mistakes.push(Mistake {
            place: env(name).to_owned(),
            message: format!("is missing; {} needs it", env(other)),
        });
        None
    }

    fn note(&mut self, name: &'static str, message: String) {
        let env = table::by_name(name).map_or(name, |setting| setting.env);
        let place = match self.values.get(name).map(|value| &value.source) {
            None | Some(Source::Default | Source::Environment(_)) => env.to_owned(),
            Some(Source::File(place)) => format!("{place}: {name}"),
            Some(source) => source.to_string(),
        };
        self.mistakes.push(Mistake { place, message });
    }
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
