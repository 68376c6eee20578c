//! Certificate resolvers: from whom certificates come, how names are proven, where what was issued is kept.

use std::{path::PathBuf, time::Duration};

pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

#[derive(Clone, Debug)]
pub struct Resolver {
    pub name: String,
    pub email: String,
    /// The URL of the authority's directory.
    pub server: String,
    pub storage: Storage,
    pub key_type: KeyType,
    /// Key identifier and HMAC key (base64url) of an account the operator has with the authority.
    pub external: Option<External>,
    /// The common name of an issuer; empty takes the authority's usual chain.
    pub preferred_chain: String,
    pub profile: String,
    /// Whom to trust as the authority's server: PEM files or texts; none are the web's roots.
    pub authorities: Vec<String>,
    pub server_name: Option<String>,
    /// How long certificates last, where the operator says so.
    pub duration_hours: Option<u64>,
    pub challenge: Challenge,
}

#[derive(Clone)]
pub struct External {
    pub kid: String,
    pub hmac: String,
}

impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kid)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Traefik's `acme.json`.
    File(PathBuf),
    /// A set of this name in the gateway's database.
    Postgres(String),
}

impl Storage {
    /// `postgres`, `postgres:NAME`, or a path; nothing is the database where there is one, else Traefik's default.
    pub fn parse(text: &str, has_database: bool) -> Self {
        match text {
            "" if has_database => Self::Postgres("default".into()),
            "" => Self::File("acme.json".into()),
            "postgres" => Self::Postgres("default".into()),
            text => match text.strip_prefix("postgres:") {
                Some(name) if !name.starts_with('/') => Self::Postgres(name.into()),
                _ => Self::File(text.into()),
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    Ec256,
    Ec384,
    Rsa2048,
    Rsa4096,
}

impl KeyType {
    /// # Errors
    /// There is no such type here.
    pub fn parse(name: &str) -> Result<Self, String> {
        match name.to_ascii_uppercase().as_str() {
            "EC256" => Ok(Self::Ec256),
            "EC384" => Ok(Self::Ec384),
            "RSA2048" => Ok(Self::Rsa2048),
            "" | "RSA4096" => Ok(Self::Rsa4096),
            _ => Err(format!(
                "keyType: there is no '{name}'; there are EC256, EC384, RSA2048 and RSA4096"
            )),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Challenge {
    /// On this entrypoint, which must be reachable on port 80.
    Http {
        entry_point: String,
    },
    TlsAlpn,
    Dns(DnsChallenge),
}

#[derive(Clone, Debug)]
pub struct DnsChallenge {
    pub provider: String,
    /// `host:port` of name servers asked whether a record is to be seen.
    pub resolvers: Vec<String>,
    pub delay: Duration,
    pub check: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_a_file_unless_it_says_postgres() {
        let check =
            |text: &str, database: bool, expected: Storage| assert_eq!(Storage::parse(text, database), expected);
        check("", false, Storage::File("acme.json".into()));
        check("", true, Storage::Postgres("default".into()));
        check("/data/acme.json", true, Storage::File("/data/acme.json".into()));
        check("postgres", false, Storage::Postgres("default".into()));
        check("postgres:edge", true, Storage::Postgres("edge".into()));
    }
}
