//! TLS at the listener: which configuration a handshake gets, by the server name the client asks for.

pub mod certificates;
mod client_auth;
mod options;
pub mod upstream;

pub use certificates::{Certificates, certified, generated};
pub use options::server_config;
use rustls::ServerConfig;
use std::{collections::HashMap, sync::Arc};

/// The server configurations of one snapshot: by host of a router with options of its own, else the default options'.
pub struct Table {
    default: Option<Arc<ServerConfig>>,
    by_host: HashMap<String, (Arc<str>, Option<Arc<ServerConfig>>)>,
}

impl Table {
    /// `None` stands for options that cannot be met: their handshakes are refused.
    pub fn new(default: Option<Arc<ServerConfig>>) -> Self {
        Self {
            default,
            by_host: HashMap::new(),
        }
    }

    pub fn insert(&mut self, host: String, options: Arc<str>, config: Option<Arc<ServerConfig>>) {
        self.by_host.insert(host, (options, config));
    }

    pub fn choose(&self, name: Option<&str>) -> Option<Arc<ServerConfig>> {
        match name.and_then(|name| self.find(&name.to_ascii_lowercase())) {
            Some((_, config)) => config.clone(),
            None => self.default.clone(),
        }
    }

    /// The name of the options a host's connections must have been made with.
    pub fn options(&self, host: &str) -> &str {
        self.find(host).map_or("default", |(name, _)| name)
    }

    fn find(&self, host: &str) -> Option<&(Arc<str>, Option<Arc<ServerConfig>>)> {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.by_host.get(host).or_else(|| {
            let (_, rest) = host.split_once('.')?;
            self.by_host.get(&format!("*.{rest}"))
        })
    }
}

/// Reads a PEM text, or the file of that name.
///
/// # Errors
/// The file cannot be read.
pub fn file_or_text(given: &str) -> Result<Vec<u8>, String> {
    if given.contains("-----BEGIN") {
        return Ok(given.as_bytes().to_vec());
    }
    std::fs::read(given).map_err(|error| format!("'{given}': {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_find_their_options_exactly_then_by_wildcard() {
        let mut table = Table::new(None);
        table.insert("a.test".into(), "one@file".into(), None);
        table.insert("*.b.test".into(), "two@file".into(), None);
        let check = |host: &str, expected: &str| assert_eq!(table.options(host), expected, "{host}");
        check("a.test", "one@file");
        check("a.test.", "one@file");
        check("x.b.test", "two@file");
        check("b.test", "default");
        check("x.y.b.test", "default");
        check("", "default");
    }
}
