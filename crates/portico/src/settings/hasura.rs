//! The environment of a Hasura v2 container, for `serve graphql`: its names and defaults. A name of Hasura's that we do
//! not act on is refused; any other name is the operator's own, for metadata to read with `from_env`.

use super::sources::Mistake;
use postgres_chassis::DatabaseUrl;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    time::Duration,
};

const PREFIX: &str = "HASURA_GRAPHQL_";

/// Hasura's names for what does not exist here. Set to nothing or to these values they ask for nothing.
const REFUSED: [(&str, &[&str]); 6] = [
    ("HASURA_GRAPHQL_TLS_ALLOWLIST", &[]),
    ("HASURA_GRAPHQL_EXECUTE_SQL_ON_CONNECTION", &[]),
    ("HASURA_GRAPHQL_MAINTENANCE_MODE", &["false"]),
    ("HASURA_GRAPHQL_READ_ONLY_MODE", &["false"]),
    ("HASURA_GRAPHQL_WEBSOCKET_COMPRESSION", &["false"]),
    ("HASURA_GRAPHQL_ENABLE_APOLLO_FEDERATION", &["false"]),
];

pub struct Hasura {
    pub metadata_database: DatabaseUrl,
    /// The variable that names the database of source `default`, if there is one from the start.
    pub default_source: Option<String>,
    /// What metadata may read with `from_env`.
    pub environment: BTreeMap<String, String>,
    pub connections: usize,
    pub auth: graphql_api::auth::Settings,
    pub options: graphql_api::Options,
    pub allow_list: bool,
    pub cors: graphql_api::Cors,
    pub apis: graphql_api::Apis,
    pub events: Events,
    pub address: SocketAddr,
    /// `/metrics` and `/ping`, where `PORTICO_ADMIN_ADDR` asks for them.
    pub admin: Option<SocketAddr>,
}

/// How event queues are emptied.
#[derive(Clone, Copy)]
pub struct Events {
    pub concurrent: usize,
    pub batch: usize,
    pub interval: Duration,
    /// Of asynchronous actions.
    pub actions: Duration,
}

/// Takes Hasura's names out of the environment, so that our own settings do not stumble over them.
pub fn without(environment: &mut Vec<(String, String)>) -> BTreeMap<String, String> {
    let whole: BTreeMap<String, String> = environment.iter().cloned().collect();
    environment.retain(|(name, _)| !name.starts_with(PREFIX));
    whole
}

/// # Errors
/// Every mistake, with the variable's name.
pub fn read(environment: BTreeMap<String, String>) -> Result<Hasura, Vec<Mistake>> {
    let mut reader = Reader {
        environment: &environment,
        mistakes: Vec::new(),
    };
    reader.refuse();
    let default_source = ["HASURA_GRAPHQL_DATABASE_URL", "DATABASE_URL"]
        .into_iter()
        .find(|name| reader.text(name).is_some());
    let metadata_database = reader.metadata_database(default_source);
    let address = reader.address();
    let admin = reader.parsed("PORTICO_ADMIN_ADDR", "an address such as 127.0.0.1:9100");
    let connections = reader.parsed("HASURA_GRAPHQL_PG_CONNECTIONS", "a number").unwrap_or(50);
    let options = reader.options();
    let allow_list = reader.flag("HASURA_GRAPHQL_ENABLE_ALLOWLIST", false);
    let cors = reader.cors();
    let apis = reader.apis();
    let auth = reader.auth();
    let events = reader.events();
    let mistakes = reader.mistakes;
    let Some(metadata_database) = metadata_database.filter(|_| mistakes.is_empty()) else {
        return Err(mistakes);
    };
    let default_source = default_source.map(str::to_owned);
    Ok(Hasura {
        metadata_database,
        default_source,
        environment,
        connections,
        auth,
        options,
        allow_list,
        cors,
        apis,
        events,
        address,
        admin,
    })
}

struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn wrong(&mut self, name: &str, message: impl Into<String>) {
        self.mistakes.push(Mistake {
            place: name.to_owned(),
            message: message.into(),
        });
    }

    /// Set but empty counts as not set.
    fn text(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    fn refuse(&mut self) {
        for (name, harmless) in REFUSED {
            let set = self
                .text(name)
                .filter(|value| !harmless.contains(&value.to_lowercase().as_str()));
            if set.is_some() {
                self.wrong(name, "is not supported here; unset it");
            }
        }
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str, form: &str) -> Option<T> {
        let text = self.text(name)?.to_owned();
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.wrong(name, format!("'{text}' is not {form}"));
        }
        parsed
    }

    fn flag(&mut self, name: &str, usual: bool) -> bool {
        match self.text(name).map(str::to_lowercase).as_deref() {
            None => usual,
            Some("true" | "t" | "yes" | "y" | "1") => true,
            Some("false" | "f" | "no" | "n" | "0") => false,
            Some(other) => {
                let message = format!("'{other}' is neither true nor false");
                self.wrong(name, message);
                usual
            }
        }
    }

    fn options(&mut self) -> graphql_api::Options {
        let features = self.text("HASURA_GRAPHQL_EXPERIMENTAL_FEATURES").unwrap_or_default();
        let conventions = features.split(',').any(|feature| feature.trim() == "naming_convention");
        let convention = self.text("HASURA_GRAPHQL_DEFAULT_NAMING_CONVENTION").map(str::to_owned);
        let known = |name: &&str| !matches!(*name, "hasura-default" | "graphql-default");
        if let Some(other) = convention.as_deref().filter(known) {
            let message = format!("'{other}' is neither hasura-default nor graphql-default");
            self.wrong("HASURA_GRAPHQL_DEFAULT_NAMING_CONVENTION", message);
        }
        graphql_api::Options {
            stringify_numerics: self.flag("HASURA_GRAPHQL_STRINGIFY_NUMERIC_TYPES", false),
            infer_function_permissions: self.flag("HASURA_GRAPHQL_INFER_FUNCTION_PERMISSIONS", true),
            conventions,
            naming_convention: convention,
            remote_schema_permissions: self.flag("HASURA_GRAPHQL_ENABLE_REMOTE_SCHEMA_PERMISSIONS", false),
        }
    }

    fn cors(&mut self) -> graphql_api::Cors {
        let (name, off) = ("HASURA_GRAPHQL_CORS_DOMAIN", "HASURA_GRAPHQL_DISABLE_CORS");
        if self.flag(off, false) {
            return graphql_api::Cors::Off;
        }
        let parsed = graphql_api::Cors::parse(self.text(name).unwrap_or("*"));
        parsed.unwrap_or_else(|message| {
            self.wrong(name, message);
            graphql_api::Cors::Off
        })
    }

    fn apis(&mut self) -> graphql_api::Apis {
        let name = "HASURA_GRAPHQL_ENABLED_APIS";
        let parsed = self.text(name).map(graphql_api::Apis::parse);
        match parsed {
            None => graphql_api::Apis::default(),
            Some(Ok(apis)) => apis,
            Some(Err(message)) => {
                self.wrong(name, message);
                graphql_api::Apis::default()
            }
        }
    }

    fn events(&mut self) -> Events {
        let number = "a number of at least 1";
        let concurrent = self.parsed::<NonZeroUsize>("HASURA_GRAPHQL_EVENTS_HTTP_POOL_SIZE", number);
        let batch = self.parsed::<NonZeroUsize>("HASURA_GRAPHQL_EVENTS_FETCH_BATCH_SIZE", number);
        let milliseconds = "a number of milliseconds";
        let interval = self.parsed("HASURA_GRAPHQL_EVENTS_FETCH_INTERVAL", milliseconds);
        let actions = self.parsed("HASURA_GRAPHQL_ASYNC_ACTIONS_FETCH_INTERVAL", milliseconds);
        Events {
            concurrent: concurrent.map_or(100, NonZeroUsize::get),
            batch: batch.map_or(100, NonZeroUsize::get),
            interval: Duration::from_millis(interval.unwrap_or(1000)),
            actions: Duration::from_millis(actions.unwrap_or(1000)),
        }
    }

    fn auth(&mut self) -> graphql_api::auth::Settings {
        match graphql_api::auth::Settings::read(self.environment) {
            Ok(settings) => settings,
            Err(mistakes) => {
                for (name, message) in mistakes {
                    self.wrong(name, message);
                }
                graphql_api::auth::Settings::default()
            }
        }
    }

    fn metadata_database(&mut self, default_source: Option<&str>) -> Option<DatabaseUrl> {
        let own = "HASURA_GRAPHQL_METADATA_DATABASE_URL";
        let Some(name) = self.text(own).map(|_| own).or(default_source) else {
            let message = "is missing; the form is postgres://user:password@host:5432/database \
                           (or HASURA_GRAPHQL_METADATA_DATABASE_URL, to add sources later)";
            self.wrong("HASURA_GRAPHQL_DATABASE_URL", message);
            return None;
        };
        let parsed = DatabaseUrl::parse(self.text(name).unwrap_or_default());
        parsed.map_err(|message| self.wrong(name, message)).ok()
    }

    /// Hasura's `*` is every address.
    fn address(&mut self) -> SocketAddr {
        let port = self.parsed("HASURA_GRAPHQL_SERVER_PORT", "a port").unwrap_or(8080);
        let every = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let host = match self.text("HASURA_GRAPHQL_SERVER_HOST") {
            None | Some("*" | "*4" | "!4") => every,
            Some(_) => self.parsed("HASURA_GRAPHQL_SERVER_HOST", "an address").unwrap_or(every),
        };
        SocketAddr::new(host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(environment: &[(&str, &str)]) -> Result<Hasura, Vec<String>> {
        let environment = environment
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        read(environment.collect()).map_err(|mistakes| mistakes.iter().map(Mistake::to_string).collect())
    }

    #[test]
    fn the_defaults_are_a_containers() {
        let read = check(&[("HASURA_GRAPHQL_DATABASE_URL", "postgres://u@h/d")]).expect("settings");
        assert_eq!(read.address.to_string(), "0.0.0.0:8080");
        assert_eq!(read.default_source.as_deref(), Some("HASURA_GRAPHQL_DATABASE_URL"));
        assert!(read.options.infer_function_permissions && !read.options.stringify_numerics);
    }

    #[test]
    fn every_mistake_is_told_at_once_and_foreign_names_are_the_operators() {
        let told = check(&[
            ("HASURA_GRAPHQL_SERVER_PORT", "http"),
            ("HASURA_GRAPHQL_STRINGIFY_NUMERIC_TYPES", "maybe"),
            ("HASURA_GRAPHQL_READ_ONLY_MODE", "true"),
            ("HASURA_GRAPHQL_MAINTENANCE_MODE", "false"),
            ("HASURA_GRAPHQL_MY_OWN_URL", "x"),
        ])
        .err()
        .expect("mistakes");
        assert_eq!(
            told,
            [
                "HASURA_GRAPHQL_READ_ONLY_MODE: is not supported here; unset it",
                "HASURA_GRAPHQL_DATABASE_URL: is missing; the form is postgres://user:password@host:5432/database \
                 (or HASURA_GRAPHQL_METADATA_DATABASE_URL, to add sources later)",
                "HASURA_GRAPHQL_SERVER_PORT: 'http' is not a port",
                "HASURA_GRAPHQL_STRINGIFY_NUMERIC_TYPES: 'maybe' is neither true nor false",
            ]
        );
    }
}
