//! Cursor pages: a list ordered by id (time-ordered) is continued after the last id seen, so pages neither skip nor repeat.

use crate::{Error, Kind, Result};
use serde::Serialize;
use uuid::Uuid;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The place after which the next page starts: `c` and the 32 hex digits of the last id. Clients treat it as opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub Uuid);

impl Cursor {
    pub fn parse(text: &str) -> Result<Self> {
        text.strip_prefix('c')
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .map(Cursor)
            .ok_or_else(|| {
                Error::new(
                    Kind::Malformed,
                    "BAD_CURSOR",
                    "'cursor' is not one we gave out; use next_cursor of the previous page",
                )
            })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c{}", self.0.simple())
    }
}

/// What the caller asked for: `?limit=1..200&cursor=…`.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    pub limit: u32,
    pub after: Option<Cursor>,
}

impl PageRequest {
    pub fn parse(limit: Option<u32>, cursor: Option<&str>) -> Result<Self> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let message = format!("'limit' is {limit}; it must be between 1 and {MAX_LIMIT}");
            return Err(Error::new(Kind::Malformed, "BAD_LIMIT", message));
        }
        Ok(Self {
            limit,
            after: cursor.map(Cursor::parse).transpose()?,
        })
    }

    /// Rows to fetch: one more than asked tells whether another page exists.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// `rows` were fetched with [`PageRequest::fetch`].
    pub fn from_rows(mut rows: Vec<T>, request: &PageRequest, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = request.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more {
            rows.last().map(|row| Cursor(id(row)).to_string())
        } else {
            None
        };
        Self {
            items: rows,
            next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_round_trip() {
        let cursor = Cursor(Uuid::now_v7());
        assert_eq!(Cursor::parse(&cursor.to_string()).expect("own cursor"), cursor);
    }

    #[test]
    fn foreign_cursors_and_limits_are_refused() {
        for text in ["", "c", "x0190", "c' or 1=1"] {
            assert_eq!(Cursor::parse(text).expect_err(text).code, "BAD_CURSOR");
        }
        assert_eq!(PageRequest::parse(Some(0), None).expect_err("zero").code, "BAD_LIMIT");
        assert_eq!(
            PageRequest::parse(Some(201), None).expect_err("too many").code,
            "BAD_LIMIT"
        );
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let request = PageRequest::parse(Some(2), None).expect("two");
        let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let first = Page::from_rows(ids.clone(), &request, |id| *id);
        assert_eq!(first.items.len(), 2);
        assert_eq!(first.next_cursor, Some(Cursor(ids[1]).to_string()));
        assert_eq!(Page::from_rows(ids[2..].to_vec(), &request, |id| *id).next_cursor, None);
    }
}
