//! From texts to settings: each value parsed by its own rule, mistakes noted with their place, none hiding another.

use super::{
    Acme, Addresses, Clicks, Database, Hasura, Limits, ObjectStore, ServiceUrls, Settings, Telemetry, Tokens, parse,
    sources::{Mistake, Source, Values},
    table,
};
use foundation::Secret;
use postgres_chassis::DatabaseUrl;
use std::{collections::BTreeMap, path::PathBuf};

/// Parses value by value, noting mistakes and going on, so that all of them are told.
pub(super) struct Reader<'a> {
    values: &'a Values,
    pub mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub fn new(values: &'a Values, mistakes: Vec<Mistake>) -> Self {
        Self { values, mistakes }
    }

    /// `None` only when there are mistakes.
    pub fn settings(&mut self) -> Option<Settings> {
        // Every part is read before the first `?`, or mistakes behind it would stay untold.
        let addresses = self.addresses();
        let service_urls = self.service_urls();
        let limits = self.limits();
        let database = self.database();
        let tokens = self.tokens();
        let store = self.store();
        let hasura = self.hasura();
        let webhook_secrets = self.optional("webhook_secret", webhooks::Secrets::parse);
        let telemetry = self.telemetry();
        let public_url = self.optional("public_url", parse::base_url);
        let s3_public_url = self.optional("s3_public_url", parse::base_url);
        let media_max_upload = self.required("media_max_upload", parse::bytes);
        let shutdown_deadline = self.required("shutdown_deadline", parse::duration);
        let take_over = self.required("take_over", parse::switch);
        let http_redirect = self.required("http_redirect", parse::switch);
        let acme = self.acme();
        let clicks = self.clicks();
        let admin = self.admin();
        let smtp = self.smtp();
        Some(Settings {
            data_dir: PathBuf::from(self.text("data_dir")?),
            addresses: addresses?,
            service_urls,
            public_url,
            s3_public_url,
            acme,
            http_redirect: http_redirect?,
            short_domains: self.list("short_domains"),
            clicks: clicks?,
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
            webhook_secrets: webhook_secrets.unwrap_or_default(),
            environment: BTreeMap::new(),
            telemetry: telemetry?,
            shutdown_deadline: shutdown_deadline?,
            take_over: take_over?,
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

    fn service_urls(&mut self) -> ServiceUrls {
        let urls = |text: &str| parse::list(text).iter().map(|url| parse::base_url(url)).collect();
        ServiceUrls {
            core: self.optional("core_url", urls),
            media: self.optional("media_url", urls),
            links: self.optional("links_url", urls),
        }
    }

    fn acme(&mut self) -> Option<Acme> {
        let server = self.required("acme_server", parse::base_url);
        let challenge = self.required("acme_challenge", parse::challenge);
        let email = |text: &str| match text.split_once('@') {
            Some((name, host)) if !name.is_empty() && host.contains('.') => Ok(text.to_owned()),
            _ => Err(format!("'{text}' is no mail address")),
        };
        Some(Acme {
            email: self.optional("acme_email", email)?,
            server: server?,
            authority: self.text("acme_ca"),
            challenge: challenge?,
        })
    }

    fn clicks(&mut self) -> Option<Clicks> {
        let address = self.required("click_address", links::Keep::parse);
        let disk = self.required("click_disk", parse::bytes);
        let days = |text: &str| match text.parse() {
            Ok(days) if days > 0 => Ok(days),
            _ => Err(format!("'{text}' is no number of days")),
        };
        let retention_days = self.optional("click_retention_days", days);
        let addresses = |text: &str| {
            let parsed = parse::list(text).into_iter().map(|address| {
                let no = |_| format!("'{address}' is no IP address");
                address.parse().map_err(no)
            });
            parsed.collect::<Result<Vec<std::net::IpAddr>, String>>()
        };
        let allowed = self.optional("fetch_allow", addresses);
        Some(Clicks {
            address: address?,
            disk: disk?,
            retention_days,
            geoip_database: self.text("geoip_database").map(PathBuf::from),
            clickhouse_url: self.text("clickhouse_url").map(Secret::new),
            fetch_allowed: links::Allowed::new(allowed.unwrap_or_default()),
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
            redis: self.text("rate_limit_redis"),
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
            log_file: None,
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
