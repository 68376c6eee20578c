//! What may be asked of clicks: typed, checked at the door, and turned into SQL whose only text is ours.

use crate::error;
use foundation::{Result, Uuid};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// People's and machines'
    #[default]
    Clicks,
    /// Different people, within their days; estimated where it comes from sketches
    Visitors,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Interval {
    pub fn as_str(self) -> &'static str {
        match self {
            Interval::Minute => "minute",
            Interval::Hour => "hour",
            Interval::Day => "day",
            Interval::Week => "week",
            Interval::Month => "month",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    Link,
    Country,
    ReferrerHost,
    ReferrerClass,
    Browser,
    Os,
    Device,
    Language,
    UtmSource,
    UtmMedium,
    UtmCampaign,
    Variant,
}

impl Dimension {
    /// The column of `links.clicks`, and the name in rollups.
    pub fn column(self) -> &'static str {
        match self {
            Dimension::Link => "link_id",
            Dimension::Country => "country",
            Dimension::ReferrerHost => "referrer_host",
            Dimension::ReferrerClass => "referrer_class",
            Dimension::Browser => "browser",
            Dimension::Os => "os",
            Dimension::Device => "device",
            Dimension::Language => "language",
            Dimension::UtmSource => "utm_source",
            Dimension::UtmMedium => "utm_medium",
            Dimension::UtmCampaign => "utm_campaign",
            Dimension::Variant => "variant",
        }
    }
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Params {
    /// Without it: all your links
    pub link_id: Option<Uuid>,
    pub organization_id: Option<Uuid>,
    #[serde(default)]
    #[param(value_type = Option<Metric>)]
    pub metric: Metric,
    /// Points in time of this length; without it, one number, or one a value of `group_by`
    pub interval: Option<Interval>,
    pub group_by: Option<Dimension>,
    /// IANA's name, default `UTC`
    pub timezone: Option<String>,
    #[serde(with = "time::serde::rfc3339::option", default)]
    #[param(value_type = Option<String>)]
    pub from: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", default)]
    #[param(value_type = Option<String>)]
    pub until: Option<OffsetDateTime>,
    /// `true` leaves machines out of `clicks`, which otherwise has them, with their number beside it
    pub people_only: Option<bool>,
    pub country: Option<String>,
    pub referrer_host: Option<String>,
    pub referrer_class: Option<String>,
    pub browser: Option<String>,
    pub os: Option<String>,
    pub device: Option<String>,
    pub language: Option<String>,
    pub utm_source: Option<String>,
    pub utm_medium: Option<String>,
    pub utm_campaign: Option<String>,
    /// 1 to 10000, default 1000
    pub limit: Option<i64>,
}

/// Days of a range without a beginning.
const USUAL_DAYS: i64 = 30;
const LONGEST_DAYS: i64 = 3_660;

#[derive(Clone, Debug)]
pub struct Question {
    pub link_id: Option<Uuid>,
    pub organization_id: Option<Uuid>,
    pub metric: Metric,
    pub interval: Option<Interval>,
    pub group_by: Option<Dimension>,
    pub timezone: String,
    pub from: OffsetDateTime,
    pub until: OffsetDateTime,
    pub people_only: bool,
    /// Column and value
    pub filters: Vec<(&'static str, String)>,
    pub limit: i64,
}

impl Params {
    /// # Errors
    /// A value that makes no sense, by name.
    pub fn parse(self) -> Result<Question> {
        let until = self.until.unwrap_or_else(OffsetDateTime::now_utc);
        let from = self.from.unwrap_or(until - time::Duration::days(USUAL_DAYS));
        if from >= until || until - from > time::Duration::days(LONGEST_DAYS) {
            return Err(error::invalid(
                "from",
                "must be before 'until', and by ten years at most",
            ));
        }
        let timezone = self.timezone.unwrap_or_else(|| "UTC".into());
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
        if timezone.is_empty() || timezone.len() > 64 || !timezone.bytes().all(sane) {
            return Err(error::invalid("timezone", "is no name of a time zone"));
        }
        let limit = self.limit.unwrap_or(1_000);
        if !(1..=10_000).contains(&limit) {
            return Err(error::invalid("limit", "must be between 1 and 10000"));
        }
        let filters = [
            ("country", self.country),
            ("referrer_host", self.referrer_host),
            ("referrer_class", self.referrer_class),
            ("browser", self.browser),
            ("os", self.os),
            ("device", self.device),
            ("language", self.language),
            ("utm_source", self.utm_source),
            ("utm_medium", self.utm_medium),
            ("utm_campaign", self.utm_campaign),
        ];
        let points = self.interval.map_or(0, |interval| match interval {
            Interval::Minute => (until - from).whole_minutes(),
            Interval::Hour => (until - from).whole_hours(),
            _ => (until - from).whole_days(),
        });
        if points > 10_000 {
            return Err(error::invalid(
                "interval",
                "gives more than 10000 points; ask for a shorter time or a longer interval",
            ));
        }
        Ok(Question {
            link_id: self.link_id,
            organization_id: self.organization_id,
            metric: self.metric,
            interval: self.interval,
            group_by: self.group_by,
            timezone,
            from,
            until,
            people_only: self.people_only.unwrap_or(false),
            filters: filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            limit,
        })
    }
}
