//! What other services export, row by row into a link's fields. The names of columns are those of their exports; a file without
//! them is refused by name.

use super::{bulk::Row, fields::Fields};
use crate::error;
use foundation::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::{OffsetDateTime, PrimitiveDateTime, format_description::well_known::Rfc3339, macros::format_description};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Portico,
    Bitly,
    Yourls,
    Kutt,
    Shlink,
    Dub,
}

/// Columns by what they are, most telling first; compared without case, spaces and underscores.
struct Columns {
    slug: &'static [&'static str],
    target: &'static [&'static str],
    title: &'static [&'static str],
    description: &'static [&'static str],
    tags: &'static [&'static str],
    made: &'static [&'static str],
    clicks: &'static [&'static str],
    expires: &'static [&'static str],
    limit: &'static [&'static str],
}

impl Format {
    fn columns(self) -> Columns {
        let usual = Columns {
            slug: &["slug"],
            target: &["target_url"],
            title: &["title"],
            description: &["description"],
            tags: &["tags"],
            made: &["created_at"],
            clicks: &["clicks"],
            expires: &["expires_at"],
            limit: &["click_limit"],
        };
        match self {
            Format::Portico => usual,
            Format::Bitly => Columns {
                slug: &[
                    "custom_bitlink",
                    "custom_bitlinks",
                    "bitlink",
                    "link",
                    "short_link",
                    "id",
                ],
                target: &["long_url", "destination", "destination_url"],
                made: &["created_at", "created", "date_created", "created_date"],
                clicks: &["total_clicks", "clicks", "engagements"],
                ..usual
            },
            Format::Yourls => Columns {
                slug: &["keyword", "shorturl"],
                target: &["url", "longurl"],
                made: &["timestamp", "date"],
                ..usual
            },
            Format::Kutt => Columns {
                slug: &["address", "link"],
                target: &["target"],
                clicks: &["visit_count"],
                expires: &["expire_in"],
                ..usual
            },
            Format::Shlink => Columns {
                slug: &["shortCode", "shortUrl"],
                target: &["longUrl"],
                made: &["createdAt", "dateCreated"],
                clicks: &["visits", "visitsCount"],
                expires: &["validUntil"],
                limit: &["maxVisits"],
                ..usual
            },
            Format::Dub => Columns {
                slug: &["key", "shortLink", "short link", "link"],
                target: &["url", "destination url"],
                made: &["createdAt", "created at"],
                description: &["comments", "description"],
                expires: &["expiresAt", "expires at"],
                ..usual
            },
        }
    }
}

type Cells = BTreeMap<String, String>;

fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// CSV with a header line, or JSON: a list, or an object with the list in `data`, `links`, `shortUrls.data` or `result`.
///
/// # Errors
/// It is neither, or has no column of targets.
pub fn read(format: Format, body: &[u8], most: usize) -> Result<Vec<Row>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let rows = if matches!(first, Some(b'[' | b'{')) {
        read_json(body)?
    } else {
        read_csv(body)?
    };
    if rows.len() > most {
        return Err(error::invalid(
            "body",
            format!("has {} rows; at most {most} are taken at once", rows.len()),
        ));
    }
    let columns = format.columns();
    let has_target = |cells: &Cells| columns.target.iter().any(|name| cells.contains_key(&plain(name)));
    if rows.is_empty() || !rows.iter().any(has_target) {
        let message = format!("has no column of targets: {}", columns.target.join(" or "));
        return Err(error::invalid("body", message));
    }
    Ok(rows.iter().map(|cells| row(&columns, cells)).collect())
}

fn read_csv(body: &[u8]) -> Result<Vec<Cells>> {
    let head = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| head.iter().filter(|byte| **byte == wanted).count();
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|one| (count(*one), *one == b','))
        .unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(body);
    let told = |error: csv::Error| error::invalid("body", format!("is no CSV: {error}"));
    let names: Vec<String> = reader.headers().map_err(told)?.iter().map(plain).collect();
    let rows = reader.records().map(|record| {
        let record = record.map_err(told)?;
        Ok(names
            .iter()
            .cloned()
            .zip(record.iter().map(|cell| cell.trim().to_owned()))
            .collect())
    });
    rows.collect()
}

fn read_json(body: &[u8]) -> Result<Vec<Cells>> {
    let whole: Value =
        serde_json::from_slice(body).map_err(|error| error::invalid("body", format!("is no JSON: {error}")))?;
    let inside = ["/data", "/links", "/shortUrls/data", "/result"]
        .iter()
        .find_map(|path| whole.pointer(path)?.as_array());
    let list = whole
        .as_array()
        .or(inside)
        .ok_or_else(|| error::invalid("body", "has no list of links in it"))?;
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) => {
            let names = items
                .iter()
                .filter_map(|item| item.as_str().or_else(|| item.get("name")?.as_str()));
            names.collect::<Vec<_>>().join(",")
        }
        Value::Object(object) => object.get("total").map(Value::to_string).unwrap_or_default(),
        other => other.to_string(),
    };
    let rows = list.iter().map(|item| {
        let object = item.as_object().into_iter().flatten();
        let mut cells: Cells = object.map(|(name, value)| (plain(name), cell(value))).collect();
        // Shlink keeps these together.
        for (name, value) in item.get("meta").and_then(Value::as_object).into_iter().flatten() {
            cells.entry(plain(name)).or_insert_with(|| cell(value));
        }
        cells
    });
    Ok(rows.collect())
}

fn row(columns: &Columns, cells: &Cells) -> Row {
    let find = |names: &[&str]| {
        names
            .iter()
            .filter_map(|name| cells.get(&plain(name)))
            .find(|cell| !cell.is_empty())
            .cloned()
    };
    let tags = find(columns.tags).map(|tags| {
        let names = tags.split([',', ';', '|']).map(|tag| tag.trim().to_owned());
        names.filter(|tag| !tag.is_empty()).collect::<Vec<_>>()
    });
    let clicks: Option<i64> = find(columns.clicks).and_then(|clicks| clicks.parse().ok());
    let fields = Fields {
        slug: find(columns.slug).map(|slug| last_segment(&slug)),
        target_url: find(columns.target),
        title: Some(find(columns.title)),
        description: Some(find(columns.description)),
        tags,
        // Counted elsewhere; our own numbers count our own clicks.
        metadata: clicks.map(|clicks| json!({ "imported_clicks": clicks })),
        expires_at: Some(find(columns.expires).and_then(|text| moment(&text))),
        click_limit: Some(find(columns.limit).and_then(|limit| limit.parse().ok())),
        ..Fields::default()
    };
    (fields, find(columns.made).and_then(|text| moment(&text)))
}

/// A short address's slug; a bare slug is itself.
fn last_segment(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    text.rsplit('/').next().unwrap_or_default().to_owned()
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    if let Ok(seconds) = text.parse::<i64>() {
        return OffsetDateTime::from_unix_timestamp(seconds).ok();
    }
    // `+0000`, as Bitly writes it, is `+00:00`.
    let colon = text.len().checked_sub(2).filter(|place| text.is_char_boundary(*place));
    let with_colon = colon.map(|place| format!("{}:{}", &text[..place], &text[place..]));
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|error| with_colon.map_or(Err(error), |text| OffsetDateTime::parse(&text, &Rfc3339)))
        .ok()
        .or_else(|| {
            let formats = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
            PrimitiveDateTime::parse(text.get(..19)?, &formats)
                .ok()
                .map(PrimitiveDateTime::assume_utc)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, body: &str, slug: &str, target: &str, tags: &[&str], made: Option<&str>) {
        let rows = read(format, body.as_bytes(), 10).expect(body);
        let (fields, made_at) = &rows[0];
        assert_eq!(fields.slug.as_deref(), Some(slug), "{body}");
        assert_eq!(fields.target_url.as_deref(), Some(target), "{body}");
        let given: Vec<&str> = fields.tags.iter().flatten().map(String::as_str).collect();
        assert_eq!(given, tags, "{body}");
        assert_eq!(
            *made_at,
            made.map(|text| OffsetDateTime::parse(text, &Rfc3339).unwrap()),
            "{body}"
        );
    }

    #[test]
    fn exports_of_others_are_read() {
        check(
            Format::Bitly,
            "created_at,link,long_url,title,tags\n2023-04-05T06:07:08+0000,https://bit.ly/3abC,https://example.org/a,Hi,\"x, y\"\n",
            "3abC",
            "https://example.org/a",
            &["x", "y"],
            Some("2023-04-05T06:07:08Z"),
        );
        check(
            Format::Yourls,
            "\u{feff}keyword;url;title;timestamp;ip;clicks\nabc;https://example.org/;T;2020-01-02 03:04:05;1.2.3.4;7\n",
            "abc",
            "https://example.org/",
            &[],
            Some("2020-01-02T03:04:05Z"),
        );
        check(
            Format::Kutt,
            r#"{"data":[{"address":"k1","target":"https://example.org/k","visit_count":3,"created_at":"2021-01-01T00:00:00.000Z"}]}"#,
            "k1",
            "https://example.org/k",
            &[],
            Some("2021-01-01T00:00:00Z"),
        );
        check(
            Format::Shlink,
            r#"{"shortUrls":{"data":[{"shortCode":"s1","longUrl":"https://example.org/s","dateCreated":"2022-01-01T00:00:00+00:00","tags":["a","b"],"meta":{"maxVisits":5}}]}}"#,
            "s1",
            "https://example.org/s",
            &["a", "b"],
            Some("2022-01-01T00:00:00Z"),
        );
        check(
            Format::Dub,
            "Short link,Destination URL,Tags,Created at\nhttps://dub.sh/d1,https://example.org/d,,2024-05-06T07:08:09Z\n",
            "d1",
            "https://example.org/d",
            &[],
            Some("2024-05-06T07:08:09Z"),
        );
    }

    #[test]
    fn a_file_of_another_service_is_refused_by_name() {
        let refused = read(Format::Yourls, b"a,b\n1,2\n", 10).unwrap_err();
        assert!(refused.message.contains("url or longurl"), "{}", refused.message);
        assert!(read(Format::Portico, b"target_url\nhttps://a\nhttps://b\n", 1).is_err());
    }
}
