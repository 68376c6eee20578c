//! Browser, system and device of a user agent, by uap-core's expressions (data/README.md).

use quick_cache::sync::Cache;
use std::sync::LazyLock;
use ua_parser::{Extractor, Regexes};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agent {
    pub browser: Option<String>,
    pub os: Option<String>,
    /// `desktop`, `mobile`, `tablet`, `tv`, `bot` or `other`
    pub device: &'static str,
}

/// Compiled once, on first use; the text is part of the binary.
static EXTRACTOR: LazyLock<Extractor<'static>> = LazyLock::new(|| {
    let regexes: Regexes<'static> =
        serde_json::from_str(include_str!("../../data/uap-core.json")).expect("the tests read this file too");
    Extractor::try_from(regexes).expect("the tests compile these expressions too")
});

/// Visitors share few agents, and reading one costs more than all else about a click.
static KNOWN: LazyLock<Cache<String, Agent>> = LazyLock::new(|| Cache::new(REMEMBERED));
const REMEMBERED: usize = 10_000;

pub fn read_agent(text: &str) -> Agent {
    if let Some(known) = KNOWN.get(text) {
        return known;
    }
    let agent = read_anew(text);
    KNOWN.insert(text.to_owned(), agent.clone());
    agent
}

fn read_anew(text: &str) -> Agent {
    if text.is_empty() {
        return Agent {
            device: "other",
            ..Agent::default()
        };
    }
    let (browser, os, device) = EXTRACTOR.extract(text);
    let os = os.map(|os| os.os.into_owned()).filter(|name| name != "Other");
    let family = device.map(|device| device.device.into_owned());
    Agent {
        browser: browser
            .map(|browser| browser.family.into_owned())
            .filter(|name| name != "Other"),
        device: class(text, os.as_deref(), family.as_deref()),
        os,
    }
}

/// uap-core names models, not classes; tablets say so, or are Androids that are not `Mobile`.
fn class(text: &str, os: Option<&str>, family: Option<&str>) -> &'static str {
    let has = |word: &str| text.contains(word);
    if family == Some("Spider") {
        return "bot";
    }
    if ["TV", "BRAVIA", "Roku", "AFTS", "CrKey", "Tizen/TV"]
        .iter()
        .any(|word| has(word))
    {
        return "tv";
    }
    if has("iPad") || has("Tablet") || has("Kindle") || has("Silk/") || os == Some("Android") && !has("Mobile") {
        return "tablet";
    }
    match os {
        Some("iOS" | "Android" | "Windows Phone" | "KaiOS" | "BlackBerry OS" | "HarmonyOS") => "mobile",
        Some(os)
            if [
                "Windows",
                "Mac OS X",
                "Linux",
                "Ubuntu",
                "Chrome OS",
                "Fedora",
                "Debian",
                "FreeBSD",
                "OpenBSD",
            ]
            .contains(&os) =>
        {
            "desktop"
        }
        _ if has("Mobile") => "mobile",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_browse_with_is_named() {
        for (text, browser, os, device) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
                "Chrome",
                "Windows",
                "desktop",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
                "Mobile Safari",
                "iOS",
                "mobile",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
                "Firefox",
                "Linux",
                "desktop",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
                "Mobile Safari",
                "iOS",
                "tablet",
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Mobile Safari/537.36",
                "Chrome Mobile",
                "Android",
                "mobile",
            ),
            (
                "Mozilla/5.0 (Linux; Android 12; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Safari/537.36",
                "Chrome",
                "Android",
                "tablet",
            ),
        ] {
            let agent = read_agent(text);
            assert_eq!(
                (agent.browser.as_deref(), agent.os.as_deref(), agent.device),
                (Some(browser), Some(os), device),
                "{text}"
            );
        }
        assert_eq!(read_agent("").device, "other");
    }
}
