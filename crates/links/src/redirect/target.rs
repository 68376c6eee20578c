//! Targets: which address may be one, what UTM adds to it, what a visitor's query adds.

use http::HeaderValue;
use serde_json::Value;
use url::Url;

/// The keys of UTM, in the order they are written.
pub const UTM: [&str; 5] = ["source", "medium", "campaign", "term", "content"];

/// Only http and https leave the house, whatever an old row says; the URL parser also escapes what a header cannot carry.
pub fn location(target: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(parse(target)?.as_str()).ok()
}

pub fn parse(target: &str) -> Option<Url> {
    let url = Url::parse(target).ok()?;
    let web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    web.then_some(url)
}

/// The target with `utm_*` of the object `utm`; what the target says itself of a key gives way.
pub fn with_utm(target: &str, utm: &Value) -> Option<String> {
    let wanted: Vec<(String, &str)> = UTM
        .iter()
        .filter_map(|key| {
            let value = utm.get(key).or_else(|| utm.get(format!("utm_{key}")))?.as_str()?;
            (!value.is_empty()).then(|| (format!("utm_{key}"), value))
        })
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let mut url = parse(target)?;
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !wanted.iter().any(|(key, _)| key == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(wanted);
    Some(url.into())
}

/// The target with the visitor's own parameters; the target's win, so that nobody bends a link by its query.
pub fn with_query(target: &str, query: &str) -> Option<HeaderValue> {
    let mut url = parse(target)?;
    let known: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let more: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !known.iter().any(|known| known == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if !more.is_empty() {
        url.query_pairs_mut().extend_pairs(more);
    }
    HeaderValue::from_str(url.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_web_addresses_become_a_location() {
        assert_eq!(
            location("https://example.org/a?b#c").unwrap(),
            "https://example.org/a?b#c"
        );
        assert_eq!(
            location("https://example.org/ä b").unwrap(),
            "https://example.org/%C3%A4%20b"
        );
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.org",
            "/x",
            "",
            "http://",
            "ftp://a/b",
        ] {
            assert_eq!(location(bad), None, "{bad}");
        }
        assert_eq!(
            location("https://a/\r\nSet-Cookie: x=y").unwrap(),
            "https://a/Set-Cookie:%20x=y"
        );
    }

    #[test]
    fn utm_replaces_what_the_target_says_and_keeps_the_rest() {
        let utm = json!({ "source": "news letter", "utm_medium": "mail", "term": "" });
        assert_eq!(
            with_utm("https://a/?x=1&utm_source=old#f", &utm).unwrap(),
            "https://a/?x=1&utm_source=news+letter&utm_medium=mail#f"
        );
        assert_eq!(with_utm("https://a/", &json!({})), None);
    }

    #[test]
    fn a_visitors_query_is_added_but_never_overrides() {
        assert_eq!(with_query("https://a/?x=1", "x=2&y=3").unwrap(), "https://a/?x=1&y=3");
        assert_eq!(with_query("https://a/", "").unwrap(), "https://a/");
    }
}
