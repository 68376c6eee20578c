//! `DATABASE_URL`, parsed at the door.

use foundation::Secret;
use std::{fmt, time::Duration};
use tokio_postgres::Config;

/// How the connection is protected; libpq's `sslmode`, except that `require` verifies, because encryption to an unknown
/// server protects nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Verify,
}

#[derive(Clone)]
pub struct DatabaseUrl {
    pub(crate) config: Config,
    pub(crate) ssl: SslMode,
    /// `sslrootcert`: a PEM file beside the public roots.
    pub(crate) root_certificate: Option<String>,
    url: Secret,
}

impl DatabaseUrl {
    /// # Errors
    /// Names what is wrong with the URL, without repeating the password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known_scheme = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if !known_scheme {
            return Err("must start with postgres:// or postgresql://".into());
        }
        let mut url = url::Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut ssl = SslMode::Prefer;
        let mut root_certificate = None;
        let mut rest = Vec::new();
        for (key, value) in pairs {
            match key.as_str() {
                "sslmode" => ssl = parse_sslmode(&value)?,
                "sslrootcert" => root_certificate = Some(value),
                _ => rest.push((key, value)),
            }
        }
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(&rest);
        }
        let mut config: Config = url.as_str().parse().map_err(|error| chain(&error).to_string())?;
        if config.get_dbname().is_none() && config.get_user().is_none() {
            return Err(
                "names neither a user nor a database; the form is postgres://user:password@host:5432/database".into(),
            );
        }
        config.connect_timeout(Duration::from_secs(5));
        Ok(Self {
            config,
            ssl,
            root_certificate,
            url: Secret::new(text),
        })
    }

    /// The same database under another login.
    pub fn with_login(&self, user: &str, password: &str) -> Self {
        let mut other = self.clone();
        other.config.user(user).password(password);
        if let Ok(mut url) = url::Url::parse(self.url.expose()) {
            // Only URLs without a host refuse these, and a socket URL names its host in the query.
            let _ = url.set_username(user).and_then(|()| url.set_password(Some(password)));
            other.url = Secret::new(url.to_string());
        }
        other
    }

    pub fn expose(&self) -> &str {
        self.url.expose()
    }

    pub fn database(&self) -> &str {
        self.config
            .get_dbname()
            .or(self.config.get_user())
            .unwrap_or("postgres")
    }

    pub(crate) fn password(&self) -> &[u8] {
        self.config.get_password().unwrap_or_default()
    }
}

fn parse_sslmode(value: &str) -> Result<SslMode, String> {
    match value {
        "disable" => Ok(SslMode::Disable),
        "allow" | "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Verify),
        other => Err(format!(
            "has sslmode '{other}'; it is one of disable, prefer, require, verify-ca, verify-full"
        )),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(self.url.expose()))
    }
}

/// The URL with its password hidden, for `portico config`.
fn masked(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return "****".into();
    };
    if url.password().is_some() {
        // As above: only URLs without a host refuse.
        let _ = url.set_password(Some("****"));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url = DatabaseUrl::parse("postgres://app:s3cret@db.example:5432/app?sslmode=require").expect("valid");
        assert!(!format!("{url:?}").contains("s3cret"));
        assert_eq!(url.ssl, SslMode::Verify);
    }

    #[test]
    fn a_socket_directory_is_a_host() {
        let url = DatabaseUrl::parse("postgres://portico:x@/portico?host=/var/run/portico&port=5433").expect("valid");
        assert_eq!(url.config.get_ports(), [5433]);
        let other = url.with_login("portico_core", "y");
        assert_eq!(other.config.get_user(), Some("portico_core"));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("mysql://x", "postgres://"),
            ("postgres://u@h/d?sslmode=maybe", "sslmode 'maybe'"),
            ("postgres://u@h:notaport/d", "port"),
        ] {
            let error = DatabaseUrl::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
