//! An entrypoint behind Cloudflare: whoever connects from Cloudflare's addresses speaks for the client it names, and nobody else
//! does. The ranges are those published at cloudflare.com/ips-v4 and /ips-v6, unchanged since September 2023.

use crate::{address::Net, forwarded};
use http::{HeaderMap, HeaderName};
use std::net::IpAddr;

const RANGES: [&str; 22] = [
    "173.245.48.0/20",
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "141.101.64.0/18",
    "108.162.192.0/18",
    "190.93.240.0/20",
    "188.114.96.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "162.158.0.0/15",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "172.64.0.0/13",
    "131.0.72.0/22",
    "2400:cb00::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2405:b500::/32",
    "2405:8100::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
];

const CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
/// What Cloudflare says of clients; from others it is forged.
const WORDS: [HeaderName; 8] = [
    CONNECTING_IP,
    HeaderName::from_static("cf-connecting-ipv6"),
    HeaderName::from_static("cf-pseudo-ipv4"),
    HeaderName::from_static("cf-ipcountry"),
    HeaderName::from_static("cf-visitor"),
    HeaderName::from_static("cf-ray"),
    HeaderName::from_static("cf-worker"),
    HeaderName::from_static("true-client-ip"),
];

#[derive(Clone, Debug)]
pub struct Cloudflare {
    ranges: Vec<Net>,
    /// PEM file (or text) of the authority whose certificate Cloudflare must show: authenticated origin pulls.
    pub origin_pull_ca: Option<String>,
}

impl Cloudflare {
    /// With ranges of the operator's in place of the published ones, where there are any.
    ///
    /// # Errors
    /// A text that is no range.
    pub fn new(ranges: &[String], origin_pull_ca: Option<String>) -> Result<Self, String> {
        let ranges = if ranges.is_empty() {
            RANGES.iter().map(|range| Net::parse(range)).collect::<Result<_, _>>()
        } else {
            ranges.iter().map(|range| Net::parse(range)).collect::<Result<_, _>>()
        };
        Ok(Self {
            ranges: ranges?,
            origin_pull_ca,
        })
    }

    /// The client Cloudflare names, so that it counts as the peer. What others say in Cloudflare's name is dropped, and what
    /// went before Cloudflare in `X-Forwarded-For` with it; the scheme the client used is kept.
    pub fn client(&self, peer: IpAddr, headers: &mut HeaderMap) -> Option<IpAddr> {
        if !self.ranges.iter().any(|range| range.contains(peer)) {
            for name in WORDS {
                headers.remove(name);
            }
            forwarded::drop_forged(headers, false);
            return None;
        }
        let scheme = headers.remove(forwarded::X_FORWARDED_PROTO);
        forwarded::drop_forged(headers, false);
        if let Some(scheme) = scheme {
            headers.insert(forwarded::X_FORWARDED_PROTO, scheme);
        }
        headers.get(CONNECTING_IP)?.to_str().ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, expected: Option<&str>, kept: &[&str]) {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("cf-connecting-ip", "203.0.113.9"),
            ("cf-ipcountry", "CH"),
            ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
            ("x-forwarded-proto", "https"),
        ] {
            headers.insert(name, value.parse().expect("a value"));
        }
        let cloudflare = Cloudflare::new(&[], None).expect("the published ranges");
        let client = cloudflare.client(peer.parse().expect("an address"), &mut headers);
        assert_eq!(
            client,
            expected.map(|client| client.parse().expect("an address")),
            "{peer}"
        );
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, kept, "{peer}");
    }

    #[test]
    fn only_cloudflare_speaks_for_clients() {
        let all = ["cf-connecting-ip", "cf-ipcountry", "x-forwarded-proto"];
        check("104.16.0.1", Some("203.0.113.9"), &all);
        check("::ffff:104.16.0.1", Some("203.0.113.9"), &all);
        check("2606:4700::1", Some("203.0.113.9"), &all);
        check("203.0.113.9", None, &[]);
        check("104.32.0.1", None, &[]);
    }
}
