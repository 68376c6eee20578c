//! Where a link with options leads this visitor, decided from what is known of both, without I/O.

use super::{
    link::{Link, Options},
    target,
    visit::Visit,
};
use http::HeaderValue;

#[derive(Debug, PartialEq)]
pub enum Decision {
    /// `variant` counts from 0.
    Go {
        location: HeaderValue,
        variant: Option<i16>,
    },
    /// As if there were no such link.
    NotYet,
    Expired,
    Password,
}

/// `unlocked`: the password was given.
pub fn decide(link: &Link, options: &Options, visit: &Visit<'_>, unlocked: bool) -> Decision {
    if options.starts_at.is_some_and(|start| visit.now < start) {
        return Decision::NotYet;
    }
    if options.expires_at.is_some_and(|end| end <= visit.now) {
        return Decision::Expired;
    }
    if options.password_hash.is_some() && !unlocked {
        return Decision::Password;
    }
    let rule = options.rules.iter().find(|rule| rule.fits(visit));
    let (target, variant) = match rule {
        Some(rule) => (Some(rule.target_url.as_str()), None),
        None => match choose(link, options, visit) {
            Some(place) => (
                Some(options.variants[place].target_url.as_str()),
                i16::try_from(place).ok(),
            ),
            None => (None, None),
        },
    };
    let plain = || link.location.to_str().unwrap_or_default();
    let location = match (target, options.forward_query && !visit.query.is_empty()) {
        (_, true) => target::with_query(target.unwrap_or_else(plain), visit.query),
        (Some(target), false) => target::location(target),
        (None, false) => None,
    };
    // A rule's or variant's target that is no web address is passed over.
    let location = location.unwrap_or_else(|| link.location.clone());
    Decision::Go { location, variant }
}

/// The same visitor of the same link gets the same place on the scale, without a cookie.
fn choose(link: &Link, options: &Options, visit: &Visit<'_>) -> Option<usize> {
    let sum: u64 = options.variants.iter().map(|variant| u64::from(variant.weight)).sum();
    if sum == 0 {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(link.id.as_bytes());
    match visit.ip {
        Some(std::net::IpAddr::V4(ip)) => hasher.update(&ip.octets()),
        Some(std::net::IpAddr::V6(ip)) => hasher.update(&ip.octets()),
        None => &mut hasher,
    };
    hasher.update(visit.user_agent.unwrap_or_default().as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    let mut place = u64::from_le_bytes(bytes) % sum;
    options.variants.iter().position(|variant| {
        let weight = u64::from(variant.weight);
        let here = place < weight;
        place = place.saturating_sub(weight);
        here
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect::link::Variant;
    use foundation::new_id;
    use time::{Duration, OffsetDateTime};

    fn link() -> Link {
        let location = HeaderValue::from_static("https://plain.example/?a=1");
        Link {
            id: new_id(),
            location,
            options: None,
        }
    }

    fn options() -> Options {
        Options {
            title: None,
            status: 302,
            starts_at: None,
            expires_at: None,
            expired_url: None,
            limited: false,
            password_hash: None,
            rules: Vec::new(),
            variants: Vec::new(),
            forward_query: false,
            strict: false,
            cache_seconds: None,
        }
    }

    #[test]
    fn times_and_passwords_come_before_targets() {
        let (visit, hour) = (Visit::nobody(), Duration::hours(1));
        let now = OffsetDateTime::UNIX_EPOCH;
        let check = |options: Options, unlocked, expected: Decision| {
            assert_eq!(decide(&link(), &options, &visit, unlocked), expected);
        };
        check(
            Options {
                starts_at: Some(now + hour),
                ..options()
            },
            false,
            Decision::NotYet,
        );
        check(
            Options {
                expires_at: Some(now),
                ..options()
            },
            false,
            Decision::Expired,
        );
        let locked = || Options {
            password_hash: Some("x".into()),
            ..options()
        };
        check(locked(), false, Decision::Password);
        let location = HeaderValue::from_static("https://plain.example/?a=1");
        check(
            locked(),
            true,
            Decision::Go {
                location,
                variant: None,
            },
        );
    }

    #[test]
    fn variants_stick_and_share_by_weight() {
        let variant = |name: &str, weight| Variant {
            target_url: format!("https://{name}/"),
            weight,
        };
        let options = Options {
            variants: vec![variant("a", 3), variant("b", 1)],
            ..options()
        };
        let link = link();
        let mut first = 0;
        for number in 0..4000_u32 {
            let visit = Visit {
                ip: Some(std::net::Ipv4Addr::from(number).into()),
                ..Visit::nobody()
            };
            let chosen = choose(&link, &options, &visit);
            assert_eq!(chosen, choose(&link, &options, &visit));
            first += u32::from(chosen == Some(0));
        }
        assert!((2850..3150).contains(&first), "{first} of 4000");
    }
}
