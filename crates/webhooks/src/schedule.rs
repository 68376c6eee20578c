//! Cron expressions, and the rows that stand for their next times.

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions, parse_crontab_with};
use foundation::Result;
use metadata::CronTrigger;
use postgres_chassis::{quote_ident, translate};
use time::OffsetDateTime;
use tokio_postgres::GenericClient;

/// Of each trigger so many times are rows.
const AHEAD: usize = 100;

/// When a cron trigger is due.
#[derive(Debug)]
pub struct Schedule(Crontab);

impl Schedule {
    /// Five fields, in UTC; a time zone may follow.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        match parse_crontab_with(text, options) {
            Ok(crontab) => Ok(Schedule(crontab)),
            Err(error) => Err(format!("'{text}' is no cron expression: {error}")),
        }
    }

    /// The next times after `after`; none after the last one there is.
    pub fn next(&self, after: OffsetDateTime, most: usize) -> Vec<OffsetDateTime> {
        let Ok(start) = cronexpr::MakeTimestamp::from_second(after.unix_timestamp()) else {
            return Vec::new();
        };
        let Ok(times) = self.0.iter_after(start) else {
            return Vec::new();
        };
        let read = times.map_while(std::result::Result::ok).take(most);
        read.filter_map(|time| OffsetDateTime::from_unix_timestamp(time.timestamp().as_second()).ok())
            .collect()
    }
}

/// Makes rows of the triggers' next times where there are fewer than a hundred. `now` is the database's.
///
/// # Errors
/// The database does not do it.
pub async fn replenish(client: &impl GenericClient, schema: &str, triggers: &[CronTrigger]) -> Result<()> {
    if triggers.is_empty() {
        return Ok(());
    }
    let schema = quote_ident(schema);
    let failed = |error| translate("planning cron events", error);
    let names: Vec<&str> = triggers.iter().map(|trigger| trigger.name.as_str()).collect();
    let statement = format!(
        "select asked.name, count(event.id), coalesce(max(event.scheduled_time), now())
         from unnest($1::text[]) asked (name) left join {schema}.hdb_cron_events event
             on event.trigger_name = asked.name and event.status = 'scheduled' and event.scheduled_time > now()
         group by asked.name"
    );
    for row in client.query(&statement, &[&names]).await.map_err(failed)? {
        let (name, planned, last): (&str, i64, OffsetDateTime) = (row.get(0), row.get(1), row.get(2));
        let missing = AHEAD.saturating_sub(usize::try_from(planned).unwrap_or(AHEAD));
        let trigger = triggers.iter().find(|trigger| trigger.name == name);
        let Some(Ok(schedule)) = trigger.map(|trigger| Schedule::parse(&trigger.schedule)) else {
            continue;
        };
        let times = schedule.next(last, missing);
        let insert = format!(
            "insert into {schema}.hdb_cron_events (trigger_name, scheduled_time)
             select $1, unnest($2::timestamptz[]) on conflict do nothing"
        );
        client.execute(&insert, &[&name, &times]).await.map_err(failed)?;
    }
    Ok(())
}

/// In the transaction that saves metadata: triggers that are gone or have another schedule lose the times that were
/// planned, the new ones get theirs.
///
/// # Errors
/// The database does not do it.
pub async fn replan(
    client: &impl GenericClient,
    schema: &str,
    before: &[CronTrigger],
    after: &[CronTrigger],
) -> Result<()> {
    let same = |one: &CronTrigger| {
        after
            .iter()
            .any(|other| other.name == one.name && other.schedule == one.schedule)
    };
    let stale: Vec<&str> = before
        .iter()
        .filter(|one| !same(one))
        .map(|one| one.name.as_str())
        .collect();
    if !stale.is_empty() {
        let statement = format!(
            "delete from {}.hdb_cron_events where status = 'scheduled' and tries = 0 and trigger_name = any ($1)",
            quote_ident(schema)
        );
        let done = client.execute(&statement, &[&stale]).await;
        done.map_err(|error| translate("taking back cron events", error))?;
    }
    replenish(client, schema, after).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_follow_in_utc_or_in_the_zone_that_is_named() {
        let schedule = Schedule::parse("30 4 1,15 * 5").expect("an expression");
        // Either the day of the month or the day of the week.
        assert_eq!(
            schedule.next(datetime!(2026-01-01 04:30 UTC), 3),
            [
                datetime!(2026-01-02 04:30 UTC),
                datetime!(2026-01-09 04:30 UTC),
                datetime!(2026-01-15 04:30 UTC)
            ]
        );
        let berlin = Schedule::parse("0 9 * * * Europe/Berlin").expect("an expression");
        assert_eq!(
            berlin.next(datetime!(2026-07-01 00:00 UTC), 1),
            [datetime!(2026-07-01 07:00 UTC)]
        );
    }

    #[test]
    fn what_is_no_expression_is_told() {
        assert!(
            Schedule::parse("* * * *")
                .expect_err("too few")
                .starts_with("'* * * *' is no cron expression")
        );
        assert!(Schedule::parse("61 * * * *").is_err());
    }
}
