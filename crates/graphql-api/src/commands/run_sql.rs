//! `run_sql`: any SQL, in the request's transaction. What it renamed is renamed in the metadata; what it took away is
//! refused while something depends on it.

use super::{Command, admin_only};
use crate::{dependents, draft::Draft, engine::Engine, identity::Identities, refusal::Refusal, split::statements};
use graphql::Session;
use metadata::{TableName, commands::bare};
use serde_json::{Value, json};
use tokio_postgres::{Error as PostgresError, SimpleQueryMessage};

struct Arguments<'a> {
    source: &'a str,
    sql: &'a str,
    cascade: bool,
    read_only: bool,
    no_transaction: bool,
    /// `None`: decided by what the SQL did.
    check: Option<bool>,
}

fn arguments(args: &Value) -> Result<Arguments<'_>, Refusal> {
    let Some(sql) = args["sql"].as_str() else {
        return Err(Refusal::new("parse-failed", "$.args", "key \"sql\" not found"));
    };
    let flag = |key: &str| args[key].as_bool();
    Ok(Arguments {
        source: args["source"].as_str().unwrap_or("default"),
        sql,
        cascade: flag("cascade").unwrap_or(false),
        read_only: flag("read_only").unwrap_or(false),
        no_transaction: flag("no_transaction").unwrap_or(false),
        check: flag("check_metadata_consistency"),
    })
}

/// `None`: another command.
pub async fn apply(draft: &mut Draft<'_>, name: &str, args: &Value) -> Option<Result<Value, Refusal>> {
    if bare(name) != "run_sql" {
        return None;
    }
    Some(match arguments(args) {
        Ok(arguments) => run(draft, &arguments).await,
        Err(refusal) => Err(refusal),
    })
}

async fn run(draft: &mut Draft<'_>, asked: &Arguments<'_>) -> Result<Value, Refusal> {
    if asked.read_only {
        let client = draft.transaction(asked.source).await?;
        let guarded = client
            .batch_execute("savepoint read_only; set local transaction_read_only = on")
            .await;
        guarded.map_err(|error| failed(&error, asked.sql))?;
        let answer = client
            .simple_query(asked.sql)
            .await
            .map_err(|error| failed(&error, asked.sql))?;
        let undone = client.batch_execute("rollback to savepoint read_only").await;
        undone.map_err(|error| failed(&error, asked.sql))?;
        return Ok(told(answer));
    }
    let client = draft.transaction(asked.source).await?;
    let before = Identities::read(&**client).await?;
    let answer = client
        .simple_query(asked.sql)
        .await
        .map_err(|error| failed(&error, asked.sql))?;
    if asked.check != Some(false) {
        let after = Identities::read(&**client).await?;
        let old = draft.catalogs.remove(asked.source);
        if let (false, Some(old)) = (asked.check.unwrap_or_else(|| changes_definitions(asked.sql)), old) {
            // New rows of an enumeration are seen when metadata is reloaded.
            draft.kept_values.insert(asked.source.to_owned(), old.enums.clone());
        }
        follow(draft, asked, &before, &after).await?;
    }
    Ok(told(answer))
}

/// Hasura's rule for when SQL is taken to change what metadata speaks of.
fn changes_definitions(sql: &str) -> bool {
    let sql = sql.to_lowercase();
    let words: Vec<&str> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let pair = |first: &str, second: &str| words.windows(2).any(|pair| pair == [first, second]);
    words.iter().any(|word| matches!(*word, "alter" | "drop" | "replace"))
        || pair("create", "function")
        || pair("comment", "on")
}

/// The metadata follows the database.
async fn follow(
    draft: &mut Draft<'_>,
    asked: &Arguments<'_>,
    before: &Identities,
    after: &Identities,
) -> Result<(), Refusal> {
    let wrong = draft.inconsistent.clone();
    if let Some(source) = draft.metadata.source_mut(asked.source) {
        before.rename(after, source);
        source
            .tables
            .retain(|entry| after.holds(&entry.table) || !before.holds(&entry.table));
        let is_gone = |name: &TableName| before.holds_function(name) && !after.holds_function(name);
        source.functions.retain(|entry| !is_gone(&entry.function));
        before.check_computed_fields(after, source)?;
    }
    draft.rebuild().await?;
    dependents::settle(draft, &wrong, asked.cascade).await
}

/// `no_transaction`: each statement by itself, nothing to undo.
pub async fn outside_transaction(
    engine: &Engine,
    session: &Session,
    command: &Command<'_>,
) -> Option<Result<Value, Refusal>> {
    if bare(command.name) != "run_sql" || command.args["no_transaction"] != true {
        return None;
    }
    if let Err(refusal) = admin_only(session) {
        return Some(Err(refusal));
    }
    let asked = match arguments(command.args) {
        Ok(asked) if asked.no_transaction => asked,
        Ok(_) => return None,
        Err(refusal) => return Some(Err(refusal)),
    };
    Some(run_apart(engine, &asked).await)
}

async fn run_apart(engine: &Engine, asked: &Arguments<'_>) -> Result<Value, Refusal> {
    let state = engine.state();
    let Some(connected) = state.sources.get(asked.source) else {
        let message = format!("source with name \"{}\" does not exist", asked.source);
        return Err(Refusal::new("not-exists", "$.args", message));
    };
    // What the statements set must not stay with a pooled connection.
    let client = crate::catalog_store::detached(connected.pool.client().await?);
    let mut last = Vec::new();
    for statement in statements(asked.sql) {
        last = client
            .simple_query(statement)
            .await
            .map_err(|error| failed(&error, statement))?;
    }
    engine.reload(true).await?;
    Ok(told(last))
}

/// The last statement's answer: its rows as text under their names, or that it was done.
fn told(messages: Vec<SimpleQueryMessage>) -> Value {
    let mut rows: Option<Vec<Value>> = None;
    let mut last: Option<Vec<Value>> = None;
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                let names = columns.iter().map(|column| Value::from(column.name()));
                rows = Some(vec![names.collect()]);
            }
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|at| Value::from(row.get(at).unwrap_or("NULL")));
                rows.get_or_insert_with(Vec::new).push(cells.collect());
            }
            SimpleQueryMessage::CommandComplete(_) => last = rows.take(),
            _ => {}
        }
    }
    match last {
        Some(rows) => json!({"result_type": "TuplesOk", "result": rows}),
        None => json!({"result_type": "CommandOk", "result": null}),
    }
}

fn failed(error: &PostgresError, sql: &str) -> Refusal {
    let mut refusal = Refusal::new("postgres-error", "$.args", "query execution failed");
    let told = match error.as_db_error() {
        Some(error) => json!({"exec_status": "FatalError", "hint": error.hint(), "message": error.message(),
            "status_code": error.code().code(), "description": error.detail()}),
        None => json!({"exec_status": "FatalError", "hint": null, "message": error.to_string(),
            "status_code": "", "description": null}),
    };
    refusal.error.internal = Some(Box::new(
        json!({"statement": sql, "prepared": false, "error": told, "arguments": []}),
    ));
    refusal
}
