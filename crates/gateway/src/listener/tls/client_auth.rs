//! Client certificates: asked for, demanded, verified, as the five types of Traefik's `clientAuthType` say.

use super::file_or_text;
use crate::model;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use std::sync::Arc;

/// `None` where clients are not asked.
///
/// # Errors
/// A type that does not exist, an authority that cannot be read, a demand to verify without an authority.
pub fn verifier(
    wanted: Option<&model::ClientAuth>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let Some(wanted) = wanted else { return Ok(None) };
    let files = wanted.ca_files.as_deref().unwrap_or_default();
    let kind = match wanted.client_auth_type.as_deref().unwrap_or_default() {
        "" if files.is_empty() => "NoClientCert",
        "" => "RequireAndVerifyClientCert",
        kind => kind,
    };
    let unverified = |mandatory| -> Option<Arc<dyn ClientCertVerifier>> {
        Some(Arc::new(Unverified {
            mandatory,
            provider: provider.clone(),
        }))
    };
    let verified = || {
        if files.is_empty() {
            return Err(format!(
                "clientAuth: {kind} needs caFiles, to know whose certificates are good"
            ));
        }
        let roots = Arc::new(authorities(files).map_err(|error| format!("clientAuth.caFiles: {error}"))?);
        Ok(WebPkiClientVerifier::builder_with_provider(roots, provider.clone()))
    };
    let built = match kind {
        "NoClientCert" => return Ok(None),
        "RequestClientCert" => return Ok(unverified(false)),
        "RequireAnyClientCert" => return Ok(unverified(true)),
        "VerifyClientCertIfGiven" => verified()?.allow_unauthenticated().build(),
        "RequireAndVerifyClientCert" => verified()?.build(),
        other => {
            return Err(format!(
                "clientAuth.clientAuthType: there is no type '{other}'; there are NoClientCert, RequestClientCert, \
                 RequireAnyClientCert, VerifyClientCertIfGiven and RequireAndVerifyClientCert"
            ));
        }
    };
    let verifier = built.map_err(|error| format!("clientAuth: {error}"))?;
    Ok(Some(verifier))
}

/// The certificates of several files (or PEM texts) as roots of trust.
///
/// # Errors
/// A file that cannot be read, or holds no certificate.
pub fn authorities(files: &[String]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for file in files {
        let shown = if file.contains("-----BEGIN") {
            "the PEM text"
        } else {
            file
        };
        let text = file_or_text(file)?;
        let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("'{shown}': {error}"))?;
        if found.is_empty() {
            return Err(format!("'{shown}' holds no certificate"));
        }
        for certificate in found {
            roots
                .add(certificate)
                .map_err(|error| format!("'{shown}' holds a certificate that cannot be a root of trust: {error}"))?;
        }
    }
    Ok(roots)
}

/// Whoever the client says it is, it must hold the key of what it shows.
#[derive(Debug)]
struct Unverified {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Unverified {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
