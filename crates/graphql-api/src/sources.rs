//! The databases metadata names: where their URL comes from, and a pool each.

use crate::Settings;
use foundation::{Error, Kind, Result};
use metadata::Source;
use postgres_chassis::{DatabaseUrl, Pool, PoolSize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// A source that is connected.
#[derive(Clone)]
pub struct Connected {
    /// What it was opened with; another configuration is another pool.
    pub configuration: Value,
    pub pool: Pool,
}

/// # Errors
/// The configuration names no URL, an environment variable that is not set, or a URL that is none.
pub fn connect(source: &Source, settings: &Settings) -> Result<Connected> {
    let (environment, connections) = (&settings.environment, settings.connections);
    let info = &source.configuration["connection_info"];
    if let Some(pool) = settings.own_pool.as_ref().filter(|_| source.name == "default") {
        return Ok(Connected {
            configuration: source.configuration.clone(),
            pool: pool.clone(),
        });
    }
    let wrong = |message: String| Error::new(Kind::Invalid, "SOURCE_CONFIGURATION", message);
    let url = database_url(&info["database_url"], environment).map_err(wrong)?;
    let url = DatabaseUrl::parse(&url)
        .map_err(|message| wrong(format!("the database_url of source \"{}\" {message}", source.name)))?;
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
    Ok(Connected {
        configuration: source.configuration.clone(),
        pool: Pool::open(&url, &format!("portico graphql {}", source.name), size)?,
    })
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
