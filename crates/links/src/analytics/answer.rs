//! Answers a question with one statement on the source the plan names.

use super::{
    plan::{Source, source},
    question::{Dimension, Metric, Question},
};
use crate::{
    Links,
    clicks::{Sink, Sketch},
    error,
    manage::access::{SEEN, caller},
};
use foundation::{Principal, Result, Uuid};
use postgres_chassis::{Client, translate};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Point {
    /// Where the interval begins
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub at: Option<OffsetDateTime>,
    /// Of `group_by`; empty where a click has none
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Clicks or visitors
    pub count: i64,
    /// Machines among the clicks
    pub bots: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// `rollup` or `clicks`
    pub source: &'static str,
    pub points: Vec<Point>,
}

/// # Errors
/// The time zone is not known.
pub async fn answer(links: &Links, who: Option<&Principal>, question: &Question) -> Result<Answer> {
    let client = links.pool.client().await?;
    let (whole_hours, utc) = zone(links, &client, question).await?;
    let source = source(question, whole_hours, utc);
    if let (Source::Clicks, Sink::ClickHouse(_)) = (source, &links.clicks.sink) {
        return Err(error::clicks_elsewhere());
    }
    answer_from(&client, who, question, source).await
}

/// Whether its offsets in the range are whole hours, and whether they are all none.
async fn zone(links: &Links, client: &Client, question: &Question) -> Result<(bool, bool)> {
    let told = |error| translate("reading a time zone", error);
    if question.timezone == "UTC" {
        return Ok((true, true));
    }
    // The view reads hundreds of files each time it is asked.
    let names = links.time_zones.get_or_try_init(|| async {
        let rows = client.query("select name from pg_timezone_names", &[]).await;
        let rows = rows.map_err(|error| translate("reading the time zones", error))?;
        Ok::<_, foundation::Error>(rows.iter().map(|row| row.get(0)).collect::<HashSet<String>>())
    });
    if !names.await?.contains(&question.timezone) {
        return Err(error::invalid(
            "timezone",
            format!("'{}' is no name of a time zone", question.timezone),
        ));
    }
    let row = client
        .query_one(
            "select bool_and(extract(epoch from (at at time zone $1) - (at at time zone 'UTC'))::bigint % 3600 = 0),
                    bool_and(at at time zone $1 = at at time zone 'UTC')
             from generate_series($2::timestamptz, $3::timestamptz, interval '7 days') at",
            &[&question.timezone, &question.from, &question.until],
        )
        .await
        .map_err(told)?;
    Ok((row.get(0), row.get(1)))
}

/// `who`: `None` for a share, whose link is given.
async fn answer_from(client: &Client, who: Option<&Principal>, question: &Question, source: Source) -> Result<Answer> {
    let statement = statement(question, source);
    let who = who.and_then(caller);
    let values: Vec<&String> = question.filters.iter().map(|(_, value)| value).collect();
    let interval = question.interval.map(|interval| interval.as_str());
    let owner = question.organization_id.or(who);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &who,
        &question.from,
        &question.until,
        &question.timezone,
        &interval,
        &question.link_id,
        &question.organization_id,
        &question.limit,
    ];
    if matches!(source, Source::OwnerMinutes | Source::OwnerHours) {
        parameters.push(&owner);
    }
    for value in &values {
        parameters.push(value);
    }
    let rows = client
        .query(&statement, &parameters)
        .await
        .map_err(|error| translate("answering analytics", error))?;
    let points = if question.metric == Metric::Visitors && source == Source::LinkHours {
        merge(rows.iter().map(|row| (row.get(0), Sketch::from_bytes(row.get(2)))))
    } else {
        let point = |row: &postgres_chassis::Row| Point {
            at: row.get(0),
            value: row.get(1),
            count: row.get(2),
            bots: row.get(3),
        };
        rows.iter().map(point).collect()
    };
    let source = if source == Source::Clicks { "clicks" } else { "rollup" };
    Ok(Answer { source, points })
}

fn merge(rows: impl Iterator<Item = (Option<OffsetDateTime>, Sketch)>) -> Vec<Point> {
    let mut sketches: BTreeMap<Option<OffsetDateTime>, Sketch> = BTreeMap::new();
    for (at, sketch) in rows {
        sketches.entry(at).or_default().merge(&sketch);
    }
    let points = sketches.into_iter().map(|(at, sketch)| Point {
        at,
        value: None,
        count: i64::try_from(sketch.estimate()).unwrap_or(i64::MAX),
        bots: 0,
    });
    points.collect()
}

/// The only texts in it are ours: columns by their enum, values as parameters.
fn statement(question: &Question, source: Source) -> String {
    let links = format!(
        "t.link_id in (select t.id from links.links t where {SEEN} and ($6::uuid is null or t.id = $6) and ($7::uuid is null or t.organization_id = $7))"
    );
    // An owner is an organisation, or the caller with what is nobody else's. Administrators who name none see all.
    let owned = "($9::uuid is null or t.owner = $9) and ($7::uuid is null or $1::uuid is null
        or $7 in (select m.organization_id from links.members m where m.user_id = $1)) and $6::uuid is null";
    let (table, time, narrowed) = match source {
        Source::OwnerMinutes => ("links.rollup_owner_minutes", "t.minute", owned.to_owned()),
        Source::OwnerHours => ("links.rollup_owner_hours", "t.hour", owned.to_owned()),
        Source::LinkHours => ("links.rollup_link_hours", "t.hour", links),
        Source::LinkDays => ("links.rollup_link_days", "(t.day::timestamp at time zone 'UTC')", links),
        Source::Clicks => ("links.clicks", "t.clicked_at", links),
    };
    let point = match question.interval {
        Some(_) => format!("date_trunc($5, {time}, $4)"),
        None => "(null::timestamptz)".to_owned(),
    };
    let value = match (question.group_by, source) {
        (None, _) => "null::text".to_owned(),
        (Some(Dimension::Link), _) => "t.link_id::text".to_owned(),
        (Some(_), Source::OwnerHours | Source::LinkDays) => "t.value".to_owned(),
        (Some(dimension), _) => format!("coalesce(t.{}::text, '')", dimension.column()),
    };
    let mut filter = String::new();
    if let Source::OwnerHours | Source::LinkDays = source {
        // Each click is in each dimension once; few links have variants, so that one has the fewest rows.
        let whole = Dimension::Variant;
        let dimension = question.group_by.filter(|by| *by != Dimension::Link).unwrap_or(whole);
        filter = format!(" and t.dimension = '{}'", dimension.column());
    }
    for (place, (column, _)) in question.filters.iter().enumerate() {
        filter += &format!(" and coalesce(t.{column}, '') = ${}", 9 + place);
    }
    let (count, bots) = counts(question, source);
    // Without groups there is one number, also when it is none.
    let grouped = match (question.metric, source, question.interval, question.group_by) {
        (Metric::Visitors, Source::LinkHours, _, _) => " group by 1, 2, 3",
        (_, _, None, None) => "",
        _ => " group by 1, 2",
    };
    let order = if question.interval.is_some() {
        "1, 3 desc, 2"
    } else {
        "3 desc, 2"
    };
    // Named in every form, so that their types are known.
    let known = "($4::text is not null and ($5::text is null or true) and ($6::uuid is null or true) and ($7::uuid is null or true) and ($1::uuid is null or true))";
    format!(
        "select {point}, {value}, {count}, {bots} from {table} t
         where {known} and {time} >= $2 and {time} < $3 and {narrowed}{filter}{grouped} order by {order} limit $8"
    )
}

fn counts(question: &Question, source: Source) -> (&'static str, &'static str) {
    match (question.metric, source, question.people_only) {
        (Metric::Visitors, Source::LinkHours, _) => ("t.visitors", "0::bigint"),
        // A visitor's number is another each day, so these are visitors within their days.
        (Metric::Visitors, _, _) => ("count(distinct t.visitor) filter (where not t.bot)", "0::bigint"),
        (_, Source::Clicks, true) => ("count(*) filter (where not t.bot)", "0::bigint"),
        (_, Source::Clicks, false) => ("count(*)", "count(*) filter (where t.bot)"),
        (_, _, true) => ("coalesce(sum(t.clicks - t.bots), 0)::bigint", "0::bigint"),
        (_, _, false) => ("coalesce(sum(t.clicks), 0)::bigint", "coalesce(sum(t.bots), 0)::bigint"),
    }
}

/// The link of a share that still holds.
pub async fn shared(client: &Client, token: &str) -> Result<(Uuid, String)> {
    let row = client
        .query_opt(
            "select l.id, coalesce(l.title, l.slug) from links.shares s join links.links l on l.id = s.link_id
             where s.token = $1 and (s.expires_at is null or s.expires_at > now())",
            &[&token],
        )
        .await
        .map_err(|error| translate("finding a share", error))?;
    row.map(|row| (row.get(0), row.get(1)))
        .ok_or_else(|| error::not_found("share"))
}
