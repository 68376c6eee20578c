//! Requests for certificates, and what issued ones say: until when, under whom, how the authority calls them.

use crate::settings::resolver::KeyType;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use foundation::{OffsetDateTime, Rfc3339};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, RsaKeySize};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer};

/// A signing request (DER) and its key (PEM). RSA keys take a while.
///
/// # Errors
/// A name no certificate can hold.
pub fn request(names: &[String], kind: KeyType) -> Result<(Vec<u8>, String), String> {
    let key = match kind {
        KeyType::Ec256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyType::Ec384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyType::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyType::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
    }
    .map_err(|error| format!("making a key: {error}"))?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(|error| error.to_string())?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(|error| error.to_string())?;
    Ok((request.der().to_vec(), key.serialize_pem()))
}

fn first(chain: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(chain.as_bytes()).next()?.ok()
}

/// From when and until when, in Unix seconds.
pub fn validity(chain: &str) -> Option<(i64, i64)> {
    let first = first(chain)?;
    let (_, parsed) = X509Certificate::from_der(&first).ok()?;
    let validity = parsed.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// Whether a certificate of the chain was issued by an authority of this common name.
pub fn issued_under(chain: &str, name: &str) -> bool {
    let all = CertificateDer::pem_slice_iter(chain.as_bytes()).filter_map(Result::ok);
    all.into_iter().any(|certificate| {
        X509Certificate::from_der(&certificate).is_ok_and(|(_, parsed)| {
            parsed
                .issuer()
                .iter_common_name()
                .any(|common| common.as_str() == Ok(name))
        })
    })
}

/// The identifier of RFC 9773 section 4.1: the issuer's key and the serial number.
pub fn identifier(chain: &str) -> Option<String> {
    let first = first(chain)?;
    let (_, parsed) = X509Certificate::from_der(&first).ok()?;
    let authority = parsed
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.as_ref(),
            _ => None,
        })?;
    Some(format!(
        "{}.{}",
        BASE64.encode(authority.0),
        BASE64.encode(parsed.raw_serial())
    ))
}

/// When to renew. A third of the lifetime before the end, as Traefik does for 90 days; where the operator said how long
/// certificates last, by Traefik's table.
pub fn renewal_time((from, until): (i64, i64), duration_hours: Option<u64>) -> i64 {
    const HOUR: i64 = 3600;
    let ahead = match duration_hours {
        None => (until - from) / 3,
        Some(hours) if hours >= 265 * 24 => 4 * 30 * 24 * HOUR,
        Some(hours) if hours >= 90 * 24 => 30 * 24 * HOUR,
        Some(hours) if hours >= 7 * 24 => 24 * HOUR,
        Some(hours) if hours >= 24 => 6 * HOUR,
        Some(_) => HOUR / 3,
    };
    until - ahead
}

/// A moment in the window the authority suggests (RFC 3339 both), the same one for the same certificate.
pub fn within(id: &str, start: &str, end: &str) -> Option<i64> {
    let parse = |text: &str| {
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .map(OffsetDateTime::unix_timestamp)
    };
    let (start, end) = (parse(start)?, parse(end)?);
    let share = id.bytes().fold(0_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 1000);
    (end > start).then(|| start + (end - start) * share / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_renewed_a_third_before_their_end() {
        let day = 86_400;
        assert_eq!(renewal_time((0, 90 * day), None), 60 * day);
        assert_eq!(renewal_time((0, 90 * day), Some(2160)), 60 * day);
        assert_eq!(renewal_time((0, 6 * day), None), 4 * day);
        assert_eq!(renewal_time((0, 7 * day), Some(168)), 6 * day);
        assert_eq!(renewal_time((0, 365 * day), Some(365 * 24)), 245 * day);
    }

    #[test]
    fn a_suggested_window_gives_one_moment_in_it() {
        let at = within("id.serial", "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z").expect("a moment");
        assert!((1_893_456_000..=1_893_542_400).contains(&at), "{at}");
        assert_eq!(
            within("id.serial", "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"),
            Some(at)
        );
        assert_eq!(within("id", "2030-01-02T00:00:00Z", "2030-01-01T00:00:00Z"), None);
        assert_eq!(within("id", "soon", "later"), None);
    }

    #[test]
    fn requests_are_made_for_every_kind_of_key() {
        for kind in [KeyType::Ec256, KeyType::Ec384, KeyType::Rsa2048] {
            let (request, key) = request(&["a.test".into(), "*.a.test".into()], kind).expect("a request");
            assert!(!request.is_empty() && key.contains("PRIVATE KEY"));
        }
    }
}
