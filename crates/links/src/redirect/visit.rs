//! What one request says of its visitor, before anything is decided or written down.

use crate::visitor::{Agent, Geo, read_agent};
use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderName, Method, Uri, header};
use std::net::{IpAddr, SocketAddr};
use time::OffsetDateTime;

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const COUNTRY: HeaderName = HeaderName::from_static("cf-ipcountry");
const CITY: HeaderName = HeaderName::from_static("cf-ipcity");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");
/// Chrome and Safari say `Sec-Purpose`, older ones the others.
const PURPOSES: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

pub struct Visit<'a> {
    pub ip: Option<IpAddr>,
    pub country: Option<String>,
    pub city: Option<String>,
    pub user_agent: Option<&'a str>,
    pub referer: Option<&'a str>,
    /// The first of `Accept-Language`.
    pub language: Option<String>,
    pub query: &'a str,
    /// `DNT: 1` or `Sec-GPC: 1`
    pub private: bool,
    /// A `HEAD` or a prefetch is a look, not a click.
    pub counts: bool,
    pub now: OffsetDateTime,
}

impl<'a> Visit<'a> {
    /// The gateway in front has replaced what the outside said with what it knows.
    pub fn of(method: &Method, uri: &'a Uri, headers: &'a HeaderMap, extensions: &Extensions, geo: &Geo) -> Self {
        let told = text(headers, &X_REAL_IP).and_then(|ip| ip.parse().ok());
        let peer = || extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let ip: Option<IpAddr> = told.or_else(peer).map(|ip: IpAddr| ip.to_canonical());
        let mut country = text(headers, &COUNTRY)
            .filter(|code| is_country(code))
            .map(str::to_owned);
        let mut city = text(headers, &CITY).map(str::to_owned);
        if let (None, Some(ip)) = (&country, ip) {
            (country, city) = geo.find(ip);
        }
        let says_one = |name| text(headers, name) == Some("1");
        Self {
            ip,
            country,
            city,
            user_agent: text(headers, &header::USER_AGENT),
            referer: text(headers, &header::REFERER),
            language: text(headers, &header::ACCEPT_LANGUAGE).and_then(language),
            query: uri.query().unwrap_or_default(),
            private: says_one(&header::DNT) || says_one(&SEC_GPC),
            counts: *method != Method::HEAD && !is_prefetch(headers),
            now: OffsetDateTime::now_utc(),
        }
    }

    pub fn agent(&self) -> Agent {
        read_agent(self.user_agent.unwrap_or_default())
    }
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    PURPOSES.iter().any(|name| {
        text(headers, name).is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("prefetch") || value.contains("prerender") || value.contains("preview")
        })
    })
}

/// ISO 3166-1 alpha-2; Cloudflare says XX for unknown and T1 for Tor.
fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()) && code != "XX"
}

fn language(header: &str) -> Option<String> {
    let first = header.split([',', ';']).next()?.trim();
    let sane =
        (2..=35).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    sane.then(|| first.to_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
impl Visit<'_> {
    pub fn nobody() -> Self {
        Self {
            ip: None,
            country: None,
            city: None,
            user_agent: None,
            referer: None,
            language: None,
            query: "",
            private: false,
            counts: true,
            now: OffsetDateTime::UNIX_EPOCH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetches_are_known_and_languages_read() {
        for (name, value, expected) in [
            ("sec-purpose", "prefetch;prerender", true),
            ("purpose", "prefetch", true),
            ("x-moz", "prefetch", true),
            ("x-purpose", "preview", true),
            ("sec-fetch-mode", "navigate", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(is_prefetch(&headers), expected, "{name}: {value}");
        }
        assert_eq!(language("de-AT,de;q=0.9").as_deref(), Some("de-AT"));
        assert_eq!(language("*"), None);
        assert_eq!(language("<script>"), None);
    }
}
