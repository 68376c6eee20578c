//! Whether a user agent is a machine's, by isbot's patterns (data/README.md), and how we know.

use regex::{RegexSet, RegexSetBuilder};
use std::sync::LazyLock;

struct Patterns {
    plain: RegexSet,
    /// Those that look around themselves, which a finite automaton cannot.
    looking: Vec<fancy_regex::Regex>,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let all: Vec<String> =
        serde_json::from_str(include_str!("../../data/isbot.json")).expect("the tests read this file too");
    let looks = |pattern: &String| ["(?<!", "(?<=", "(?!", "(?="].iter().any(|mark| pattern.contains(mark));
    let (looking, plain): (Vec<String>, Vec<String>) = all.into_iter().partition(looks);
    let looking = looking.iter().map(|pattern| {
        // A lookbehind of alternatives of different lengths is several lookbehinds.
        let pattern = pattern.replace("(?<! channel/|google/)", "(?<! channel/)(?<!google/)");
        fancy_regex::Regex::new(&format!("(?i){pattern}")).expect("the tests compile this pattern too")
    });
    Patterns {
        looking: looking.collect(),
        // Case is ignored and classes are ASCII's, as in JavaScript without the flag `u`.
        plain: RegexSetBuilder::new(plain.iter().map(|pattern| ascii(pattern)))
            .case_insensitive(true)
            .size_limit(50 << 20)
            .build()
            .expect("the tests compile these patterns too"),
    }
});

fn ascii(pattern: &str) -> String {
    pattern.replace("\\b", "(?-u:\\b)").replace("\\d", "[0-9]")
}

/// `empty`, `pattern`, or `None` for a person.
pub fn bot_reason(user_agent: Option<&str>) -> Option<&'static str> {
    let text = user_agent.unwrap_or_default().trim();
    if text.is_empty() {
        return Some("empty");
    }
    let patterns = &*PATTERNS;
    // Too deep a search is no proof of a machine.
    let looking = || {
        patterns
            .looking
            .iter()
            .any(|pattern| pattern.is_match(text).unwrap_or(false))
    };
    (patterns.plain.is_match(text) || looking()).then_some("pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_from_people() {
        for machine in [
            "curl/8.5.0",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "WhatsApp/2.23.20.0",
            "python-requests/2.31.0",
        ] {
            assert_eq!(bot_reason(Some(machine)), Some("pattern"), "{machine}");
        }
        for person in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0 Mobile Safari/537.36",
        ] {
            assert_eq!(bot_reason(Some(person)), None, "{person}");
        }
        assert_eq!(bot_reason(None), Some("empty"));
        assert_eq!(bot_reason(Some(" ")), Some("empty"));
    }

    /// The user agents of machines that the npm package `crawler-user-agents` 1.60.0 collects (MIT).
    #[test]
    fn nearly_all_collected_crawlers_are_known() {
        let collected: Vec<String> = serde_json::from_str(include_str!("../../data/crawlers.json")).expect("JSON");
        let missed: Vec<&String> = collected
            .iter()
            .filter(|agent| bot_reason(Some(agent)).is_none())
            .collect();
        assert!(
            missed.len() * 50 < collected.len(),
            "{} of {} missed: {missed:#?}",
            missed.len(),
            collected.len()
        );
    }
}
