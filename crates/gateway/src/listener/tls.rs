//! TLS: certificates by server name, options by host, and the certificate made here when none is configured.

use crate::model;
use foundation::Error;
use rustls::{
    ServerConfig,
    client::verify_server_name,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use std::{collections::HashMap, fs, io, path::Path, sync::Arc};

/// The certificates of one snapshot.
#[derive(Debug)]
pub struct Certificates {
    all: Vec<(CertificateDer<'static>, Arc<CertifiedKey>)>,
    default: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name.to_owned()).ok());
        let fits = |certificate: &CertificateDer<'static>, name: &ServerName<'_>| {
            ParsedCertificate::try_from(certificate).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
        };
        let found = wanted.and_then(|name| self.all.iter().find(|(certificate, _)| fits(certificate, &name)));
        Some(found.map_or_else(|| self.default.clone(), |(_, key)| key.clone()))
    }
}

impl Certificates {
    pub fn only(default: Arc<CertifiedKey>) -> Self {
        Self {
            all: Vec::new(),
            default,
        }
    }

    /// Adds a certificate from files (or PEM texts).
    ///
    /// # Errors
    /// What cannot be read, with its name.
    pub fn add(&mut self, certificate: &model::Certificate, is_default: bool) -> Result<(), String> {
        let chain_text = file_or_text(certificate.cert_file.as_deref().unwrap_or_default())?;
        let key_text = file_or_text(certificate.key_file.as_deref().unwrap_or_default())?;
        let (first, key) = certified(&chain_text, &key_text)?;
        if is_default {
            self.default = key.clone();
        }
        self.all.push((first, key));
        Ok(())
    }
}

fn file_or_text(given: &str) -> Result<Vec<u8>, String> {
    if given.contains("-----BEGIN") {
        return Ok(given.as_bytes().to_vec());
    }
    fs::read(given).map_err(|error| format!("'{given}': {error}"))
}

fn certified(chain: &[u8], key: &[u8]) -> Result<(CertificateDer<'static>, Arc<CertifiedKey>), String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let first = chain
        .first()
        .cloned()
        .ok_or("the certificate file holds no certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key cannot be read: {error}"))?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|error| format!("the key cannot be used: {error}"))?;
    Ok((first, Arc::new(CertifiedKey::new(chain, key))))
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
        return certified(&chain, &key)
            .map(|(_, key)| key)
            .map_err(|error| failed("reading", error));
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
    certified(chain.as_bytes(), key.as_bytes())
        .map(|(_, key)| key)
        .map_err(|error| failed("using", error))
}

fn keep(dir: &Path, chain: &str, key: &str) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    fs::create_dir_all(dir)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(dir.join("generated.key"))?.write_all(key.as_bytes())?;
    fs::write(dir.join("generated.crt"), chain)
}

/// The server configurations of one snapshot: by host of a router with options of its own, else the default options'.
pub struct Table {
    default: Arc<ServerConfig>,
    by_host: HashMap<String, (Arc<str>, Arc<ServerConfig>)>,
    /// Clients that name no server, or an unknown one, are refused.
    strict: bool,
}

impl Table {
    pub fn new(default: Arc<ServerConfig>, strict: bool) -> Self {
        Self {
            default,
            by_host: HashMap::new(),
            strict,
        }
    }

    pub fn insert(&mut self, host: String, options: Arc<str>, config: Arc<ServerConfig>) {
        self.by_host.insert(host, (options, config));
    }

    pub fn choose(&self, name: Option<&str>) -> Option<Arc<ServerConfig>> {
        let known = name.and_then(|name| self.by_host.get(&name.to_ascii_lowercase()));
        match known {
            Some((_, config)) => Some(config.clone()),
            None if self.strict && name.is_none() => None,
            None => Some(self.default.clone()),
        }
    }

    /// The name of the options a host's connections must have been made with.
    pub fn options(&self, host: &str) -> &str {
        self.by_host.get(host).map_or("default", |(name, _)| name)
    }
}

/// # Errors
/// An option that cannot be met, by name.
pub fn server_config(options: &model::TlsOptions, certificates: Arc<Certificates>) -> Result<ServerConfig, String> {
    let level = |name: &str| match name {
        "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" => Ok(12),
        "VersionTLS13" => Ok(13),
        other => Err(format!("unknown TLS version '{other}'")),
    };
    let least = level(options.min_version.as_deref().unwrap_or_default())?;
    let most = options.max_version.as_deref().map_or(Ok(13), level)?;
    let versions: &[&rustls::SupportedProtocolVersion] = match (least, most) {
        (12, 13) => &[&rustls::version::TLS13, &rustls::version::TLS12],
        (13, 13) => &[&rustls::version::TLS13],
        (12, 12) => &[&rustls::version::TLS12],
        _ => return Err("minVersion is above maxVersion".into()),
    };
    if options
        .client_auth
        .as_ref()
        .is_some_and(|auth| auth.ca_files.is_some() || auth.client_auth_type.is_some())
    {
        return Err("clientAuth is not supported yet".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificates);
    config.alpn_protocols = match &options.alpn_protocols {
        Some(names) => names
            .iter()
            .filter(|name| *name != "acme-tls/1")
            .map(|name| name.clone().into_bytes())
            .collect(),
        None => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// How we speak TLS to servers: the web's roots, or whatever they show.
pub fn client_config(verify: bool) -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3");
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    if !verify {
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(Unverified(provider)));
    }
    Arc::new(config)
}

/// `insecureSkipVerify: true`, asked for by the operator.
#[derive(Debug)]
struct Unverified(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
