//! What of an address reaches the disk, and the number by which a visitor is told from others within a day.

use arc_swap::ArcSwap;
use foundation::Result;
use postgres_chassis::{Pool, translate};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};
use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;

/// How much of a public address is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// /24 of IPv4, /48 of IPv6
    #[default]
    Truncated,
    /// An address out of `fd00::/8` that stands for it this day
    Hashed,
    Nothing,
    Whole,
}

impl Keep {
    /// # Errors
    /// Another word.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "truncate" => Ok(Self::Truncated),
            "hash" => Ok(Self::Hashed),
            "none" => Ok(Self::Nothing),
            "full" => Ok(Self::Whole),
            other => Err(format!("'{other}' is none of truncate, hash, none, full")),
        }
    }
}

type Salts = Vec<(Date, [u8; 32])>;

pub struct Anonymiser {
    keep: Keep,
    salts: ArcSwap<Salts>,
    /// Until the database has given the day's salt, copies tell visitors apart each for itself.
    own: [u8; 32],
}

impl Anonymiser {
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            salts: ArcSwap::default(),
            own: rand::random(),
        }
    }

    fn salt(&self, day: Date) -> [u8; 32] {
        let salts = self.salts.load();
        salts
            .iter()
            .find(|(known, _)| *known == day)
            .map_or(self.own, |(_, salt)| *salt)
    }

    pub fn address(&self, ip: Option<IpAddr>, now: OffsetDateTime) -> Option<IpAddr> {
        let ip = ip?;
        if names_nobody(ip) {
            return Some(ip);
        }
        match self.keep {
            Keep::Whole => Some(ip),
            Keep::Nothing => None,
            Keep::Truncated => Some(truncated(ip)),
            Keep::Hashed => {
                let hash = blake3::keyed_hash(&self.salt(now.date()), ip.to_string().as_bytes());
                let mut bytes: [u8; 16] = hash.as_bytes()[..16].try_into().unwrap_or_default();
                bytes[0] = 0xfd;
                Some(IpAddr::V6(Ipv6Addr::from(bytes)))
            }
        }
    }

    /// `None` where there is no address to tell by.
    pub fn visitor(&self, ip: Option<IpAddr>, user_agent: Option<&str>, now: OffsetDateTime) -> Option<i64> {
        let ip = ip?;
        let mut hasher = blake3::Hasher::new_keyed(&self.salt(now.date()));
        match ip {
            IpAddr::V4(ip) => hasher.update(&ip.octets()),
            IpAddr::V6(ip) => hasher.update(&ip.octets()),
        };
        hasher.update(user_agent.unwrap_or_default().as_bytes());
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        Some(i64::from_le_bytes(bytes))
    }

    /// Fetches today's and tomorrow's salt now and then, and throws the past away, until `stop`.
    pub async fn keep_salted(self: Arc<Self>, pool: Pool, stop: CancellationToken) {
        loop {
            let pause = match self.fetch(&pool).await {
                Ok(()) => Duration::from_secs(600),
                Err(error) => {
                    tracing::warn!(cause = %error.chain(), "the day's salt could not be fetched");
                    Duration::from_secs(5)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn fetch(&self, pool: &Pool) -> Result<()> {
        let told = |error| translate("fetching the day's salt", error);
        let client = pool.client().await?;
        client
            .execute(
                "insert into links.visitor_salts (day) select (now() at time zone 'utc')::date + later from generate_series(0, 1) later
                 on conflict do nothing",
                &[],
            )
            .await
            .map_err(told)?;
        client
            .execute(
                "delete from links.visitor_salts where day < (now() at time zone 'utc')::date",
                &[],
            )
            .await
            .map_err(told)?;
        let rows = client
            .query("select day, salt from links.visitor_salts", &[])
            .await
            .map_err(told)?;
        let salts = rows.iter().filter_map(|row| {
            let salt: Vec<u8> = row.get(1);
            Some((row.get(0), salt.try_into().ok()?))
        });
        self.salts.store(Arc::new(salts.collect()));
        Ok(())
    }
}

/// Loopback, private and link-local addresses are machines of the house.
fn names_nobody(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn truncated(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & 0xffff_ff00)),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 80))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_what_names_a_person() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let check = |keep, ip: &str, expected: Option<&str>| {
            let kept = Anonymiser::new(keep).address(Some(ip.parse().unwrap()), now);
            assert_eq!(kept, expected.map(|ip| ip.parse().unwrap()), "{keep:?} {ip}");
        };
        check(Keep::Truncated, "203.0.113.77", Some("203.0.113.0"));
        check(Keep::Truncated, "2001:db8:1:2:3::4", Some("2001:db8:1::"));
        check(Keep::Truncated, "127.0.0.1", Some("127.0.0.1"));
        check(Keep::Nothing, "203.0.113.77", None);
        check(Keep::Whole, "203.0.113.77", Some("203.0.113.77"));
        let hasher = Anonymiser::new(Keep::Hashed);
        let hashed = hasher.address(Some("203.0.113.77".parse().unwrap()), now).unwrap();
        assert_eq!(hasher.address(Some("203.0.113.77".parse().unwrap()), now), Some(hashed));
        assert_ne!(hasher.address(Some("203.0.113.78".parse().unwrap()), now), Some(hashed));
        assert!(hashed.to_string().starts_with("fd"));
    }

    #[test]
    fn a_visitor_is_one_within_a_day_and_with_one_user_agent() {
        let anonymiser = Anonymiser::new(Keep::Truncated);
        let ip = Some("203.0.113.77".parse().unwrap());
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(
            anonymiser.visitor(ip, Some("a"), now),
            anonymiser.visitor(ip, Some("a"), now)
        );
        assert_ne!(
            anonymiser.visitor(ip, Some("a"), now),
            anonymiser.visitor(ip, Some("b"), now)
        );
        assert_eq!(anonymiser.visitor(None, Some("a"), now), None);
    }
}
