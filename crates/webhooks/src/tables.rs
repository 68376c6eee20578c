//! Makes the queues' tables where they are missing; several copies may start at once.

use foundation::Result;
use postgres_chassis::{quote_ident, translate};
use tokio_postgres::GenericClient;

/// The queue of table events and the functions that write to it, in the first schema of `search_path`.
pub const EVENT_TABLES: &str = include_str!("events_1.sql");
/// The queues of cron triggers and one-off events.
pub const SCHEDULE_TABLES: &str = include_str!("schedule_1.sql");

/// As `EVENT_TABLES` comments it.
const VERSION: &str = "1";

/// In the caller's transaction.
///
/// # Errors
/// The login may not make them.
pub async fn prepare_events(client: &impl GenericClient, schema: &str) -> Result<()> {
    let made =
        "select coalesce(obj_description(to_regprocedure(quote_ident($1) || '.portico_event()'), 'pg_proc'), '')";
    let row = client.query_one(made, &[&schema]).await;
    let row = row.map_err(|error| translate("looking for the event queue", error))?;
    if row.get::<_, &str>(0) == VERSION {
        return Ok(());
    }
    make_tables(client, schema, EVENT_TABLES).await
}

/// In the caller's transaction.
///
/// # Errors
/// The login may not make them.
pub async fn prepare_schedule(client: &impl GenericClient, schema: &str) -> Result<()> {
    let made = "select count(*) = 2 and to_regclass(quote_ident($1) || '.hdb_scheduled_event_invocation_logs') is not null
        from pg_attribute where attname = 'leased_until' and attrelid in
            (to_regclass(quote_ident($1) || '.hdb_cron_events'), to_regclass(quote_ident($1) || '.hdb_scheduled_events'))";
    let row = client.query_one(made, &[&schema]).await;
    let row = row.map_err(|error| translate("looking for the queues of scheduled events", error))?;
    if row.get(0) {
        return Ok(());
    }
    make_tables(client, schema, SCHEDULE_TABLES).await
}

/// Runs a script that makes tables in a schema, in the caller's transaction; several copies may start at once.
///
/// # Errors
/// The login may not make them.
pub async fn make_tables(client: &impl GenericClient, schema: &str, tables: &str) -> Result<()> {
    let schema = quote_ident(schema);
    let script = format!(
        "select pg_advisory_xact_lock(7306356);
         create schema if not exists {schema};
         select set_config('portico.path', current_setting('search_path'), true);
         set local search_path = {schema}, pg_temp;
         {tables}
         select set_config('search_path', current_setting('portico.path'), true)"
    );
    let made = client.batch_execute(&script).await;
    made.map_err(|error| translate("making the tables of webhooks", error))
}
