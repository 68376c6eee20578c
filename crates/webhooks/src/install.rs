//! Brings the triggers of a database to what its metadata wants.

use crate::tables::prepare_events;
use foundation::{Error, Kind, Result};
use metadata::{Columns, EventTrigger, Source, TableName, Watched};
use postgres_chassis::{quote_ident, translate};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{GenericClient, error::SqlState};

/// Columns that are not told as PostgreSQL's JSON has them.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    /// Of PostGIS: told as GeoJSON.
    pub geojson: Vec<String>,
    /// Numbers that are told as text.
    pub text: Vec<String>,
}

/// One trigger of a table: its table, its name, the operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    table: (String, String),
    name: String,
    operation: &'static str,
}

const PREFIX: &str = "notify_hasura_";

impl Placed {
    /// The event trigger's name.
    fn trigger(&self) -> &str {
        let inner = self.name.strip_prefix(PREFIX).unwrap_or(&self.name);
        let ended = inner
            .strip_suffix(self.operation)
            .and_then(|inner| inner.strip_suffix('_'));
        ended.unwrap_or(inner)
    }
}

/// What it says, and whether it fires for replicated rows.
type Wanted = BTreeMap<Placed, (Value, bool)>;

/// `before` is what the source was: triggers of nobody's metadata are left alone, for the database may be another source's
/// too. `shapes` tells how a table's columns are told; there is no such table where it says nothing. In the caller's transaction.
///
/// # Errors
/// A table is locked by somebody for long, or the login may not make triggers.
pub async fn install(
    client: &impl GenericClient,
    schema: &str,
    before: Option<&Source>,
    source: &Source,
    shapes: &(dyn Fn(&TableName) -> Option<Shapes> + Sync),
) -> Result<()> {
    let (known, now) = (before.map(names).unwrap_or_default(), names(source));
    if known.is_empty() && now.is_empty() {
        return Ok(());
    }
    let wanted = wanted(source, shapes);
    let mut there = installed(client, schema).await?;
    there.retain(|placed, _| known.contains(placed.trigger()) || now.contains(placed.trigger()));
    let mut changes: Vec<(&Placed, Option<&(Value, bool)>)> = Vec::new();
    for (placed, ours) in &there {
        if !wanted.contains_key(placed) {
            changes.push((placed, None));
        } else if ours.as_ref() != wanted.get(placed) {
            changes.push((placed, wanted.get(placed)));
        }
    }
    let missing = wanted.iter().filter(|(placed, _)| !there.contains_key(placed));
    changes.extend(missing.map(|(placed, spec)| (placed, Some(spec))));
    prepare_events(client, schema).await?;
    if !changes.is_empty() {
        apply(client, schema, &changes).await?;
    }
    let gone: Vec<&str> = known.difference(&now).copied().collect();
    match gone.is_empty() {
        true => Ok(()),
        false => archive(client, schema, &gone).await,
    }
}

fn names(source: &Source) -> BTreeSet<&str> {
    triggers(source).map(|(_, trigger)| trigger.name.as_str()).collect()
}

async fn apply(client: &impl GenericClient, schema: &str, changes: &[(&Placed, Option<&(Value, bool)>)]) -> Result<()> {
    // A trigger's lock must not queue up behind a long transaction with every writer behind it.
    let guard = "select set_config('portico.lock_timeout', current_setting('lock_timeout'), true);
        set local lock_timeout = '5s'";
    let guarded = client.batch_execute(guard).await;
    guarded.map_err(|error| translate("guarding a trigger's lock", error))?;
    let call = format!(
        "select {}.portico_set_event_trigger($1, $2, $3, $4, $5, $6)",
        quote_ident(schema)
    );
    for (placed, spec) in changes {
        let (at_schema, table) = &placed.table;
        let (said, always) = match spec {
            Some((said, always)) => (Some(said), *always),
            None => (None, false),
        };
        let done = client
            .execute(
                &call,
                &[at_schema, table, &placed.name, &placed.operation, &said, &always],
            )
            .await;
        done.map_err(|error| refused(placed, error))?;
    }
    let unguarded = client
        .batch_execute("select set_config('lock_timeout', current_setting('portico.lock_timeout'), true)")
        .await;
    unguarded.map_err(|error| translate("guarding a trigger's lock", error))
}

fn refused(placed: &Placed, error: tokio_postgres::Error) -> Error {
    let table = format!("{}.{}", placed.table.0, placed.table.1);
    let message = match error.code() {
        Some(&SqlState::LOCK_NOT_AVAILABLE) => format!(
            "the event trigger's place on table \"{table}\" was not free within 5 seconds: a long transaction holds the \
             table (see pg_stat_activity); try again when it has ended"
        ),
        Some(_) => format!(
            "the event trigger cannot be put on table \"{table}\": {}",
            error.as_db_error().map(ToString::to_string).unwrap_or_default()
        ),
        None => return translate("installing an event trigger", error),
    };
    Error::new(Kind::Conflict, "EVENT_TRIGGER_NOT_INSTALLED", message).caused_by(error)
}

/// Events that nobody waits for any more are not told.
async fn archive(client: &impl GenericClient, schema: &str, names: &[&str]) -> Result<()> {
    let statement = format!(
        "update {}.event_log set archived = true
         where not delivered and not error and not archived and trigger_name = any ($1)",
        quote_ident(schema)
    );
    let done = client.execute(&statement, &[&names]).await;
    done.map(drop)
        .map_err(|error| translate("archiving a trigger's events", error))
}

fn triggers(source: &Source) -> impl Iterator<Item = (&TableName, &EventTrigger)> {
    let tables = source.tables.iter();
    tables.flat_map(|entry| entry.event_triggers.iter().map(|trigger| (&entry.table, trigger)))
}

fn wanted(source: &Source, shapes: &(dyn Fn(&TableName) -> Option<Shapes> + Sync)) -> Wanted {
    let mut wanted = Wanted::new();
    for (table, trigger) in triggers(source) {
        let Some(shapes) = shapes(table) else {
            continue;
        };
        for (operation, watched) in trigger.definition.each() {
            let placed = Placed {
                table: (table.schema.clone(), table.name.clone()),
                name: format!("{PREFIX}{}_{operation}", trigger.name),
                operation,
            };
            let said = said(table, trigger, operation, watched, &shapes);
            wanted.insert(placed, (said, trigger.trigger_on_replication));
        }
    }
    wanted
}

fn said(table: &TableName, trigger: &EventTrigger, operation: &str, watched: &Watched, shapes: &Shapes) -> Value {
    let mut said = Map::new();
    let mut say = |key: &str, value: Value| drop(said.insert(key.to_owned(), value));
    say("trigger", json!(trigger.name));
    say("schema", json!(table.schema));
    say("table", json!(table.name));
    let listed = |columns: &Columns| match columns {
        Columns::List(names) => Some(names.clone()),
        Columns::Star(_) => None,
    };
    if let (Some(columns), "UPDATE") = (listed(&watched.columns), operation) {
        say("columns", json!(columns));
    }
    if let Some(payload) = watched.payload.as_ref().and_then(listed) {
        say("payload", json!(payload));
    }
    if !shapes.text.is_empty() {
        say("text", json!(shapes.text));
    }
    if !shapes.geojson.is_empty() {
        say("geojson", json!(shapes.geojson));
    }
    Value::Object(said)
}

/// The event triggers a database has; `None` where it is not of our making (Hasura's own, before we took over).
async fn installed(client: &impl GenericClient, schema: &str) -> Result<BTreeMap<Placed, Option<(Value, bool)>>> {
    let statement = "
        select n.nspname, c.relname, t.tgname, t.tgenabled = 'A', f.nspname = $1 and p.proname = 'portico_event',
            convert_from(rtrim(t.tgargs, '\\x00'), getdatabaseencoding())
        from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
        join pg_proc p on p.oid = t.tgfoid join pg_namespace f on f.oid = p.pronamespace
        where not t.tgisinternal and t.tgparentid = 0 and t.tgname like 'notify\\_hasura\\_%'";
    let rows = client.query(statement, &[&schema]).await;
    let rows = rows.map_err(|error| translate("reading event triggers", error))?;
    let mut there = BTreeMap::new();
    for row in rows {
        let name: String = row.get(2);
        let Some(operation) = operation_of(&name) else {
            continue;
        };
        let (always, ours): (bool, bool) = (row.get(3), row.get(4));
        let said = serde_json::from_str(row.get(5)).ok().filter(|_| ours);
        let placed = Placed {
            table: (row.get(0), row.get(1)),
            name,
            operation,
        };
        there.insert(placed, said.map(|said| (said, always)));
    }
    Ok(there)
}

fn operation_of(name: &str) -> Option<&'static str> {
    ["INSERT", "UPDATE", "DELETE"]
        .into_iter()
        .find(|operation| name.strip_suffix(operation).is_some_and(|before| before.ends_with('_')))
}
