//! The forms a value can have, each with its own complaint.

use gateway::settings::resolver::{Challenge, DnsChallenge};
use std::{
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

/// `on` or `off`.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither on nor off")),
    }
}

/// `100/1m`; `None` is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub requests: u32,
    pub window: Duration,
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || format!("'{text}' is no address; the form is 127.0.0.1:8080 or :8080");
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().map_err(|_| wrong())?;
        return Ok(SocketAddr::from(([0, 0, 0, 0], port)));
    }
    match text.parse() {
        Ok(address) => Ok(address),
        // Only `localhost` and the like; nobody listens on a name that needs the network.
        Err(_) => text
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(wrong),
    }
}

/// An address, or `off`.
pub fn optional_address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        Ok(None)
    } else {
        address(text).map(Some)
    }
}

pub fn rate(text: &str) -> Result<Option<Rate>, String> {
    if text == "off" {
        return Ok(None);
    }
    let wrong = || format!("'{text}' is no rate; the form is 100/1m (requests per period), or off");
    let (requests, window) = text.split_once('/').ok_or_else(wrong)?;
    let requests: u32 = requests.trim().parse().map_err(|_| wrong())?;
    let window = duration(window.trim()).map_err(|_| wrong())?;
    if requests == 0 || window.is_zero() {
        return Err(wrong());
    }
    Ok(Some(Rate { requests, window }))
}

/// `250ms`, `30s`, `1m`, `2h`, `1d`; a bare unit is one of it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no duration; the form is 250ms, 30s, 1m, 2h or 1d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = if number.is_empty() {
        1
    } else {
        number.parse().map_err(|_| wrong())?
    };
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// Bytes, or with KB, MB, GB (powers of 1024).
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no size; the form is 104857600 or 100MB");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor: u64 = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

pub fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

pub fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `key=value,key=value`, as OpenTelemetry writes headers and attributes.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    list(text)
        .iter()
        .map(|item| match item.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
            None => Err(format!("'{item}' is no key=value pair")),
        })
        .collect()
}

/// How an authority is shown that a name is ours.
pub fn challenge(text: &str) -> Result<Challenge, String> {
    match text.split_once(':').unwrap_or((text, "")) {
        ("http", "") => Ok(Challenge::Http {
            entry_point: "web".into(),
        }),
        ("tls", "") => Ok(Challenge::TlsAlpn),
        ("dns", provider @ ("cloudflare" | "exec")) => Ok(Challenge::Dns(DnsChallenge {
            provider: provider.into(),
            resolvers: Vec::new(),
            delay: Duration::ZERO,
            check: true,
        })),
        _ => Err(format!(
            "'{text}' is no challenge; there are http, tls, dns:cloudflare and dns:exec"
        )),
    }
}

/// A base URL, without a slash at the end.
pub fn base_url(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("'{text}' {why}; the form is https://api.example.org");
    let url = url::Url::parse(text).map_err(|error| wrong(&format!("is no URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is no http or https URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or a fragment"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_count_and_a_period() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            rate("100/1m"),
            Ok(Some(Rate {
                requests: 100,
                window: minute
            }))
        );
        assert_eq!(
            rate("5/m"),
            Ok(Some(Rate {
                requests: 5,
                window: minute
            }))
        );
        assert_eq!(rate("off"), Ok(None));
        for bad in ["", "100", "0/1m", "x/1m", "100/0s", "100/1y", "-1/1m"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_addresses_and_urls_are_read() {
        assert_eq!(bytes("100MB"), Ok(104_857_600));
        assert_eq!(bytes("7"), Ok(7));
        assert!(bytes("99999999999GB").is_err());
        assert_eq!(
            address(":80").map(|address| address.to_string()),
            Ok("0.0.0.0:80".into())
        );
        assert!(address("nonsense").is_err());
        assert_eq!(base_url("https://a.example/"), Ok("https://a.example".into()));
        assert!(base_url("ftp://a.example").is_err());
    }
}
