//! The certificates of one snapshot by the names they are for, and the one made here when none is configured.

use super::file_or_text;
use crate::model;
use foundation::Error;
use rustls::{server::ClientHello, server::ResolvesServerCert, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    net::IpAddr,
    path::Path,
    sync::Arc,
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

#[derive(Debug)]
pub struct Certificates {
    /// By name in lower case, `*.` for wildcards; with the end of validity, in Unix seconds.
    by_name: HashMap<String, (i64, Arc<CertifiedKey>)>,
    /// Names the operator gave certificates for; the others' were issued to us.
    given: HashSet<String>,
    facts: Vec<Facts>,
    default: Arc<CertifiedKey>,
}

impl Certificates {
    pub fn only(default: Arc<CertifiedKey>) -> Self {
        Self {
            by_name: HashMap::new(),
            given: HashSet::new(),
            facts: Vec::new(),
            default,
        }
    }

    /// Adds a certificate from files (or PEM texts). Of two for one name the one that lasts longer is shown.
    ///
    /// # Errors
    /// What cannot be read, with its name.
    pub fn add(&mut self, certificate: &model::Certificate, is_default: bool) -> Result<(), String> {
        let chain = file_or_text(certificate.cert_file.as_deref().unwrap_or_default())?;
        let key = file_or_text(certificate.key_file.as_deref().unwrap_or_default())?;
        let key = certified(&chain, &key)?;
        let facts = Facts::read(&key.cert[0])?;
        if is_default {
            self.default = key.clone();
        }
        self.given.extend(facts.names.iter().cloned());
        self.insert(facts, &key);
        Ok(())
    }

    /// Adds a certificate a resolver got.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn add_issued(&mut self, certificate: &model::Certificate) -> Result<(), String> {
        let text = |given: &Option<String>| given.clone().unwrap_or_default();
        let key = certified(
            text(&certificate.cert_file).as_bytes(),
            text(&certificate.key_file).as_bytes(),
        )?;
        self.insert(Facts::read(&key.cert[0])?, &key);
        Ok(())
    }

    /// Whether the operator gave a certificate for this name.
    pub fn given(&self, name: &str) -> bool {
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.given.contains(name) || wildcard.is_some_and(|wildcard| self.given.contains(&wildcard))
    }

    /// What every certificate that was added says of itself.
    pub fn facts(&self) -> &[Facts] {
        &self.facts
    }

    fn insert(&mut self, facts: Facts, key: &Arc<CertifiedKey>) {
        self.facts.push(facts.clone());
        for name in facts.names {
            let known = self.by_name.get(&name);
            if known.is_none_or(|(until, _)| *until < facts.not_after) {
                self.by_name.insert(name, (facts.not_after, key.clone()));
            }
        }
    }

    pub fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let found = self.by_name.get(&name).or_else(|| {
            let (_, rest) = name.split_once('.')?;
            self.by_name.get(&format!("*.{rest}"))
        });
        found.map(|(_, key)| key)
    }

    /// What clients get whose name nobody has a certificate for.
    pub fn make_default(&mut self, name: &str) {
        if let Some(key) = self.find(name).cloned() {
            self.default = key;
        }
    }
}

/// Certificates as one set of options shows them.
#[derive(Debug)]
pub struct Showing {
    pub certificates: Arc<Certificates>,
    /// Clients that name no server, or one without a certificate, are refused.
    pub strict: bool,
}

impl ResolvesServerCert for Showing {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.certificates.find(name));
        match found {
            Some(key) => Some(key.clone()),
            None if self.strict => None,
            None => Some(self.certificates.default.clone()),
        }
    }
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// DNS names in lower case and addresses; the common name where there are neither.
    pub names: Vec<String>,
    pub common_name: String,
    /// In decimal, as Go writes it.
    pub serial: String,
    /// Unix seconds.
    pub not_after: i64,
}

impl Facts {
    /// # Errors
    /// It is no X.509 certificate.
    pub fn read(certificate: &[u8]) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| format!("the certificate cannot be read: {error}"))?;
        let mut names = alternative_names(&parsed);
        let common = parsed.subject().iter_common_name().next();
        let common_name = common
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned();
        if names.is_empty() && !common_name.is_empty() {
            names.push(common_name.to_ascii_lowercase());
        }
        Ok(Self {
            names,
            common_name,
            serial: parsed.tbs_certificate.serial.to_string(),
            not_after: parsed.validity().not_after.timestamp(),
        })
    }
}

fn alternative_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(text).collect()
}

/// An address as certificates hold it: four bytes or sixteen.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(bytes));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// A chain and its key, from PEM.
///
/// # Errors
/// What cannot be read, or that they do not belong together.
pub fn certified(chain: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    if chain.is_empty() {
        return Err("the certificate file holds no certificate".into());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key cannot be read: {error}"))?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|error| format!("the key cannot be used: {error}"))?;
    let both = CertifiedKey::new(chain, key);
    match both.keys_match() {
        // Keys that do not tell their public half cannot be compared.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(Arc::new(both)),
        Err(_) => Err("the key does not belong to the certificate".into()),
    }
}

/// The certificate for those who configured none: made once, kept in `dir` if there is one.
///
/// # Errors
/// The directory cannot be written, or what lies in it is no certificate.
pub fn generated(dir: Option<&Path>, names: &[String]) -> Result<Arc<CertifiedKey>, Error> {
    let failed = |what: &str, error: String| Error::internal(format!("the generated certificate: {what}"), error);
    if let Some(dir) = dir
        && let (Ok(chain), Ok(key)) = (fs::read(dir.join("generated.crt")), fs::read(dir.join("generated.key")))
    {
        return certified(&chain, &key).map_err(|error| failed("reading", error));
    }
    let mut names = names.to_vec();
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]);
    names.sort();
    names.dedup();
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| failed("making", error.to_string()))?;
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    if let Some(dir) = dir {
        keep(dir, &chain, &key).map_err(|error| failed("writing", error.to_string()))?;
    }
    certified(chain.as_bytes(), key.as_bytes()).map_err(|error| failed("using", error))
}

fn keep(dir: &Path, chain: &str, key: &str) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    fs::create_dir_all(dir)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(dir.join("generated.key"))?.write_all(key.as_bytes())?;
    fs::write(dir.join("generated.crt"), chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(names: &[&str]) -> model::Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        model::Certificate {
            cert_file: Some(made.cert.pem()),
            key_file: Some(made.signing_key.serialize_pem()),
            stores: None,
        }
    }

    #[test]
    fn names_find_their_certificate_exactly_then_by_wildcard() {
        let mut all = Certificates::only(generated(None, &[]).expect("one"));
        all.add(&pair(&["*.a.test", "a.test"]), false).expect("fine");
        all.add(&pair(&["x.a.test"]), false).expect("fine");
        let found = |name: &str| {
            all.find(name)
                .map(|key| Facts::read(&key.cert[0]).expect("facts").names)
        };
        assert_eq!(found("X.a.test"), Some(vec!["x.a.test".to_owned()]));
        assert_eq!(
            found("y.a.test"),
            Some(vec!["*.a.test".to_owned(), "a.test".to_owned()])
        );
        assert_eq!(found("y.x.a.test"), None);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let mut mixed = pair(&["a.test"]);
        mixed.key_file = pair(&["a.test"]).key_file;
        let mut all = Certificates::only(generated(None, &[]).expect("one"));
        let refused = all.add(&mixed, false).expect_err("mixed");
        assert!(refused.contains("does not belong"), "{refused}");
    }
}
