//! Where a visitor came from, and what kind of place that is.

use url::Url;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Referrer {
    pub host: Option<String>,
    /// `direct`, `search`, `social`, `ai`, `mail` or `other`
    pub class: &'static str,
}

const SEARCH: &[&str] = &[
    "google",
    "bing.com",
    "duckduckgo.com",
    "yahoo.com",
    "yandex",
    "baidu.com",
    "ecosia.org",
    "qwant.com",
    "startpage.com",
    "search.brave.com",
    "kagi.com",
    "naver.com",
    "seznam.cz",
    "ask.com",
    "mojeek.com",
    "sogou.com",
    "so.com",
];
const SOCIAL: &[&str] = &[
    "facebook.com",
    "instagram.com",
    "t.co",
    "twitter.com",
    "x.com",
    "linkedin.com",
    "lnkd.in",
    "reddit.com",
    "pinterest.com",
    "youtube.com",
    "youtu.be",
    "tiktok.com",
    "threads.net",
    "bsky.app",
    "mastodon.social",
    "vk.com",
    "weibo.com",
    "tumblr.com",
    "discord.com",
    "t.me",
    "telegram.org",
    "whatsapp.com",
    "wa.me",
    "snapchat.com",
    "quora.com",
    "news.ycombinator.com",
    "xing.com",
    "slack.com",
];
const AI: &[&str] = &[
    "chatgpt.com",
    "chat.openai.com",
    "claude.ai",
    "perplexity.ai",
    "gemini.google.com",
    "copilot.microsoft.com",
    "bard.google.com",
    "chat.deepseek.com",
    "chat.mistral.ai",
    "grok.com",
    "poe.com",
    "you.com",
    "meta.ai",
    "phind.com",
];
const MAIL: &[&str] = &[
    "mail.google.com",
    "outlook.live.com",
    "outlook.office.com",
    "outlook.office365.com",
    "mail.yahoo.com",
    "mail.proton.me",
    "app.fastmail.com",
    "mail.yandex.ru",
    "mail.ru",
    "webmail",
    "mail.zoho.com",
    "navigator.gmx.net",
    "com.google.android.gm",
];

pub fn read_referrer(header: Option<&str>) -> Referrer {
    // Android's apps name themselves `android-app://name/`.
    let host = header
        .and_then(|text| Url::parse(text).ok())
        .and_then(|url| url.host_str().map(str::to_ascii_lowercase));
    let Some(host) = host else {
        return Referrer {
            host: None,
            class: "direct",
        };
    };
    let host = host.strip_prefix("www.").map(str::to_owned).unwrap_or(host);
    // Mail and assistants first: they live under search engines' names.
    let class = [("ai", AI), ("mail", MAIL), ("social", SOCIAL), ("search", SEARCH)]
        .into_iter()
        .find(|(_, known)| known.iter().any(|name| belongs(&host, name)))
        .map_or("other", |(class, _)| class);
    Referrer {
        host: Some(host),
        class,
    }
}

/// The host or a subdomain of a name; a bare word is a label before any country's ending.
fn belongs(host: &str, name: &str) -> bool {
    if name.contains('.') {
        return host == name || host.strip_suffix(name).is_some_and(|head| head.ends_with('.'));
    }
    host.split('.').any(|label| label == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_a_class() {
        for (header, class) in [
            (None, "direct"),
            (Some("nonsense"), "direct"),
            (Some("https://www.google.co.uk/"), "search"),
            (Some("https://mail.google.com/mail"), "mail"),
            (Some("https://gemini.google.com/app"), "ai"),
            (Some("https://chatgpt.com/"), "ai"),
            (Some("https://l.facebook.com/l.php?u=x"), "social"),
            (Some("https://t.co/abc"), "social"),
            (Some("https://nott.co/"), "other"),
            (Some("android-app://com.google.android.gm/"), "mail"),
            (Some("https://example.org/"), "other"),
        ] {
            assert_eq!(read_referrer(header).class, class, "{header:?}");
        }
        assert_eq!(
            read_referrer(Some("https://www.Example.org:8080/a")).host.as_deref(),
            Some("example.org")
        );
    }
}
