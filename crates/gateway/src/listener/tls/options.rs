//! TLS options of the dynamic configuration to a server configuration. Names are Go's, as Traefik has them; what this library
//! does not offer is refused by name, because passing it over would leave clients out, or in, that nobody expects.

use super::{
    certificates::{Certificates, Showing},
    client_auth,
};
use crate::model;
use rustls::{
    CipherSuite, ServerConfig,
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs},
    server::NoServerSessionStorage,
};
use std::sync::Arc;

/// # Errors
/// An option that cannot be met, by name.
pub fn server_config(options: &model::TlsOptions, certificates: Arc<Certificates>) -> Result<ServerConfig, String> {
    let (mut provider, with_12) = suites(options.cipher_suites.as_deref().unwrap_or_default())?;
    let curves = options.curve_preferences.as_deref().unwrap_or_default();
    if !curves.is_empty() {
        provider.kx_groups = curves.iter().map(|name| curve(name)).collect::<Result<_, _>>()?;
    }
    let provider = Arc::new(provider);
    let verifier = client_auth::verifier(options.client_auth.as_ref(), &provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(options, with_12)?)
        .map_err(|error| error.to_string())?;
    let showing = Showing {
        certificates,
        strict: options.sni_strict == Some(true),
    };
    let mut config = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(Arc::new(showing));
    config.alpn_protocols = match &options.alpn_protocols {
        Some(names) => alpn(names)?,
        None => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    if options.disable_session_tickets == Some(true) {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

fn versions(
    options: &model::TlsOptions,
    with_12: bool,
) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, String> {
    let least = match options.min_version.as_deref().unwrap_or_default() {
        "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" => 12,
        "VersionTLS13" => 13,
        other => return Err(format!("minVersion: unknown TLS version '{other}'")),
    };
    let most = match options.max_version.as_deref().unwrap_or_default() {
        "" | "VersionTLS13" => 13,
        "VersionTLS12" => 12,
        old @ ("VersionTLS10" | "VersionTLS11") => {
            return Err(format!(
                "maxVersion: {old} is broken and not spoken here; VersionTLS12 is the least"
            ));
        }
        other => return Err(format!("maxVersion: unknown TLS version '{other}'")),
    };
    match (least, most) {
        (12, 13) if with_12 => Ok(vec![&rustls::version::TLS13, &rustls::version::TLS12]),
        (12 | 13, 13) => Ok(vec![&rustls::version::TLS13]),
        (12, 12) if with_12 => Ok(vec![&rustls::version::TLS12]),
        (12, 12) => Err("cipherSuites names none of TLS 1.2, and maxVersion allows no other".into()),
        _ => Err("minVersion is above maxVersion".into()),
    }
}

/// The suites of TLS 1.2 can be chosen; those of TLS 1.3 are all good and always offered, as in Go. Says whether any of
/// TLS 1.2 is left.
fn suites(names: &[String]) -> Result<(CryptoProvider, bool), String> {
    let mut provider = aws_lc_rs::default_provider();
    if names.is_empty() {
        return Ok((provider, true));
    }
    let wanted: Vec<CipherSuite> = names.iter().map(|name| suite(name)).collect::<Result<_, _>>()?;
    provider
        .cipher_suites
        .retain(|known| known.tls13().is_some() || wanted.contains(&known.suite()));
    let with_12 = provider.cipher_suites.iter().any(|known| known.tls13().is_none());
    Ok((provider, with_12))
}

fn suite(name: &str) -> Result<CipherSuite, String> {
    Ok(match name {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_AES_128_GCM_SHA256" => CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_256_GCM_SHA384" => CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_CHACHA20_POLY1305_SHA256" => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        old if old.starts_with("TLS_")
            && (old.contains("_CBC_") || old.contains("_RC4_") || old.starts_with("TLS_RSA_")) =>
        {
            return Err(format!(
                "cipherSuites: {old} is not offered: only suites with forward secrecy and authenticated encryption are"
            ));
        }
        other => return Err(format!("cipherSuites: there is no suite '{other}'")),
    })
}

fn curve(name: &str) -> Result<&'static dyn SupportedKxGroup, String> {
    Ok(match name {
        "CurveP256" | "secp256r1" => aws_lc_rs::kx_group::SECP256R1,
        "CurveP384" | "secp384r1" => aws_lc_rs::kx_group::SECP384R1,
        "X25519" | "x25519" => aws_lc_rs::kx_group::X25519,
        "X25519MLKEM768" | "x25519mlkem768" => aws_lc_rs::kx_group::X25519MLKEM768,
        "CurveP521" | "secp521r1" => {
            return Err(format!(
                "curvePreferences: {name} is not offered; there are CurveP256, CurveP384, X25519 and X25519MLKEM768"
            ));
        }
        other => return Err(format!("curvePreferences: there is no curve '{other}'")),
    })
}

fn alpn(names: &[String]) -> Result<Vec<Vec<u8>>, String> {
    // Challenges of certificate authorities are answered before options are looked at.
    let spoken = names.iter().filter(|name| *name != "acme-tls/1");
    spoken
        .map(|name| match name.as_str() {
            "h2" | "http/1.1" | "http/1.0" => Ok(name.clone().into_bytes()),
            other => Err(format!(
                "alpnProtocols: '{other}' is not spoken here; there are h2 and http/1.1"
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::tls::generated;

    fn built(options: &model::TlsOptions) -> Result<ServerConfig, String> {
        let default = generated(None, &[]).expect("a certificate");
        server_config(options, Arc::new(Certificates::only(default)))
    }

    fn texts(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn suites_curves_and_protocols_are_chosen_by_gos_names() {
        let config = built(&model::TlsOptions {
            cipher_suites: texts(&["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]),
            curve_preferences: texts(&["CurveP384", "X25519"]),
            alpn_protocols: texts(&["http/1.1", "acme-tls/1"]),
            ..model::TlsOptions::default()
        })
        .expect("possible");
        let provider = config.crypto_provider();
        let old: Vec<_> = provider
            .cipher_suites
            .iter()
            .filter(|suite| suite.tls13().is_none())
            .collect();
        assert_eq!(old.len(), 1);
        let groups: Vec<_> = provider.kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(groups, [rustls::NamedGroup::secp384r1, rustls::NamedGroup::X25519]);
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
    }

    #[test]
    fn what_cannot_be_met_is_refused_by_name() {
        let refused = |options: model::TlsOptions, name: &str| {
            let error = built(&options).expect_err(name);
            assert!(error.contains(name), "{error}");
        };
        let none = model::TlsOptions::default();
        let suites = |name: &str| model::TlsOptions {
            cipher_suites: texts(&[name]),
            ..model::TlsOptions::default()
        };
        refused(suites("TLS_RSA_WITH_AES_128_CBC_SHA"), "TLS_RSA_WITH_AES_128_CBC_SHA");
        refused(suites("TLS_ECDHE_NOPE"), "TLS_ECDHE_NOPE");
        refused(
            model::TlsOptions {
                curve_preferences: texts(&["CurveP521"]),
                ..none.clone()
            },
            "CurveP521",
        );
        refused(
            model::TlsOptions {
                max_version: Some("VersionTLS11".into()),
                ..none.clone()
            },
            "VersionTLS11",
        );
        refused(
            model::TlsOptions {
                min_version: Some("TLS12".into()),
                ..none.clone()
            },
            "TLS12",
        );
        let both = model::TlsOptions {
            min_version: Some("VersionTLS13".into()),
            max_version: Some("VersionTLS12".into()),
            ..none.clone()
        };
        refused(both, "above");
        let auth = |kind: &str| model::TlsOptions {
            client_auth: Some(model::ClientAuth {
                ca_files: None,
                client_auth_type: Some(kind.into()),
            }),
            ..model::TlsOptions::default()
        };
        refused(auth("RequireAndVerifyClientCert"), "caFiles");
        refused(auth("Perhaps"), "Perhaps");
    }
}
