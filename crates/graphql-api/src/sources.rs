//! The databases metadata names: where their URL comes from, and a pool each.

use crate::Settings;
use foundation::{Error, Kind, Result};
use metadata::Source;
use postgres_chassis::{DatabaseUrl, Pool, PoolSize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A source that is connected.
#[derive(Clone)]
pub struct Connected {
    /// What it was opened with; another configuration is another pool.
    pub configuration: Value,
    pub pool: Pool,
    pub replicas: Replicas,
}

/// Copies of the database that answer queries, in turn.
#[derive(Clone, Default)]
pub struct Replicas(Arc<(Vec<Replica>, AtomicUsize)>);

pub struct Replica {
    pub pool: Pool,
    /// Not asked before then: it could not be reached.
    rests_until: Mutex<Option<Instant>>,
}

/// A copy that cannot be reached is left alone so long.
const REST: Duration = Duration::from_secs(10);

impl Replica {
    fn is_up(&self) -> bool {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| until <= Instant::now())
    }

    /// It could not be reached.
    pub fn rest(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }
}

impl Replicas {
    fn of(pools: Vec<Pool>) -> Self {
        let replica = |pool| Replica {
            pool,
            rests_until: Mutex::new(None),
        };
        let replicas = pools.into_iter().map(replica).collect();
        Replicas(Arc::new((replicas, AtomicUsize::new(0))))
    }

    /// Those that may be asked, another first each time.
    pub fn in_turn(&self) -> impl Iterator<Item = &Replica> {
        let (replicas, next) = &*self.0;
        let first = match replicas.len() {
            0 => 0,
            many => next.fetch_add(1, Ordering::Relaxed) % many,
        };
        let all = replicas[first..].iter().chain(&replicas[..first]);
        all.filter(|replica| replica.is_up())
    }
}

/// # Errors
/// The configuration names no URL, an environment variable that is not set, or a URL that is none.
pub fn connect(source: &Source, settings: &Settings) -> Result<Connected> {
    let info = &source.configuration["connection_info"];
    let listed = source.configuration["read_replicas"].as_array().into_iter().flatten();
    let replicas = listed.map(|info| open(source, info, settings, "replica"));
    let replicas = Replicas::of(replicas.collect::<Result<Vec<_>>>()?);
    let own = settings.own_pool.as_ref().filter(|_| source.name == "default");
    Ok(Connected {
        configuration: source.configuration.clone(),
        pool: match own {
            Some(pool) => pool.clone(),
            None => open(source, info, settings, "source")?,
        },
        replicas,
    })
}

fn open(source: &Source, info: &Value, settings: &Settings, what: &str) -> Result<Pool> {
    let (environment, connections) = (&settings.environment, settings.connections);
    let wrong = |message: String| Error::new(Kind::Invalid, "SOURCE_CONFIGURATION", message);
    let url = database_url(&info["database_url"], environment).map_err(wrong)?;
    let url = DatabaseUrl::parse(&url)
        .map_err(|message| wrong(format!("the database_url of {what} \"{}\" {message}", source.name)))?;
    let asked = &info["pool_settings"];
    let most = asked["max_connections"]
        .as_u64()
        .and_then(|most| usize::try_from(most).ok());
    let size = PoolSize {
        connections: most.unwrap_or(connections).clamp(1, 500),
        wait: Duration::from_secs(asked["pool_timeout"].as_u64().unwrap_or(10)),
        // Hasura sets none; an operator does by ALTER ROLE.
        statement_timeout: Duration::ZERO,
    };
    Pool::open(&url, &format!("portico graphql {}", source.name), size)
}

/// Text, `{"from_env": NAME}`, or `{"connection_parameters": {…}}`.
fn database_url(given: &Value, environment: &BTreeMap<String, String>) -> Result<String, String> {
    if let Some(text) = given.as_str() {
        return Ok(text.to_owned());
    }
    if let Some(name) = given["from_env"].as_str() {
        let found = environment.get(name).filter(|value| !value.is_empty());
        return found
            .cloned()
            .ok_or_else(|| format!("environment variable \"{name}\" not set"));
    }
    let parameters = &given["connection_parameters"];
    let part = |key: &str| parameters[key].as_str().unwrap_or_default();
    if parameters.is_object() {
        let mut url = url::Url::parse("postgres://localhost/").map_err(|error| error.to_string())?;
        let refused = |what: &str| format!("connection_parameters: '{what}' does not fit into a URL");
        url.set_host(Some(part("host"))).map_err(|_| refused("host"))?;
        let port = parameters["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        url.set_port(port).map_err(|()| refused("port"))?;
        url.set_username(part("username")).map_err(|()| refused("username"))?;
        if !part("password").is_empty() {
            url.set_password(Some(part("password")))
                .map_err(|()| refused("password"))?;
        }
        url.set_path(part("database"));
        return Ok(url.to_string());
    }
    Err(
        "connection_info.database_url must be a URL, {\"from_env\": name} or {\"connection_parameters\": {…}}"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_url_comes_from_text_from_the_environment_or_from_parts() {
        let environment = BTreeMap::from([("DB".to_owned(), "postgres://e@h/d".to_owned())]);
        let check = |given: Value| database_url(&given, &environment);
        assert_eq!(check(json!("postgres://x@h/d")), Ok("postgres://x@h/d".to_owned()));
        assert_eq!(check(json!({"from_env": "DB"})), Ok("postgres://e@h/d".to_owned()));
        assert_eq!(
            check(
                json!({"connection_parameters": {"host": "h", "port": 5433, "username": "u", "password": "p@", "database": "d"}})
            ),
            Ok("postgres://u:p%40@h:5433/d".to_owned())
        );
        assert_eq!(
            check(json!({"from_env": "NO"})),
            Err("environment variable \"NO\" not set".to_owned())
        );
    }
}
