//! What people ask of the queues and do to single events.

use crate::queue::Kind;
use foundation::{Error, Result};
use metadata::TableName;
use postgres_chassis::{quote_ident, translate};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_postgres::{GenericClient, types::ToSql};

/// The queues of one schema.
#[derive(Clone, Copy)]
pub struct Log<'a, C> {
    client: &'a C,
    schema: &'a str,
}

/// A part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub limit: Option<i64>,
    pub offset: i64,
}

/// What events of the scheduled kinds are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub trigger: Option<String>,
    pub event: Option<String>,
    /// Empty: any.
    pub status: Vec<String>,
}

/// A single event to come.
#[derive(Debug, Clone)]
pub struct OneOff {
    pub webhook: Value,
    pub at: OffsetDateTime,
    pub payload: Option<Value>,
    pub headers: Option<Value>,
    pub retry: Option<Value>,
    pub comment: Option<String>,
}

impl<'a, C: GenericClient> Log<'a, C> {
    pub fn new(client: &'a C, schema: &'a str) -> Self {
        Log { client, schema }
    }

    fn table(&self, name: &str) -> String {
        format!("{}.{name}", quote_ident(self.schema))
    }

    /// An event that no row caused; its id.
    pub async fn invoke(&self, trigger: &str, table: &TableName, payload: &Value, session: &Value) -> Result<String> {
        let told = json!({"op": "MANUAL", "data": {"old": null, "new": payload}, "session_variables": session,
            "trace_context": null});
        let sql = format!(
            "insert into {} (schema_name, table_name, trigger_name, payload, created_at)
             values ($1, $2, $3, $4, now() at time zone 'utc') returning id, pg_notify('portico_events', '')::text",
            self.table("event_log")
        );
        let row = self
            .client
            .query_one(&sql, &[&table.schema, &table.name, &trigger, &told])
            .await;
        row.map(|row| row.get(0))
            .map_err(|error| translate("invoking an event trigger", error))
    }

    /// To be told again, with all its tries; `None`: there is no such event, `false`: it is being told now.
    pub async fn redeliver(&self, id: &str) -> Result<Option<bool>> {
        let events = self.table("event_log");
        let sql = format!(
            "with asked as (select id, locked > now() - interval '1 minute' as busy from {events} where id = $1 for update),
                 again as (
                     update {events} log set delivered = false, error = false, archived = false, tries = 0,
                         locked = null, next_retry_at = null
                     from asked where log.id = asked.id and asked.busy is not true)
             select busy is not true, pg_notify('portico_events', '')::text from asked"
        );
        let row = self.client.query_opt(&sql, &[&id]).await;
        let row = row.map_err(|error| translate("redelivering an event", error))?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Events of a trigger, the newest first; `pending` and `processed` are two of them, else all.
    pub async fn events(&self, trigger: &str, status: Option<&str>, page: Page) -> Result<Value> {
        let what = match status {
            Some("pending") => "and not delivered and not error and not archived",
            Some("processed") => "and (delivered or error) and not archived",
            _ => "",
        };
        let sql = format!(
            "select * from {} where trigger_name = $1 {what}",
            self.table("event_log")
        );
        self.list(&sql, "created_at desc", &[&trigger], page).await
    }

    pub async fn invocations(&self, trigger: &str, page: Page) -> Result<Value> {
        let sql = format!(
            "select call.*, event.trigger_name as of from {} call join {} event on event.id = call.event_id
             where event.trigger_name = $1",
            self.table("event_invocation_logs"),
            self.table("event_log")
        );
        let sql = format!(
            "select id, of as trigger_name, event_id, status, request, response, created_at from ({sql}) calls"
        );
        self.list(&sql, "created_at desc", &[&trigger], page).await
    }

    /// An event with its calls; `None`: there is none.
    pub async fn event(&self, id: &str, page: Page) -> Result<Option<Value>> {
        let sql = format!("select * from {} where id = $1", self.table("event_log"));
        let one = self
            .list(
                &sql,
                "id",
                &[&id],
                Page {
                    limit: Some(1),
                    offset: 0,
                },
            )
            .await?;
        let Some(event) = one.get(0).filter(|event| event.is_object()) else {
            return Ok(None);
        };
        let sql = format!(
            "select * from {} where event_id = $1",
            self.table("event_invocation_logs")
        );
        let calls = self.list(&sql, "created_at desc", &[&id], page).await?;
        Ok(Some(json!({"event": event, "invocations": calls})))
    }

    /// The id of the event made.
    pub async fn schedule(&self, event: &OneOff) -> Result<String> {
        let sql = format!(
            "insert into {} (webhook_conf, scheduled_time, payload, header_conf, retry_conf, comment)
             values ($1, $2, $3, $4, $5, $6) returning id",
            self.table("hdb_scheduled_events")
        );
        let row = self
            .client
            .query_one(
                &sql,
                &[
                    &event.webhook,
                    &event.at,
                    &event.payload,
                    &event.headers,
                    &event.retry,
                    &event.comment,
                ],
            )
            .await;
        row.map(|row| row.get(0))
            .map_err(|error| translate("making a scheduled event", error))
    }

    /// Whether there was one.
    pub async fn cancel(&self, kind: Kind, id: &str) -> Result<bool> {
        let sql = format!("delete from {} where id = $1", self.table(kind.events()));
        let gone = self.client.execute(&sql, &[&id]).await;
        gone.map(|gone| gone > 0)
            .map_err(|error| translate("deleting a scheduled event", error))
    }

    /// Scheduled events in the order of their times, and how many there are in all where it is asked.
    pub async fn scheduled(
        &self,
        kind: Kind,
        filter: &Filter,
        page: Page,
        count: bool,
    ) -> Result<(Value, Option<i64>)> {
        let own = match kind {
            Kind::Cron => "trigger_name",
            _ => "webhook_conf, payload, header_conf, retry_conf, comment",
        };
        let sql = format!(
            "select id, {own}, scheduled_time, status, tries, created_at, next_retry_at from {} event
             where {} and ($3::text[] = '{{}}' or status = any ($3))",
            self.table(kind.events()),
            asked_for(kind, filter),
        );
        let params: [&(dyn ToSql + Sync); 3] = [&filter.trigger, &filter.event, &filter.status];
        self.counted(&sql, "scheduled_time", &params, page, count).await
    }

    /// Their calls, the newest first.
    pub async fn scheduled_calls(
        &self,
        kind: Kind,
        filter: &Filter,
        page: Page,
        count: bool,
    ) -> Result<(Value, Option<i64>)> {
        let sql = format!(
            "select call.* from {} call join {} event on event.id = call.event_id where {}",
            self.table(kind.logs()),
            self.table(kind.events()),
            asked_for(kind, filter),
        );
        let params: [&(dyn ToSql + Sync); 2] = [&filter.trigger, &filter.event];
        self.counted(&sql, "created_at desc", &params, page, count).await
    }

    async fn counted(
        &self,
        sql: &str,
        order: &str,
        params: &[&(dyn ToSql + Sync)],
        page: Page,
        count: bool,
    ) -> Result<(Value, Option<i64>)> {
        let list = self.list(sql, order, params, page).await?;
        if !count {
            return Ok((list, None));
        }
        let counting = format!("select count(*) from ({sql}) counted");
        let row = self.client.query_one(&counting, params).await;
        let row = row.map_err(|error| translate("counting events", error))?;
        Ok((list, Some(row.get(0))))
    }

    async fn list(&self, sql: &str, order: &str, params: &[&(dyn ToSql + Sync)], page: Page) -> Result<Value> {
        let limit = page.limit.map_or_else(|| "all".to_owned(), |limit| limit.to_string());
        let sql = format!(
            "select coalesce(json_agg(listed), '[]')::text
             from ({sql} order by {order} limit {limit} offset {}) listed",
            page.offset
        );
        let row = self.client.query_one(&sql, params).await;
        let row = row.map_err(|error| translate("listing events", error))?;
        serde_json::from_str(row.get(0)).map_err(|error| Error::internal("listing events", error))
    }
}

/// Of the trigger `$1`, or the event `$2`.
fn asked_for(kind: Kind, filter: &Filter) -> &'static str {
    match (kind, filter.event.is_some()) {
        (_, true) => "event.id = $2 and ($1::text is null or true)",
        (Kind::Cron, false) => "event.trigger_name = $1 and $2::text is null",
        (_, false) => "$1::text is null and $2::text is null",
    }
}
