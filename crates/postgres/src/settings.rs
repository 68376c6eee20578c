//! `DATABASE_URL`, parsed at the door.

use foundation::Secret;
use percent_encoding::percent_decode_str;
use std::{fmt, time::Duration};
use tokio_postgres::{Config, config::Host};

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
        // By hand, because a URL parser refuses the empty host that libpq's socket form has.
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut ssl = SslMode::Prefer;
        let mut root_certificate = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => ssl = parse_sslmode(value)?,
                Some(("sslrootcert", value)) => {
                    let decoded = percent_decode_str(value).decode_utf8_lossy().into_owned();
                    root_certificate = Some(decoded);
                }
                _ => rest.push(pair),
            }
        }
        let mut plain = base.to_owned();
        if !rest.is_empty() {
            plain = format!("{base}?{}", rest.join("&"));
        }
        let mut config: Config = plain.parse().map_err(|error| chain(&error))?;
        if config.get_dbname().is_none() && config.get_user().is_none() {
            return Err(
                "names neither a user nor a database; the form is postgres://user:password@host:5432/database".into(),
            );
        }
        // Nobody listens in on a socket file, and the driver has no name to verify there.
        if config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) {
            ssl = SslMode::Disable;
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
        other.url = Secret::new(with_credentials(self.url.expose(), user, password));
        other
    }

    pub fn expose(&self) -> &str {
        self.url.expose()
    }

    /// The URL as PostgreSQL's own tools may see it on a command line, and the password they get another way.
    pub fn without_password(&self) -> (String, String) {
        let text = self.url.expose();
        let password = String::from_utf8_lossy(self.password()).into_owned();
        match credentials(text) {
            Some((scheme, user, rest)) => (format!("{scheme}://{user}@{rest}"), password),
            None => (text.to_owned(), password),
        }
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

/// The URL with its password hidden, for logs.
fn masked(text: &str) -> String {
    match credentials(text) {
        Some((_, user, _)) => with_credentials(text, user, "****"),
        None => text.to_owned(),
    }
}

/// What is before, in and after the `user:password` part; the password may hold anything but a bare `@`.
fn credentials(text: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let at = rest[..authority].rfind('@')?;
    let user = rest[..at].split(':').next().unwrap_or_default();
    Some((scheme, user, &rest[at + 1..]))
}

/// `user` and `password` are ours or were in a URL already: nothing in them needs escaping.
fn with_credentials(text: &str, user: &str, password: &str) -> String {
    match credentials(text) {
        Some((scheme, _, rest)) => format!("{scheme}://{user}:{password}@{rest}"),
        None => match text.split_once("://") {
            Some((scheme, rest)) => format!("{scheme}://{user}:{password}@{rest}"),
            None => text.to_owned(),
        },
    }
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
