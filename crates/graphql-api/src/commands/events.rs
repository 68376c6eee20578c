//! Commands about single events: invoke, redeliver, schedule, cancel, and what was called for them.

use super::success;
use crate::{draft::Draft, refusal::Refusal, session, triggers::events_schema};
use metadata::{Header, ScheduleRetryConf, TableName, commands::bare};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use webhooks::{Filter, Kind, Log, OneOff, Page};

/// Lists are no longer than this unless more is asked for.
const USUAL_LIMIT: i64 = 100;

pub async fn apply(draft: &mut Draft<'_>, name: &str, args: &Value) -> Option<Result<Value, Refusal>> {
    let asked = Asked(args);
    Some(match bare(name) {
        "invoke_event_trigger" => invoke(draft, asked).await,
        "redeliver_event" => redeliver(draft, asked).await,
        "get_event_logs" => event_logs(draft, asked).await,
        "get_event_invocation_logs" => invocation_logs(draft, asked).await,
        "get_event_by_id" => event_by_id(draft, asked).await,
        "create_scheduled_event" => schedule(draft, asked).await,
        "delete_scheduled_event" => cancel(draft, asked).await,
        "get_scheduled_events" => scheduled(draft, asked).await,
        "get_scheduled_event_invocations" => scheduled_calls(draft, asked).await,
        "get_cron_triggers" => Ok(json!({ "cron_triggers": draft.metadata.cron_triggers })),
        _ => return None,
    })
}

/// A command's arguments.
#[derive(Clone, Copy)]
struct Asked<'a>(&'a Value);

impl<'a> Asked<'a> {
    fn text(self, key: &str) -> Result<&'a str, Refusal> {
        let missing = || Refusal::new("parse-failed", "$.args", format!("key \"{key}\" not found"));
        let given = self.0.get(key).filter(|given| !given.is_null()).ok_or_else(missing)?;
        let wrong = || Refusal::new("parse-failed", format!("$.args.{key}"), "expected String");
        given.as_str().ok_or_else(wrong)
    }

    /// Of its shape where it is given.
    fn optional<T: DeserializeOwned>(self, key: &str) -> Result<Option<T>, Refusal> {
        let given = self.0.get(key).filter(|given| !given.is_null());
        let read = given.map(|given| serde_json::from_value(given.clone())).transpose();
        read.map_err(|error| Refusal::new("parse-failed", format!("$.args.{key}"), error.to_string()))
    }

    fn source(self) -> &'a str {
        self.0["source"].as_str().unwrap_or("default")
    }

    fn page(self, limit: &str, offset: &str, usual: Option<i64>) -> Result<Page, Refusal> {
        let count = |key: &str| match self.optional::<i64>(key)? {
            Some(below) if below < 0 => {
                let message = "unexpected negative value";
                Err(Refusal::new("parse-failed", format!("$.args.{key}"), message))
            }
            given => Ok(given),
        };
        Ok(Page {
            limit: count(limit)?.or(usual),
            offset: count(offset)?.unwrap_or(0),
        })
    }

    fn kind(self) -> Result<Kind, Refusal> {
        match self.text("type")? {
            "cron" => Ok(Kind::Cron),
            "one_off" => Ok(Kind::OneOff),
            other => {
                let message = format!("expected value 'one_off' or 'cron', not '{other}'");
                Err(Refusal::new("parse-failed", "$.args.type", message))
            }
        }
    }

    fn filter(self, kind: Kind) -> Result<Filter, Refusal> {
        let status: Option<Vec<String>> = self.optional("status")?;
        let event: Option<String> = self.optional("event_id")?;
        let trigger = match kind {
            Kind::Cron if event.is_none() => Some(self.text("trigger_name")?.to_owned()),
            _ => None,
        };
        Ok(Filter {
            trigger,
            event,
            status: status.unwrap_or_default(),
        })
    }
}

/// The table of an event trigger of the source.
fn table_of<'d>(draft: &'d Draft<'_>, source: &str, name: &str) -> Result<(&'d TableName, bool), Refusal> {
    let tables = draft
        .metadata
        .source(source)
        .into_iter()
        .flat_map(|source| &source.tables);
    let found = tables.flat_map(|entry| entry.event_triggers.iter().map(move |one| (&entry.table, one)));
    let found = found.into_iter().find(|(_, one)| one.name == name);
    let found = found.map(|(table, one)| (table, one.definition.enable_manual));
    found.ok_or_else(|| {
        let message = format!("event trigger with name \"{name}\" does not exist in source \"{source}\"");
        Refusal::new("not-exists", "$.args.name", message)
    })
}

async fn invoke(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let (name, source) = (asked.text("name")?, asked.source());
    let payload: Value = asked.optional("payload")?.unwrap_or_default();
    let (table, manual) = table_of(draft, source, name)?;
    if !manual {
        let message = format!("manual mode is not enabled for event trigger: \"{name}\"; set enable_manual");
        return Err(Refusal::new("not-supported", "$.args", message));
    }
    let (table, schema) = (table.clone(), events_schema(&draft.engine.settings, source));
    let variables = session::variables(draft.session());
    draft.prepare_events(source).await?;
    let client = draft.transaction(source).await?;
    let id = Log::new(&**client, schema)
        .invoke(name, &table, &payload, &variables)
        .await?;
    Ok(json!({ "event_id": id }))
}

async fn redeliver(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let (id, source) = (asked.text("event_id")?, asked.source());
    let schema = events_schema(&draft.engine.settings, source);
    draft.prepare_events(source).await?;
    let client = draft.transaction(source).await?;
    match Log::new(&**client, schema).redeliver(id).await? {
        Some(true) => Ok(success()),
        Some(false) => Err(Refusal::new("busy", "$.args", "event is already being processed")),
        None => Err(Refusal::new("not-exists", "$.args", "event not found")),
    }
}

async fn event_logs(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let (name, source) = (asked.text("name")?, asked.source());
    let status: Option<String> = asked.optional("status")?;
    if let Some(other) = status
        .as_deref()
        .filter(|status| !matches!(*status, "pending" | "processed" | "all"))
    {
        let message = format!("expected value 'pending' or 'processed', not '{other}'");
        return Err(Refusal::new("parse-failed", "$.args.status", message));
    }
    let page = asked.page("limit", "offset", Some(USUAL_LIMIT))?;
    table_of(draft, source, name)?;
    let schema = events_schema(&draft.engine.settings, source);
    draft.prepare_events(source).await?;
    let client = draft.transaction(source).await?;
    Ok(Log::new(&**client, schema)
        .events(name, status.as_deref(), page)
        .await?)
}

async fn invocation_logs(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let (name, source) = (asked.text("name")?, asked.source());
    let page = asked.page("limit", "offset", Some(USUAL_LIMIT))?;
    table_of(draft, source, name)?;
    let schema = events_schema(&draft.engine.settings, source);
    draft.prepare_events(source).await?;
    let client = draft.transaction(source).await?;
    Ok(Log::new(&**client, schema).invocations(name, page).await?)
}

async fn event_by_id(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let (id, source) = (asked.text("event_id")?, asked.source());
    let page = asked.page("invocation_log_limit", "invocation_log_offset", Some(USUAL_LIMIT))?;
    let schema = events_schema(&draft.engine.settings, source);
    draft.prepare_events(source).await?;
    let client = draft.transaction(source).await?;
    let found = Log::new(&**client, schema).event(id, page).await?;
    found.ok_or_else(|| Refusal::new("not-exists", "$.args", "event not found"))
}

async fn schedule(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let at = asked.text("schedule_at")?;
    let headers: Option<Vec<Header>> = asked.optional("headers")?;
    let retry: Option<ScheduleRetryConf> = asked.optional("retry_conf")?;
    let event = OneOff {
        webhook: json!(asked.text("webhook")?),
        at: OffsetDateTime::parse(at, &Rfc3339).map_err(|error| {
            let message = format!("'{at}' is no time such as 2030-01-31T09:00:00Z: {error}");
            Refusal::new("parse-failed", "$.args.schedule_at", message)
        })?,
        payload: asked.optional("payload")?,
        headers: headers.map(|headers| json!(headers)),
        retry: retry.map(|retry| json!(retry)),
        comment: asked.optional("comment")?,
    };
    let environment = &draft.engine.settings.webhooks.environment;
    let (given, retry) = (event.headers.clone(), event.retry.clone());
    webhooks::Hook::of_row(&event.webhook, given, retry, environment)
        .map_err(|message| Refusal::new("validation-failed", "$.args", message))?;
    let schema = draft.engine.settings.metadata_schema;
    let client = draft.clock().await?;
    let id = Log::new(&**client, schema).schedule(&event).await?;
    Ok(json!({"message": "success", "event_id": id}))
}

async fn cancel(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let (kind, id) = (asked.kind()?, asked.text("event_id")?);
    let schema = draft.engine.settings.metadata_schema;
    let client = draft.clock().await?;
    match Log::new(&**client, schema).cancel(kind, id).await? {
        true => Ok(success()),
        false => {
            let message = format!("scheduled event with id \"{id}\" not found");
            Err(Refusal::new("not-exists", "$.args", message))
        }
    }
}

async fn scheduled(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let kind = asked.kind()?;
    let (filter, page) = (asked.filter(kind)?, asked.page("limit", "offset", None)?);
    let count = asked.optional("get_rows_count")?.unwrap_or(false);
    let schema = draft.engine.settings.metadata_schema;
    let client = draft.clock().await?;
    let (events, count) = Log::new(&**client, schema)
        .scheduled(kind, &filter, page, count)
        .await?;
    Ok(counted("events", events, count))
}

async fn scheduled_calls(draft: &mut Draft<'_>, asked: Asked<'_>) -> Result<Value, Refusal> {
    let kind = asked.kind()?;
    let (filter, page) = (asked.filter(kind)?, asked.page("limit", "offset", None)?);
    let count = asked.optional("get_rows_count")?.unwrap_or(false);
    let schema = draft.engine.settings.metadata_schema;
    let client = draft.clock().await?;
    let (calls, count) = Log::new(&**client, schema)
        .scheduled_calls(kind, &filter, page, count)
        .await?;
    Ok(counted("invocations", calls, count))
}

fn counted(key: &str, list: Value, count: Option<i64>) -> Value {
    match count {
        Some(count) => json!({"count": count, key: list}),
        None => json!({ key: list }),
    }
}
