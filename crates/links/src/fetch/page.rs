//! Title, description and picture of a page, out of its head: what a link is named by when its maker named it nothing.

use regex::Regex;
use serde::Serialize;
use std::{collections::BTreeMap, sync::LazyLock};

const LONGEST: usize = 500;

#[derive(Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Page {
    pub title: Option<String>,
    pub description: Option<String>,
    pub image: Option<String>,
}

static TITLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?is)<title[^>]*>(.*?)</title").expect("an expression the tests compile"));
static META: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?is)<meta\s([^>]*)>").expect("an expression the tests compile"));
static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?is)([a-z:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"#).expect("an expression the tests compile")
});

/// Open Graph's before HTML's own.
pub fn read(html: &str) -> Page {
    let mut metas: BTreeMap<String, String> = BTreeMap::new();
    for meta in META.captures_iter(html) {
        let attributes: BTreeMap<String, String> = ATTRIBUTE
            .captures_iter(&meta[1])
            .map(|found| {
                let value = found
                    .get(2)
                    .or(found.get(3))
                    .or(found.get(4))
                    .map_or("", |value| value.as_str());
                (found[1].to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        let name = attributes
            .get("property")
            .or(attributes.get("name"))
            .map(|name| name.to_ascii_lowercase());
        if let (Some(name), Some(content)) = (name, attributes.get("content")) {
            metas.entry(name).or_insert_with(|| content.clone());
        }
    }
    let meta = |names: [&str; 3]| {
        names
            .iter()
            .find_map(|name| metas.get(*name))
            .and_then(|text| clean(text))
    };
    let title = || TITLE.captures(html).and_then(|found| clean(&found[1]));
    Page {
        title: meta(["og:title", "twitter:title", "title"]).or_else(title),
        description: meta(["og:description", "twitter:description", "description"]),
        image: meta(["og:image", "og:image:url", "twitter:image"]),
    }
}

fn clean(text: &str) -> Option<String> {
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&nbsp;", " ")
        .replace("&amp;", "&");
    let words: Vec<&str> = text.split_whitespace().collect();
    let text: String = words
        .join(" ")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST)
        .collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_its_head() {
        let page = read(
            "<html><head><TITLE lang=en>\n Plain &amp; simple </TITLE><meta content='It is &lt;b&gt;' name=description>\
             <meta property=\"og:image\" content=\"https://a/b.png\"></head>",
        );
        assert_eq!(page.title.as_deref(), Some("Plain & simple"));
        assert_eq!(page.description.as_deref(), Some("It is <b>"));
        assert_eq!(page.image.as_deref(), Some("https://a/b.png"));
        assert_eq!(read("<title></title>"), Page::default());
        assert_eq!(
            read("<title>a</title><meta property=og:title content=b>")
                .title
                .as_deref(),
            Some("b")
        );
    }
}
