//! One click, and its line in a segment: a checksum and a JSON object, so that an operator can read a segment with the usual
//! tools. Whoever it was is already out of it.

use crate::{redirect::Visit, visitor::Anonymiser};
use foundation::{Uuid, new_id};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use time::OffsetDateTime;

/// Long enough for every honest browser; the rest is noise.
const LONGEST_TEXT: usize = 1024;
/// `crc32 ` in hexadecimal
const CHECKSUM: usize = 9;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Click {
    /// Version 7: made here, so that copying a segment twice writes each click once.
    pub id: Uuid,
    pub link_id: Uuid,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub referer: Option<String>,
    pub country: Option<String>,
    /// Microseconds since 1970
    pub at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Source, medium, campaign, where the visited address had them
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utm: Option<[Option<String>; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<i16>,
}

impl Click {
    pub fn of(link_id: Uuid, visit: &Visit<'_>, variant: Option<i16>, anonymiser: &Anonymiser) -> Self {
        // Who asks not to be followed is counted, but cannot be told from others.
        let ip = visit.ip.filter(|_| !visit.private);
        let micros = visit.now.unix_timestamp_nanos() / 1000;
        Self {
            id: new_id(),
            link_id,
            ip: anonymiser.address(ip, visit.now),
            user_agent: visit.user_agent.map(shorten),
            referer: visit.referer.map(shorten),
            country: visit.country.clone(),
            // Fits until the year 294247.
            at: micros as i64,
            visitor: anonymiser.visitor(ip, visit.user_agent, visit.now),
            language: visit.language.clone(),
            utm: utm(visit.query),
            variant,
        }
    }

    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(384);
        line.extend_from_slice(b"00000000 ");
        // Writing plain data to memory cannot fail; a line without a body would be left out by the reader.
        let _ = serde_json::to_writer(&mut line, self);
        let sum = format!("{:08x} ", crc32fast::hash(&line[CHECKSUM..]));
        line[..CHECKSUM].copy_from_slice(sum.as_bytes());
        line.push(b'\n');
        line
    }

    /// # Errors
    /// The line is torn, or not what was written. Lines of before there was a checksum begin with their object.
    pub fn from_line(line: &[u8]) -> Result<Self, String> {
        let body = if line.first() == Some(&b'{') {
            line
        } else {
            let (sum, body) = line.split_at_checked(CHECKSUM).ok_or("it is torn")?;
            let sum = std::str::from_utf8(sum)
                .ok()
                .and_then(|sum| u32::from_str_radix(sum.trim_end(), 16).ok());
            if sum != Some(crc32fast::hash(body)) {
                return Err("its checksum is another".into());
            }
            body
        };
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    pub fn time(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

fn utm(query: &str) -> Option<[Option<String>; 3]> {
    if !query.contains("utm_") {
        return None;
    }
    let find = |wanted: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.chars().take(200).collect::<String>())
    };
    let found = ["utm_source", "utm_medium", "utm_campaign"].map(find);
    found.iter().any(Option::is_some).then_some(found)
}

/// PostgreSQL's text takes no zero, and headers have none.
fn shorten(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visitor::Keep;

    fn click(private: bool) -> Click {
        let visit = Visit {
            ip: Some("203.0.113.7".parse().unwrap()),
            user_agent: Some("curl/8 \"quoted\""),
            country: Some("DE".into()),
            query: "utm_source=news+letter&x=1",
            private,
            ..Visit::nobody()
        };
        Click::of(Uuid::now_v7(), &visit, Some(1), &Anonymiser::new(Keep::Truncated))
    }

    #[test]
    fn a_click_survives_its_line_and_a_broken_line_is_known() {
        let click = click(false);
        assert_eq!(click.ip, Some("203.0.113.0".parse().unwrap()));
        assert_eq!(click.utm.as_ref().unwrap()[0].as_deref(), Some("news letter"));
        let line = click.to_line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let line = &line[..line.len() - 1];
        assert_eq!(Click::from_line(line).unwrap(), click);
        for length in 0..line.len() {
            assert!(Click::from_line(&line[..length]).is_err(), "{length}");
        }
        for place in 0..line.len() {
            let mut rotten = line.to_vec();
            rotten[place] ^= 1;
            assert!(Click::from_line(&rotten).map_or(true, |read| read == click), "{place}");
        }
    }

    #[test]
    fn lines_of_before_the_checksum_are_read() {
        let line = format!(
            "{{\"id\":\"{0}\",\"link_id\":\"{0}\",\"ip\":null,\"user_agent\":null,\"referer\":null,\"country\":null,\"at\":5}}",
            Uuid::nil()
        );
        assert_eq!(Click::from_line(line.as_bytes()).unwrap().at, 5);
    }

    #[test]
    fn who_asks_not_to_be_followed_leaves_no_address() {
        let click = click(true);
        assert_eq!((click.ip, click.visitor), (None, None));
    }
}
