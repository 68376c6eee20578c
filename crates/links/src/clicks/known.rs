//! A click with all that can be read out of it, which the writer does so that the redirect need not.

use super::Click;
use crate::visitor::{bot_reason, read_agent, read_referrer};
use foundation::Uuid;

#[derive(Clone, Debug)]
pub struct KnownClick {
    pub click: Click,
    pub referrer_host: Option<String>,
    pub referrer_class: &'static str,
    pub browser: Option<String>,
    pub os: Option<String>,
    pub device: &'static str,
    pub bot_reason: Option<&'static str>,
    /// Whom the link belongs to: its organisation, else its user, else nobody (nil)
    pub owner: Uuid,
}

/// What rollups are by. The names are those of the columns of `links.clicks`.
pub const DIMENSIONS: [&str; 11] = [
    "country",
    "referrer_host",
    "referrer_class",
    "browser",
    "os",
    "device",
    "language",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "variant",
];

impl KnownClick {
    pub fn read(click: Click) -> Self {
        let agent = read_agent(click.user_agent.as_deref().unwrap_or_default());
        let referrer = read_referrer(click.referer.as_deref());
        let bot_reason = bot_reason(click.user_agent.as_deref());
        Self {
            referrer_host: referrer.host,
            referrer_class: referrer.class,
            browser: agent.browser,
            os: agent.os,
            device: agent.device,
            bot_reason,
            owner: Uuid::nil(),
            click,
        }
    }

    pub fn utm(&self, place: usize) -> Option<&str> {
        self.click.utm.as_ref().and_then(|utm| utm[place].as_deref())
    }

    /// Its value of each dimension but the last, in their order; empty where it has none.
    pub fn texts(&self) -> [&str; DIMENSIONS.len() - 1] {
        let text = Option::unwrap_or_default;
        [
            text(self.click.country.as_deref()),
            text(self.referrer_host.as_deref()),
            self.referrer_class,
            text(self.browser.as_deref()),
            text(self.os.as_deref()),
            self.device,
            text(self.click.language.as_deref()),
            text(self.utm(0)),
            text(self.utm(1)),
            text(self.utm(2)),
        ]
    }
}
