//! Proofs that are waiting to be looked at: tokens for HTTP-01, digests for TLS-ALPN-01. With a database every copy of the
//! gateway can answer for every other.

use super::store::Postgres;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    ServerConfig,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Where authorities look for tokens (RFC 8555 section 8.3).
pub const PATH: &str = "/.well-known/acme-challenge/";
/// The protocol authorities ask for to see a proof (RFC 8737).
pub const ALPN: &[u8] = b"acme-tls/1";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Http,
    Alpn,
}

impl Kind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::Alpn => "tls-alpn-01",
        }
    }
}

/// What proves one name.
pub struct Proof {
    pub name: String,
    pub token: String,
    /// The token and the account's thumbprint.
    pub authorized: String,
    /// SHA-256 of it, base64url.
    pub digest: String,
    /// Of DNS-01: the record it goes into, with the final dot. Looked up once, so that what was put there is what is taken away.
    pub record: String,
}

#[derive(Default)]
pub struct Challenges {
    local: Mutex<HashMap<(Kind, String), String>>,
    shared: Option<Arc<Postgres>>,
}

impl Challenges {
    pub fn shared(shared: Option<Arc<Postgres>>) -> Self {
        Self {
            local: Mutex::default(),
            shared,
        }
    }

    pub async fn present(&self, kind: Kind, proof: &Proof) -> Result<(), String> {
        let (key, value) = entry(kind, proof);
        self.local
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((kind, key.clone()), value.clone());
        match &self.shared {
            Some(database) => database.present(kind.label(), &key, &value).await,
            None => Ok(()),
        }
    }

    pub async fn take_away(&self, kind: Kind, proof: &Proof) -> Result<(), String> {
        let (key, _) = entry(kind, proof);
        self.local
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(kind, key.clone()));
        match &self.shared {
            Some(database) => database.take_away(kind.label(), &key).await,
            None => Ok(()),
        }
    }

    async fn find(&self, kind: Kind, key: &str) -> Option<String> {
        let here = self
            .local
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(kind, key.to_owned()))
            .cloned();
        match (&self.shared, here) {
            (Some(database), None) => database.presented(kind.label(), key).await,
            (_, here) => here,
        }
    }

    /// The answer for a path below [`PATH`].
    pub async fn token(&self, path: &str) -> Option<String> {
        let token = path
            .strip_prefix(PATH)
            .filter(|token| !token.is_empty() && token.len() < 256)?;
        self.find(Kind::Http, token).await
    }

    /// What a handshake for `acme-tls/1` is met with.
    pub async fn handshake(&self, name: &str) -> Option<Arc<ServerConfig>> {
        let digest = BASE64.decode(self.find(Kind::Alpn, name).await?).ok()?;
        match proving(name, &digest) {
            Ok(config) => Some(Arc::new(config)),
            Err(error) => {
                tracing::error!(domain = name, %error, "the proof for a handshake cannot be made");
                None
            }
        }
    }
}

fn entry(kind: Kind, proof: &Proof) -> (String, String) {
    match kind {
        Kind::Http => (proof.token.clone(), proof.authorized.clone()),
        Kind::Alpn => (proof.name.to_ascii_lowercase(), proof.digest.clone()),
    }
}

/// A self-signed certificate with the digest in it, and nothing else to talk about.
fn proving(name: &str, digest: &[u8]) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)?;
    let certified = CertifiedKey::new(vec![certificate.der().clone()], signing);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        // Not checked as others are: what makes it a proof is a critical extension nobody else knows.
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_proof_is_found_until_it_is_taken_away() {
        let challenges = Challenges::default();
        let proof = Proof {
            name: "A.test".into(),
            token: "token".into(),
            authorized: "token.thumb".into(),
            digest: BASE64.encode([7; 32]),
            record: String::new(),
        };
        for kind in [Kind::Http, Kind::Alpn] {
            challenges.present(kind, &proof).await.expect("presented");
        }
        let path = format!("{PATH}token");
        assert_eq!(challenges.token(&path).await.as_deref(), Some("token.thumb"));
        assert_eq!(challenges.token(PATH).await, None);
        let config = challenges.handshake("a.test").await.expect("a configuration");
        assert_eq!(config.alpn_protocols, [ALPN.to_vec()]);
        assert!(challenges.handshake("b.test").await.is_none());
        for kind in [Kind::Http, Kind::Alpn] {
            challenges.take_away(kind, &proof).await.expect("gone");
        }
        assert!(challenges.token(&path).await.is_none() && challenges.handshake("a.test").await.is_none());
    }
}
