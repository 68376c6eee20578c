//! A rule of a link: conditions that must all hold, and where it leads then. Of a list of values, one must fit.

use super::visit::Visit;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};
use time::OffsetDateTime;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    pub target_url: String,
    /// ISO 3166-1 alpha-2
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub country: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub city: Vec<String>,
    /// `desktop`, `mobile`, `tablet`, `tv`, `bot` or `other`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device: Vec<String>,
    /// As analytics names it: `iOS`, `Android`, `Windows`, `Mac OS X`, `Linux` …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub browser: Vec<String>,
    /// `de` fits `de-AT` too
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub language: Vec<String>,
    /// Parameters and their values; `*` fits any
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Addresses or CIDR ranges
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip: Vec<String>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<OffsetDateTime>,
}

impl Rule {
    pub fn fits(&self, visit: &Visit<'_>) -> bool {
        let named = |wanted: &[String], given: Option<&str>| {
            wanted.is_empty() || given.is_some_and(|given| wanted.iter().any(|name| name.eq_ignore_ascii_case(given)))
        };
        self.from.is_none_or(|from| from <= visit.now)
            && self.until.is_none_or(|until| visit.now < until)
            && named(&self.country, visit.country.as_deref())
            && named(&self.city, visit.city.as_deref())
            && self.fits_language(visit)
            && self.fits_query(visit)
            && (self.ip.is_empty() || visit.ip.is_some_and(|ip| self.ip.iter().any(|range| holds(range, ip))))
            && (self.device.is_empty() && self.os.is_empty() && self.browser.is_empty() || {
                let agent = visit.agent();
                named(&self.device, Some(agent.device))
                    && named(&self.os, agent.os.as_deref())
                    && named(&self.browser, agent.browser.as_deref())
            })
    }

    fn fits_language(&self, visit: &Visit<'_>) -> bool {
        let Some(given) = &visit.language else {
            return self.language.is_empty();
        };
        let fits = |wanted: &String| {
            let head = given
                .get(..wanted.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(wanted));
            head && matches!(given.as_bytes().get(wanted.len()), None | Some(b'-'))
        };
        self.language.is_empty() || self.language.iter().any(fits)
    }

    fn fits_query(&self, visit: &Visit<'_>) -> bool {
        self.query.iter().all(|(name, wanted)| {
            url::form_urlencoded::parse(visit.query.as_bytes())
                .any(|(given, value)| given == name.as_str() && (wanted == "*" || value == wanted.as_str()))
        })
    }

    /// What is wrong with it.
    pub fn mistake(&self) -> Option<String> {
        if super::target::parse(&self.target_url).is_none() {
            return Some("needs a 'target_url' that is an http or https address".into());
        }
        if let Some(bad) = self.ip.iter().find(|range| parse_range(range).is_none()) {
            return Some(format!("has '{bad}' in 'ip', which is no address and no CIDR range"));
        }
        let devices = ["desktop", "mobile", "tablet", "tv", "bot", "other"];
        if let Some(bad) = self.device.iter().find(|name| !devices.contains(&name.as_str())) {
            return Some(format!("has '{bad}' in 'device', which has {}", devices.join(", ")));
        }
        None
    }
}

fn parse_range(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some((address, bits))
}

fn holds(range: &str, ip: IpAddr) -> bool {
    match (parse_range(range), ip) {
        (Some((IpAddr::V4(net), bits)), IpAddr::V4(ip)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            net.to_bits() & mask == ip.to_bits() & mask
        }
        (Some((IpAddr::V6(net), bits)), IpAddr::V6(ip)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            net.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses() {
        for (range, ip, expected) in [
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("1.2.3.4", "1.2.3.4", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::/0", "1.2.3.4", false),
            ("10.0.0.0/33", "10.0.0.1", false),
        ] {
            assert_eq!(holds(range, ip.parse().unwrap()), expected, "{range} {ip}");
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let rule: Rule = serde_json::from_value(serde_json::json!({
            "target_url": "https://a", "country": ["DE", "at"], "language": ["de"], "query": { "ref": "*" }, "device": ["mobile"]
        }))
        .unwrap();
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1";
        let visit = |country: &str, language: &str, query: &'static str| Visit {
            country: Some(country.into()),
            language: Some(language.into()),
            query,
            user_agent: Some(phone),
            ..Visit::nobody()
        };
        assert!(rule.fits(&visit("AT", "de-AT", "ref=x")));
        assert!(!rule.fits(&visit("CH", "de-CH", "ref=x")));
        assert!(!rule.fits(&visit("AT", "den", "ref=x")));
        assert!(!rule.fits(&visit("AT", "de", "")));
    }
}
