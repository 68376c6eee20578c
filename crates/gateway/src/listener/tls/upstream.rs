//! How we speak TLS to servers: whom we trust, what we show, whose certificate we insist on.

use super::{certified, client_auth::authorities, file_or_text};
use crate::model::{self, ServersTransport};
use aws_lc_rs::digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::{fmt::Write as _, sync::Arc};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// What a transport, or an authentication server's `tls`, says about TLS. Files are read in, so that a changed file is
/// another value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub skip_verify: bool,
    /// PEM texts; empty trusts the web's roots.
    pub roots: Vec<String>,
    /// Chains and keys, PEM.
    pub identities: Vec<(String, String)>,
    pub peer_uri: Option<String>,
}

impl Wish {
    /// # Errors
    /// A file that cannot be read.
    pub fn of_transport(config: &ServersTransport) -> Result<Self, String> {
        Ok(Self {
            skip_verify: config.insecure_skip_verify == Some(true),
            roots: texts(config.root_cas.as_deref().unwrap_or_default())
                .map_err(|error| format!("rootCAs: {error}"))?,
            identities: config
                .certificates
                .iter()
                .flatten()
                .map(pair)
                .collect::<Result<_, _>>()?,
            peer_uri: config.peer_cert_uri.clone().filter(|uri| !uri.is_empty()),
        })
    }

    /// Trusts these authorities (PEM files or texts), the web's where there are none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn trusting(roots: &[String]) -> Result<Self, String> {
        Ok(Self {
            roots: texts(roots)?,
            ..Self::default()
        })
    }

    /// # Errors
    /// A file that cannot be read, a certificate without its key.
    pub fn of_client(config: &model::ClientTls) -> Result<Self, String> {
        let ca = config.ca.clone().filter(|ca| !ca.is_empty());
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let identities = match (given(&config.cert), given(&config.key)) {
            (None, None) => Vec::new(),
            (Some(cert), Some(key)) => vec![pair(&model::Certificate {
                cert_file: Some(cert),
                key_file: Some(key),
                stores: None,
            })?],
            _ => return Err("tls: cert and key go together".into()),
        };
        Ok(Self {
            skip_verify: config.insecure_skip_verify == Some(true),
            roots: texts(ca.as_slice()).map_err(|error| format!("tls.ca: {error}"))?,
            identities,
            peer_uri: None,
        })
    }

    /// What tells it from others, without the secrets in it.
    pub fn key(&self) -> String {
        let whole = format!("{self:?}");
        let sum = digest::digest(&digest::SHA256, whole.as_bytes());
        sum.as_ref().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// # Errors
    /// What was read is no certificate or no key.
    pub fn build(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(provider::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(&provider)?);
        if self.identities.is_empty() {
            return Ok(Arc::new(builder.with_no_client_auth()));
        }
        let identities = self.identities.iter();
        let identities = identities.map(|(chain, key)| {
            certified(chain.as_bytes(), key.as_bytes()).map_err(|error| format!("certificates: {error}"))
        });
        let shown = Shown(identities.collect::<Result<_, _>>()?);
        Ok(Arc::new(builder.with_client_cert_resolver(Arc::new(shown))))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
        if self.skip_verify && self.peer_uri.is_none() {
            return Ok(Arc::new(Unverified(provider.clone())));
        }
        let roots = if self.roots.is_empty() {
            RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            }
        } else {
            authorities(&self.roots).map_err(|error| format!("rootCAs: {error}"))?
        };
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(match &self.peer_uri {
            None => inner,
            Some(uri) => Arc::new(ByUri {
                inner,
                uri: uri.clone(),
                any_name: self.skip_verify,
            }),
        })
    }
}

fn texts(files: &[String]) -> Result<Vec<String>, String> {
    let text = |file: &String| String::from_utf8(file_or_text(file)?).map_err(|_| format!("'{file}' is no PEM text"));
    files.iter().map(text).collect()
}

fn pair(certificate: &model::Certificate) -> Result<(String, String), String> {
    let one = |given: &Option<String>| {
        let given = given.as_deref().unwrap_or_default();
        String::from_utf8(file_or_text(given)?).map_err(|_| format!("'{given}' is no PEM text"))
    };
    Ok((one(&certificate.cert_file)?, one(&certificate.key_file)?))
}

/// We show the first certificate whose key the server can check.
#[derive(Debug)]
struct Shown(Vec<Arc<CertifiedKey>>);

impl rustls::client::ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let usable = |identity: &&Arc<CertifiedKey>| identity.key.choose_scheme(schemes).is_some();
        self.0.iter().find(usable).cloned()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A chain of trust, and a URI in the certificate (`peerCertURI`, a SPIFFE identity). With `insecureSkipVerify` the host's name
/// does not matter; the chain does.
#[derive(Debug)]
struct ByUri {
    inner: Arc<WebPkiServerVerifier>,
    uri: String,
    any_name: bool,
}

impl ServerCertVerifier for ByUri {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.inner.verify_server_cert(end, chain, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        if uris(end).contains(&self.uri) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn uris(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        })
        .collect()
}

/// `insecureSkipVerify: true`, asked for by the operator.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
