//! Headers between hops: what a client may not choose is dropped, what the next hop must know is written.

use crate::{address::X_FORWARDED_FOR, canonical};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::IpAddr;

pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub const X_FORWARDED_SERVER: HeaderName = HeaderName::from_static("x-forwarded-server");
pub const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
pub const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Written by us, never by clients, whatever their spelling.
const INTERNAL: &str = "x-portico-";

/// What says where a message ends, or whom it is for. Under another spelling it would say so to some servers behind us.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn names_the_client(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == "x-real-ip" || name == "forwarded"
}

/// Removes what this client may not say. A name with `_` is the name with `-` for many servers behind us.
pub fn drop_forged(headers: &mut HeaderMap, trusted: bool) {
    let suspicious = |name: &HeaderName| {
        let name = name.as_str();
        let first = name.as_bytes().first();
        if name.contains('_') {
            let plain = name.replace('_', "-");
            let frames = FRAMING.contains(&plain.as_str());
            return frames || plain.starts_with(INTERNAL) || (!trusted && names_the_client(&plain));
        }
        // Cheap refusal first: all names below begin with x or f.
        if !matches!(first, Some(b'x' | b'f')) {
            return false;
        }
        name.starts_with(INTERNAL) || (!trusted && names_the_client(name))
    };
    let forged: Vec<HeaderName> = headers.keys().filter(|name| suspicious(name)).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    let standard = matches!(
        *name,
        header::CONNECTION
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
            | header::TE
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    );
    standard || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

fn drop_fields_of_the_hop(headers: &mut HeaderMap) {
    // Looking costs less than removing what is not there, and most messages have one such field or none.
    while let Some(name) = headers.keys().find(|name| is_hop_by_hop(name)).cloned() {
        headers.remove(name);
    }
}

/// Removes what concerns one connection only (RFC 9110 section 7.6.1). Returns the protocol the client wants to switch to.
/// The forwarding headers cannot be removed by naming them in `Connection`.
pub fn drop_hop_by_hop(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut upgrade = None;
    if headers.contains_key(header::CONNECTION) {
        let connection: Vec<HeaderValue> = headers.get_all(header::CONNECTION).iter().cloned().collect();
        let names = connection
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','));
        for name in names.map(|name| name.trim().to_ascii_lowercase()) {
            match name.as_str() {
                "" | "close" | "keep-alive" => {}
                "upgrade" => upgrade = headers.get(header::UPGRADE).cloned(),
                "host" | "content-length" | "content-type" => {}
                name if names_the_client(name) => {}
                name => drop(headers.remove(name)),
            }
        }
    }
    let trailers = headers
        .get(header::TE)
        .is_some_and(|te| te.to_str().is_ok_and(|te| te.contains("trailers")));
    drop_fields_of_the_hop(headers);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    upgrade
}

/// The same for an answer on its way to the client.
pub fn drop_hop_by_hop_of_response(headers: &mut HeaderMap) {
    drop_fields_of_the_hop(headers);
}

pub struct Facts<'a> {
    pub peer: HeaderValue,
    pub tls: bool,
    pub websocket: bool,
    /// As the client wrote it.
    pub host: &'a HeaderValue,
    pub server_name: &'a HeaderValue,
}

/// Tells the next hop what the client did; what a trusted proxy told already stays.
pub fn tell(headers: &mut HeaderMap, facts: &Facts<'_>) {
    headers.entry(X_REAL_IP).or_insert_with(|| facts.peer.clone());
    let proto = headers.entry(X_FORWARDED_PROTO).or_insert_with(|| {
        HeaderValue::from_static(match (facts.tls, facts.websocket) {
            (true, false) => "https",
            (false, false) => "http",
            (true, true) => "wss",
            (false, true) => "ws",
        })
    });
    let port = if *proto == "https" || *proto == "wss" {
        "443"
    } else {
        "80"
    };
    headers.entry(X_FORWARDED_PORT).or_insert_with(|| {
        let written = facts.host.to_str().ok().and_then(canonical::port);
        let written = written.and_then(|port| HeaderValue::from_str(port).ok());
        written.unwrap_or(HeaderValue::from_static(port))
    });
    if !facts.host.is_empty() {
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| facts.host.clone());
    }
    headers.insert(X_FORWARDED_SERVER, facts.server_name.clone());
}

/// Adds the peer to `X-Forwarded-For`, folding what is there into one line.
pub fn append_peer(headers: &mut HeaderMap, peer: HeaderValue) {
    if !headers.contains_key(X_FORWARDED_FOR) {
        headers.insert(X_FORWARDED_FOR, peer);
        return;
    }
    let before: Vec<&str> = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let chain = [&before[..], &[peer.to_str().unwrap_or_default()]].concat().join(", ");
    if let Ok(value) = HeaderValue::from_str(&chain) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

pub fn address(peer: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&peer.to_canonical().to_string()).expect("an address is plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("value"),
            )
        };
        lines.iter().map(pair).collect()
    }

    #[test]
    fn an_untrusted_client_cannot_speak_for_others() {
        let lines = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x_forwarded_proto", "https"),
            ("x-real_ip", "1"),
            ("forwarded", "for=1"),
            ("x-portico-user", "root"),
            ("x-own", "1"),
        ];
        let mut untrusted = headers(&lines);
        drop_forged(&mut untrusted, false);
        assert_eq!(untrusted.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-own"]);
        let mut trusted = headers(&lines);
        drop_forged(&mut trusted, true);
        assert!(trusted.contains_key("x-forwarded-for") && !trusted.contains_key("x-portico-user"));
    }

    #[test]
    fn connection_cannot_remove_what_names_the_client() {
        let mut map = headers(&[
            ("connection", "X-Real-Ip, X-Custom, Authorization"),
            ("x-real-ip", "1"),
            ("x-custom", "1"),
            ("authorization", "a"),
        ]);
        assert_eq!(drop_hop_by_hop(&mut map), None);
        assert!(map.contains_key("x-real-ip") && !map.contains_key("authorization"));
        assert!(!map.contains_key("x-custom") && !map.contains_key("connection"));
    }
}
