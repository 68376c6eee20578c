//! One click, and its line in a segment: a JSON object, so that an operator can read a segment with the usual tools.

use foundation::{Uuid, new_id};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use time::OffsetDateTime;

/// Long enough for every honest browser; the rest is noise.
const LONGEST_TEXT: usize = 1024;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
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
}

pub struct Visitor<'a> {
    pub ip: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
    pub referer: Option<&'a str>,
    pub country: Option<&'a str>,
}

impl Click {
    pub fn now(link_id: Uuid, visitor: Visitor<'_>) -> Self {
        let micros = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000;
        Self {
            id: new_id(),
            link_id,
            ip: visitor.ip,
            user_agent: visitor.user_agent.map(shorten),
            referer: visitor.referer.map(shorten),
            country: visitor.country.map(str::to_owned),
            // Fits until the year 294247.
            at: micros as i64,
        }
    }

    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(384);
        // Writing plain data to memory cannot fail; an empty line would be skipped by the reader.
        let _ = serde_json::to_writer(&mut line, self);
        line.push(b'\n');
        line
    }

    pub fn time(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Header values are visible ASCII here, so any byte is a boundary.
fn shorten(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_survives_its_line() {
        let visitor = Visitor {
            ip: Some("203.0.113.7".parse().unwrap()),
            user_agent: Some("curl/8 \"quoted\""),
            referer: None,
            country: Some("DE"),
        };
        let click = Click::now(Uuid::now_v7(), visitor);
        let line = click.to_line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(serde_json::from_slice::<Click>(&line).unwrap(), click);
    }
}
