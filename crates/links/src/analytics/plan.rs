//! Where a question is answered from: the smallest rollup that answers it exactly, else the clicks themselves.

use super::question::{Dimension, Interval, Metric, Question};
use time::{OffsetDateTime, Time};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// (owner, minute): totals of an owner in time
    OwnerMinutes,
    /// (owner, hour, dimension): an owner's values
    OwnerHours,
    /// (link, hour), with its sketch of visitors
    LinkHours,
    /// (link, day, dimension): a link's values
    LinkDays,
    Clicks,
}

/// `whole_hours`: the time zone is whole hours from UTC all through the range. `utc`: it is UTC.
pub fn source(question: &Question, whole_hours: bool, utc: bool) -> Source {
    if !question.filters.is_empty() {
        return Source::Clicks;
    }
    let on_hours = starts(question.from, Interval::Hour) && starts(question.until, Interval::Hour);
    let on_minutes = starts(question.from, Interval::Minute) && starts(question.until, Interval::Minute);
    let on_days = starts(question.from, Interval::Day) && starts(question.until, Interval::Day);
    let fine = question.interval == Some(Interval::Minute);
    let hourly = on_hours && !fine && (whole_hours || question.interval.is_none());
    let daily = on_days
        && !matches!(question.interval, Some(Interval::Minute | Interval::Hour))
        && (utc || question.interval.is_none());
    match (question.metric, question.link_id, question.group_by) {
        (Metric::Visitors, Some(_), None) if hourly && question.interval.is_some() => Source::LinkHours,
        (Metric::Clicks, Some(_), None) if hourly => Source::LinkHours,
        (Metric::Clicks, Some(_), Some(dimension)) if daily && dimension != Dimension::Link => Source::LinkDays,
        (Metric::Clicks, None, None) if hourly => Source::OwnerHours,
        (Metric::Clicks, None, None) if on_minutes => Source::OwnerMinutes,
        (Metric::Clicks, None, Some(Dimension::Link)) => {
            if daily {
                Source::LinkDays
            } else if hourly {
                Source::LinkHours
            } else {
                Source::Clicks
            }
        }
        (Metric::Clicks, None, Some(_)) if hourly => Source::OwnerHours,
        _ => Source::Clicks,
    }
}

fn starts(at: OffsetDateTime, interval: Interval) -> bool {
    let time = at.to_offset(time::UtcOffset::UTC).time();
    match interval {
        Interval::Minute => time.second() == 0 && time.nanosecond() == 0,
        Interval::Hour => time.minute() == 0 && time.second() == 0 && time.nanosecond() == 0,
        _ => time == Time::MIDNIGHT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foundation::Uuid;
    use time::Duration;

    #[test]
    fn a_rollup_answers_only_what_it_answers_exactly() {
        let base = Question {
            link_id: None,
            organization_id: None,
            metric: Metric::Clicks,
            interval: Some(Interval::Day),
            group_by: None,
            timezone: "UTC".into(),
            from: OffsetDateTime::UNIX_EPOCH,
            until: OffsetDateTime::UNIX_EPOCH + Duration::days(7),
            people_only: false,
            filters: Vec::new(),
            limit: 100,
        };
        let link = Question {
            link_id: Some(Uuid::nil()),
            ..base.clone()
        };
        let by = |question: &Question| Question {
            group_by: Some(Dimension::Country),
            ..question.clone()
        };
        assert_eq!(source(&base, true, true), Source::OwnerHours);
        assert_eq!(source(&base, false, false), Source::OwnerMinutes);
        assert_eq!(source(&by(&base), true, false), Source::OwnerHours);
        let links = Question {
            group_by: Some(Dimension::Link),
            ..base.clone()
        };
        assert_eq!(source(&links, true, true), Source::LinkDays);
        assert_eq!(source(&links, true, false), Source::LinkHours);
        assert_eq!(source(&by(&base), false, false), Source::Clicks);
        assert_eq!(source(&link, true, false), Source::LinkHours);
        assert_eq!(source(&link, false, false), Source::Clicks);
        assert_eq!(source(&by(&link), true, true), Source::LinkDays);
        assert_eq!(source(&by(&link), true, false), Source::Clicks);
        let filtered = Question {
            filters: vec![("os", "iOS".into())],
            ..base.clone()
        };
        assert_eq!(source(&filtered, true, true), Source::Clicks);
        let crooked = Question {
            until: base.until + Duration::seconds(1),
            ..base
        };
        assert_eq!(source(&crooked, true, true), Source::Clicks);
    }
}
