//! passTLSClientCert: tells the server which certificate the client showed, in Traefik's two headers. Untrusted clients cannot
//! write them: everything `X-Forwarded-*` of theirs is dropped on entry.

use super::Flow;
use crate::{
    exchange::Exchange,
    listener::tls::certificates::address,
    model::middleware::{ClientCertInfo, DistinguishedName, PassTlsClientCert},
};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Request};
use rustls_pki_types::CertificateDer;
use std::fmt::Write as _;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    oid_registry::{self, Oid},
    prelude::FromDer,
    x509::X509Name,
};

const CERT: HeaderName = HeaderName::from_static("x-forwarded-tls-client-cert");
const INFO: HeaderName = HeaderName::from_static("x-forwarded-tls-client-cert-info");

pub fn request(options: &PassTlsClientCert, request: &mut Request<Body>, exchange: &Exchange) -> Flow {
    let chain = &exchange.peer.certificates;
    if chain.is_empty() {
        return Flow::On;
    }
    let mut set = |name: HeaderName, value: String| {
        // Base64 and percent-codes always make a header value.
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers_mut().insert(name, value);
        }
    };
    if options.pem == Some(true) {
        let all: Vec<String> = chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
        set(CERT, all.join(","));
    }
    if let Some(info) = &options.info {
        let all: Vec<String> = chain.iter().map(|certificate| described(info, certificate)).collect();
        set(INFO, escaped(&all.join(",")));
    }
    Flow::On
}

fn described(info: &ClientCertInfo, certificate: &CertificateDer<'_>) -> String {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return String::new();
    };
    let mut parts = Vec::new();
    let mut named = |label: &str, options: Option<&DistinguishedName>, name: &X509Name<'_>, unit: bool| {
        let text = options
            .map(|options| distinguished(options, name, unit))
            .unwrap_or_default();
        if !text.is_empty() {
            parts.push(format!("{label}=\"{text}\""));
        }
    };
    named("Subject", info.subject.as_ref(), parsed.subject(), true);
    named("Issuer", info.issuer.as_ref(), parsed.issuer(), false);
    if info.serial_number == Some(true) {
        parts.push(format!("SerialNumber=\"{}\"", parsed.tbs_certificate.serial));
    }
    if info.not_before == Some(true) {
        parts.push(format!("NB=\"{}\"", parsed.validity().not_before.timestamp()));
    }
    if info.not_after == Some(true) {
        parts.push(format!("NA=\"{}\"", parsed.validity().not_after.timestamp()));
    }
    if info.sans == Some(true) {
        let names = alternative_names(&parsed);
        if !names.is_empty() {
            parts.push(format!("SAN=\"{}\"", names.join(",")));
        }
    }
    parts.join(";")
}

/// Domain components in the order of the certificate, then the rest in Traefik's order; several values of one kind each.
fn distinguished(options: &DistinguishedName, name: &X509Name<'_>, unit: bool) -> String {
    let kinds: [(Option<bool>, &str, Oid<'static>); 8] = [
        (options.domain_component, "DC", oid_registry::OID_DOMAIN_COMPONENT),
        (options.country, "C", oid_registry::OID_X509_COUNTRY_NAME),
        (options.province, "ST", oid_registry::OID_X509_STATE_OR_PROVINCE_NAME),
        (options.locality, "L", oid_registry::OID_X509_LOCALITY_NAME),
        (options.organization, "O", oid_registry::OID_X509_ORGANIZATION_NAME),
        (
            options.organizational_unit.filter(|_| unit),
            "OU",
            oid_registry::OID_X509_ORGANIZATIONAL_UNIT,
        ),
        (options.serial_number, "SN", oid_registry::OID_X509_SERIALNUMBER),
        (options.common_name, "CN", oid_registry::OID_X509_COMMON_NAME),
    ];
    let mut parts = Vec::new();
    for (wanted, label, oid) in kinds {
        if wanted != Some(true) {
            continue;
        }
        let values = name.iter_by_oid(&oid).filter_map(|attribute| attribute.as_str().ok());
        parts.extend(values.map(|value| format!("{label}={value}")));
    }
    parts.join(",")
}

/// Names, e-mail addresses, IP addresses, URIs, as Go sorts them.
fn alternative_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let mut found: Vec<(u8, String)> = Vec::new();
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => found.push((0, (*name).to_owned())),
            GeneralName::RFC822Name(mail) => found.push((1, (*mail).to_owned())),
            GeneralName::IPAddress(bytes) => found.extend(address(bytes).map(|address| (2, address.to_string()))),
            GeneralName::URI(uri) => found.push((3, (*uri).to_owned())),
            _ => {}
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Go's `url.QueryEscape`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};

    #[test]
    fn a_certificate_is_described_as_traefik_does() {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).expect("names");
        params
            .subject_alt_names
            .push(SanType::IpAddress("10.0.1.2".parse().expect("an address")));
        params
            .subject_alt_names
            .push(SanType::Rfc822Name("me@a.test".try_into().expect("ASCII")));
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in [
            (DnType::CommonName, "*.example.com"),
            (DnType::OrganizationName, "Cheese & Co"),
            (DnType::CountryName, "FR"),
        ] {
            params.distinguished_name.push(kind, value);
        }
        params.serial_number = Some(SerialNumber::from(513_u64));
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = rcgen::date_time_ymd(2034, 1, 1);
        let made = params
            .self_signed(&KeyPair::generate().expect("a key"))
            .expect("a certificate");
        let name = DistinguishedName {
            country: Some(true),
            organization: Some(true),
            common_name: Some(true),
            ..DistinguishedName::default()
        };
        let info = ClientCertInfo {
            subject: Some(name),
            serial_number: Some(true),
            not_before: Some(true),
            not_after: Some(true),
            sans: Some(true),
            issuer: None,
        };
        let expected = "Subject=\"C=FR,O=Cheese & Co,CN=*.example.com\";SerialNumber=\"513\";NB=\"1704067200\";\
                        NA=\"2019686400\";SAN=\"a.test,me@a.test,10.0.1.2\"";
        assert_eq!(described(&info, made.der()), expected);
        assert_eq!(escaped("C=FR,O=Cheese & Co"), "C%3DFR%2CO%3DCheese+%26+Co");
    }
}
