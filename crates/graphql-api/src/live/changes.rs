//! How we learn that a table changed. Statement triggers notify us; they are put on a table when the first subscription
//! reads it. Where they cannot be (a foreign table, no privilege), the cohort is asked again every second, unless the
//! database wrote nothing at all since.

use foundation::Result;
use postgres_chassis::{Pool, quote_ident, translate};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio_postgres::types::{ToSql, Type};

pub const CHANNEL: &str = "portico_live";

/// What a statement reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reads {
    /// `schema.table`, as the triggers tell it.
    pub tables: BTreeSet<String>,
    /// Something the plan does not show through: a function, a foreign table.
    pub opaque: bool,
}

/// Asks the planner: views and inlined functions show what they stand on.
pub async fn reads(pool: &Pool, sql: &str, params: &[Option<String>]) -> Result<Reads> {
    let client = pool.client().await?;
    let typed: Vec<(&(dyn ToSql + Sync), Type)> = params
        .iter()
        .map(|param| (param as &(dyn ToSql + Sync), Type::TEXT))
        .collect();
    let statement = format!("explain (verbose, format json) {sql}");
    let rows = client.query_typed(&statement, &typed).await;
    let rows = rows.map_err(|error| translate("explaining a subscription", error))?;
    let mut reads = Reads::default();
    for row in rows {
        walk(&row.get::<_, Value>(0), &mut reads);
    }
    Ok(reads)
}

fn walk(plan: &Value, reads: &mut Reads) {
    match plan {
        Value::Array(all) => all.iter().for_each(|one| walk(one, reads)),
        Value::Object(node) => {
            match node.get("Node Type").and_then(Value::as_str) {
                Some("Function Scan" | "Foreign Scan" | "Table Function Scan") => {
                    let name = node.get("Function Name").and_then(Value::as_str).unwrap_or_default();
                    // Those that only take their arguments apart read nothing.
                    reads.opaque |= !matches!(name, "unnest" | "jsonb_array_elements" | "json_array_elements");
                }
                _ => {
                    if let (Some(schema), Some(table)) = (
                        node.get("Schema").and_then(Value::as_str),
                        node.get("Relation Name").and_then(Value::as_str),
                    ) {
                        reads.tables.insert(format!("{schema}.{table}"));
                    }
                }
            }
            node.values().for_each(|inner| walk(inner, reads));
        }
        _ => {}
    }
}

/// Makes the trigger function where it is missing.
const FUNCTION: &str = "
create schema if not exists hdb_catalog;
create or replace function hdb_catalog.portico_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('portico_live', tg_table_schema || '.' || tg_table_name);
    return null;
end $$;";

/// A partition's changes may be told under its parent's name: both are watched.
const WITH_PARENTS: &str = "
with recursive up as (
    select c.oid, n.nspname, c.relname, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = any ($1)
    union
    select p.oid, n.nspname, p.relname, p.relkind from up
    join pg_inherits i on i.inhrelid = up.oid join pg_class p on p.oid = i.inhparent
    join pg_namespace n on n.oid = p.relnamespace)
select u.nspname, u.relname, u.relkind in ('r', 'p'),
    exists (select from pg_trigger t where t.tgrelid = u.oid and t.tgname = 'portico_changed')
from up u";

/// Puts triggers on what is read and names it with its parents; `Err` where that is not possible.
pub async fn watch(pool: &Pool, reads: &Reads) -> Result<BTreeSet<String>> {
    let failed = |error| translate("watching tables for changes", error);
    let client = pool.client().await?;
    let tables: Vec<&String> = reads.tables.iter().collect();
    let rows = client.query(WITH_PARENTS, &[&tables]).await.map_err(failed)?;
    let mut names = BTreeSet::new();
    let mut missing = String::new();
    for row in rows {
        let (schema, table): (&str, &str) = (row.get(0), row.get(1));
        let (possible, there): (bool, bool) = (row.get(2), row.get(3));
        if !possible {
            return Err(foundation::Error::internal(
                "watching tables for changes",
                format!("{schema}.{table} is no table"),
            ));
        }
        names.insert(format!("{schema}.{table}"));
        if !there {
            missing.push_str(&format!(
                "create trigger portico_changed after insert or update or delete or truncate on {}.{}
                 for each statement execute function hdb_catalog.portico_changed();",
                quote_ident(schema),
                quote_ident(table)
            ));
        }
    }
    if !missing.is_empty() {
        // The lock a trigger takes must not queue up behind a long transaction, with everybody else behind it.
        let script = format!(
            "begin; set local lock_timeout = '500ms'; select pg_advisory_xact_lock(7306355); {FUNCTION} {missing} commit"
        );
        if let Err(error) = client.batch_execute(&script).await {
            // It may have been aborted inside the transaction.
            let _ = client.batch_execute("rollback").await;
            return Err(failed(error));
        }
    }
    Ok(names)
}

/// Where the database's log stands: unchanged, nothing was written.
pub async fn position(pool: &Pool) -> Result<String> {
    let client = pool.client().await?;
    let row = client
        .query_one(
            "select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text",
            &[],
        )
        .await
        .map_err(|error| translate("reading the log's position", error))?;
    Ok(row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_are_found_at_any_depth_and_functions_are_opaque() {
        let mut found = Reads::default();
        walk(
            &json!([{"Plan": {"Node Type": "Result", "Plans": [
                {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "a"},
                {"Node Type": "Aggregate", "Plans": [{"Node Type": "Index Scan", "Schema": "s", "Relation Name": "b"}]},
            ]}}]),
            &mut found,
        );
        assert_eq!(found.tables.into_iter().collect::<Vec<_>>(), ["public.a", "s.b"]);
        assert!(!found.opaque);
        let mut opaque = Reads::default();
        walk(
            &json!({"Node Type": "Function Scan", "Function Name": "f"}),
            &mut opaque,
        );
        assert!(opaque.opaque);
    }
}
