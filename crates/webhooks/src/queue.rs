//! A queue in PostgreSQL: what is due is taken under a lease, called, and its outcome written with it.

use crate::{body::Body, call::Outcome};
use foundation::Result;
use postgres_chassis::{Pool, quote_ident, translate};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_postgres::Row;

/// Who took an event has it so long; while a call runs it is renewed.
const LEASE_SECONDS: f64 = 60.0;

/// So long at most nobody looks whether a lease ran out.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Changes of tables.
    Table,
    Cron,
    OneOff,
}

impl Kind {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Cron => "cron",
            Kind::OneOff => "one_off",
        }
    }

    pub fn events(self) -> &'static str {
        match self {
            Kind::Table => "event_log",
            Kind::Cron => "hdb_cron_events",
            Kind::OneOff => "hdb_scheduled_events",
        }
    }

    pub fn logs(self) -> &'static str {
        match self {
            Kind::Table => "event_invocation_logs",
            Kind::Cron => "hdb_cron_event_invocation_logs",
            Kind::OneOff => "hdb_scheduled_event_invocation_logs",
        }
    }
}

#[derive(Clone)]
pub struct Queue {
    pub kind: Kind,
    pub pool: Pool,
    schema: String,
}

/// One event, taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub id: String,
    /// Of its trigger; empty for a one-off event.
    pub trigger: String,
    pub tries: i32,
    /// How late it is.
    pub late: Duration,
    /// What the webhook is told, but for what its trigger says.
    pub told: Body,
    /// Of the writer, as are these session variables.
    pub session: Option<Value>,
    pub trace: Option<String>,
    /// Its own webhook, headers and retries.
    pub own: Option<(Value, Option<Value>, Option<Value>)>,
}

/// What becomes of it.
pub enum Next {
    Done,
    Again(Duration),
    GivenUp,
    /// Not called at all.
    Dead,
}

impl Queue {
    pub fn new(kind: Kind, pool: Pool, schema: &str) -> Self {
        Queue {
            kind,
            pool,
            schema: quote_ident(schema),
        }
    }

    /// Takes what is due, the oldest first.
    pub async fn take(&self, triggers: &[String], most: usize) -> Result<Vec<Taken>> {
        let client = self.pool.client().await?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = match self.kind {
            Kind::OneOff => client.query(&self.take_sql(), &[&LEASE_SECONDS, &most]).await,
            _ => {
                client
                    .query(&self.take_sql(), &[&LEASE_SECONDS, &most, &triggers])
                    .await
            }
        };
        let rows = rows.map_err(|error| translate("taking events", error))?;
        Ok(rows.iter().map(|row| self.taken(row)).collect())
    }

    fn take_sql(&self) -> String {
        let schema = &self.schema;
        match self.kind {
            Kind::Table => format!(
                "with due as (
                     select id from {schema}.event_log
                     where delivered = false and error = false and archived = false and trigger_name = any ($3)
                         and (locked is null or locked < now() - make_interval(secs => $1))
                         and (next_retry_at is null or next_retry_at <= now() at time zone 'utc')
                     order by created_at limit $2 for update skip locked),
                 taken as (
                     update {schema}.event_log log set locked = now() from due where log.id = due.id returning log.*)
                 select id, trigger_name, tries,
                     extract(epoch from (now() at time zone 'utc') - coalesce(next_retry_at, created_at))::float8,
                     {}, payload::text, schema_name, table_name,
                     payload -> 'trace_context' ->> 'trace_id', payload -> 'trace_context' ->> 'span_id', payload -> 'session_variables'
                 from taken order by taken.created_at",
                told_time("created_at")
            ),
            Kind::Cron => format!(
                "with due as (
                     select id from {schema}.hdb_cron_events where trigger_name = any ($3) and {DUE}
                     order by scheduled_time limit $2 for update skip locked),
                 taken as (
                     update {schema}.hdb_cron_events log
                         set status = 'locked', leased_until = now() + make_interval(secs => $1)
                     from due where log.id = due.id returning log.*)
                 select id, trigger_name, tries, extract(epoch from now() - scheduled_time)::float8, {}
                 from taken order by taken.scheduled_time",
                told_time("scheduled_time at time zone 'utc'")
            ),
            Kind::OneOff => format!(
                "with due as (
                     select id from {schema}.hdb_scheduled_events where {DUE}
                     order by scheduled_time limit $2 for update skip locked),
                 taken as (
                     update {schema}.hdb_scheduled_events log
                         set status = 'locked', leased_until = now() + make_interval(secs => $1)
                     from due where log.id = due.id returning log.*)
                 select id, '', tries, extract(epoch from now() - scheduled_time)::float8, {}, payload::text, {},
                     comment, webhook_conf, header_conf, retry_conf
                 from taken order by taken.scheduled_time",
                told_time("scheduled_time at time zone 'utc'"),
                told_time("created_at at time zone 'utc'"),
            ),
        }
    }

    fn taken(&self, row: &Row) -> Taken {
        let (id, trigger): (String, String) = (row.get(0), row.get(1));
        let tries: i32 = row.get(2);
        let (mut trace, mut session, mut own) = (None, None, None);
        let time: &str = row.get(4);
        let told = Body::default().with("id", &id);
        let told = match self.kind {
            Kind::Table => {
                if let (Some(trace_id), Some(span_id)) = (row.get::<_, Option<&str>>(8), row.get::<_, Option<&str>>(9))
                {
                    trace = Some(format!("00-{trace_id}-{span_id}-01"));
                }
                session = row.get::<_, Option<Value>>(10).filter(|session| !session.is_null());
                told.with("created_at", time)
                    .with_json("event", row.get(5))
                    .with("trigger", &json!({ "name": trigger }))
                    .with(
                        "table",
                        &json!({"schema": row.get::<_, &str>(6), "name": row.get::<_, &str>(7)}),
                    )
            }
            Kind::Cron => told.with("name", &trigger).with("scheduled_time", time),
            Kind::OneOff => {
                own = Some((row.get(8), row.get(9), row.get(10)));
                told.with("scheduled_time", time)
                    .with_json("payload", row.get(5))
                    .with("created_at", row.get::<_, &str>(6))
                    .with("comment", &row.get::<_, Option<&str>>(7))
            }
        };
        Taken {
            id,
            trigger,
            tries,
            late: Duration::try_from_secs_f64(row.get(3)).unwrap_or_default(),
            told,
            session,
            trace,
            own,
        }
    }

    /// When to look again if nobody tells us before: tables in the interval, the clock's queues at their next time.
    pub async fn pause(&self, interval: Duration) -> Duration {
        match self.kind {
            Kind::Table => interval,
            Kind::Cron | Kind::OneOff => self.next_due().await.unwrap_or(interval).min(LONGEST_PAUSE),
        }
    }

    async fn next_due(&self) -> Result<Duration> {
        let sql = format!(
            "select extract(epoch from min(coalesce(next_retry_at, scheduled_time)) - now())::float8
             from {}.{} where status = 'scheduled'",
            self.schema,
            self.kind.events()
        );
        let row = self.pool.client().await?.query_one(&sql, &[]).await;
        let row = row.map_err(|error| translate("looking for the next event", error))?;
        let seconds: Option<f64> = row.get(0);
        let until = seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.05)).unwrap_or(LONGEST_PAUSE));
        Ok(until.unwrap_or(LONGEST_PAUSE))
    }

    /// Writes down a call and what becomes of the event, both or neither.
    pub async fn record(&self, event: &Taken, outcome: Option<&Outcome>, next: &Next) -> Result<()> {
        let client = self.pool.client().await?;
        let failed = |error| translate("writing down a webhook's call", error);
        let pause = match next {
            Next::Again(pause) => Some(pause.as_secs_f64()),
            _ => None,
        };
        let called = outcome.is_some();
        let (status, request, response) = match outcome {
            Some(outcome) => (outcome.status, outcome.request.clone(), outcome.response.clone()),
            None => (0, "null".to_owned(), "null".to_owned()),
        };
        let schema = &self.schema;
        let sql = match self.kind {
            Kind::Table => format!(
                "with call as (
                     insert into {schema}.event_invocation_logs (trigger_name, event_id, status, request, response)
                     select $2, $1, $4, $5::text::json, $6::text::json where $3)
                 update {schema}.event_log set locked = null, tries = tries + $3::int, delivered = $7 = 'delivered',
                     error = $7 in ('error', 'dead'),
                     next_retry_at = (now() at time zone 'utc') + make_interval(secs => $8)
                 where id = $1"
            ),
            Kind::Cron | Kind::OneOff => format!(
                "with call as (
                     insert into {schema}.{logs} (event_id, status, request, response)
                     select $1, $4, $5::text::json, $6::text::json where $3)
                 update {schema}.{events} set leased_until = null, tries = tries + $3::int, status = $7,
                     next_retry_at = now() + make_interval(secs => $8)
                 where id = $1 and $2::text is not null",
                logs = self.kind.logs(),
                events = self.kind.events(),
            ),
        };
        let word = match next {
            Next::Done => "delivered",
            Next::Again(_) => "scheduled",
            Next::GivenUp => "error",
            Next::Dead => "dead",
        };
        let done = client
            .execute(
                &sql,
                &[
                    &event.id,
                    &event.trigger,
                    &called,
                    &status,
                    &request,
                    &response,
                    &word,
                    &pause,
                ],
            )
            .await;
        done.map(drop).map_err(failed)
    }

    /// Calls that are still running keep their events.
    pub async fn renew(&self, ids: &[String]) -> Result<()> {
        let set = match self.kind {
            Kind::Table => "locked = now()".to_owned(),
            _ => format!("leased_until = now() + make_interval(secs => {LEASE_SECONDS})"),
        };
        self.touch(ids, &set).await
    }

    /// Gives back what was taken and not called.
    pub async fn release(&self, ids: &[String]) -> Result<()> {
        let set = match self.kind {
            Kind::Table => "locked = null",
            _ => "leased_until = null, status = 'scheduled'",
        };
        self.touch(ids, set).await
    }

    async fn touch(&self, ids: &[String], set: &str) -> Result<()> {
        let client = self.pool.client().await?;
        let statement = format!(
            "update {}.{} set {set} where id = any ($1)",
            self.schema,
            self.kind.events()
        );
        let done = client.execute(&statement, &[&ids]).await;
        done.map(drop).map_err(|error| translate("renewing a lease", error))
    }
}

/// Of those that are locked the lease ran out; Hasura's locks had none.
const DUE: &str = "(status = 'scheduled' and coalesce(next_retry_at, scheduled_time) <= now()
    or status = 'locked' and coalesce(leased_until, now()) <= now())";

/// A time in UTC as RFC 3339, without a fraction of nothing.
fn told_time(expression: &str) -> String {
    format!("replace(to_char({expression}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '.000000', '') || 'Z'")
}
