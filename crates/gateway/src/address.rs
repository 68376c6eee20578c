//! Address ranges (`10.0.0.0/8`, `::1`) and which address of a request counts as the client's.

use http::{HeaderMap, HeaderName};
use std::{fmt, net::IpAddr};

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    base: IpAddr,
    bits: u8,
}

impl Net {
    /// # Errors
    /// The text is neither an address nor a range; the message says so.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no IP address or CIDR range");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let base: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let widest = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(widest);
        if bits > widest {
            return Err(wrong());
        }
        Ok(Self { base, bits })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                shift == 32 || (base.to_bits() ^ address.to_bits()) >> shift == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                shift == 128 || (base.to_bits() ^ address.to_bits()) >> shift == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// Which address counts as the client's, as Traefik's `ipStrategy` says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Strategy {
    /// The peer of the connection.
    #[default]
    Peer,
    /// The n-th address from the right of `X-Forwarded-For`.
    Depth(usize),
    /// The first address from the right of `X-Forwarded-For` that is not in these ranges.
    Excluding(Vec<Net>),
}

impl Strategy {
    /// # Errors
    /// An excluded range is no range.
    pub fn compile(strategy: Option<&crate::model::middleware::IpStrategy>) -> Result<Self, String> {
        let Some(strategy) = strategy else {
            return Ok(Self::Peer);
        };
        if let Some(depth) = strategy.depth.filter(|depth| *depth > 0) {
            return Ok(Self::Depth(usize::try_from(depth).unwrap_or(usize::MAX)));
        }
        match &strategy.excluded_ips {
            Some(ranges) if !ranges.is_empty() => {
                let nets = ranges.iter().map(|range| Net::parse(range)).collect::<Result<_, _>>()?;
                Ok(Self::Excluding(nets))
            }
            _ => Ok(Self::Peer),
        }
    }

    /// The client's address as text; empty when the strategy finds none.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> String {
        match self {
            Self::Peer => peer.to_string(),
            Self::Depth(depth) => {
                let chain = forwarded_for(headers);
                let index = chain.len().checked_sub(*depth);
                index.map_or_else(String::new, |index| chain[index].to_owned())
            }
            Self::Excluding(nets) => {
                let outside = |text: &&&str| {
                    let address = text.parse::<IpAddr>();
                    address.map_or(true, |address| !nets.iter().any(|net| net.contains(address)))
                };
                let chain = forwarded_for(headers);
                let found = chain.iter().rev().find(outside);
                found.map_or_else(String::new, |text| (*text).to_owned())
            }
        }
    }
}

fn forwarded_for(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(X_FORWARDED_FOR).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

/// An address fit for the log: its network, not the host (the last byte of IPv4, all but /48 of IPv6).
pub fn truncated(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(net: &str, address: &str) -> bool {
        Net::parse(net)
            .expect("range")
            .contains(address.parse().expect("address"))
    }

    #[test]
    fn ranges_contain_what_they_say() {
        assert!(inside("127.0.8.0/24", "127.0.8.77"));
        assert!(!inside("127.0.8.0/24", "127.0.9.77"));
        assert!(inside("0.0.0.0/0", "8.8.8.8"));
        assert!(inside("::1", "::1"));
        assert!(inside("127.0.0.5", "::ffff:127.0.0.5"));
        assert!(!inside("::/0", "8.8.8.8"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["300.1.1.1", "1.2.3.4/99", "not-an-ip", "", "1.2.3.4/"] {
            assert!(Net::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn logs_hold_networks_only() {
        assert_eq!(truncated("192.0.2.77".parse().expect("v4")), "192.0.2.0");
        assert_eq!(truncated("2001:db8:1:2::7".parse().expect("v6")), "2001:db8:1::");
    }
}
