//! Schema migrations: forward only, one history per schema, safe when several copies start at once.
//!
//! Applied steps are compared by checksum: a step that was edited after it ran is refused, because the database would no
//! longer be what the code believes.

use crate::{DatabaseUrl, Pool, PoolSize, quote_ident, roles, translate, trust};
use aws_lc_rs::digest;
use foundation::{Error, Kind, Result};
use tokio_postgres::Client;

/// Any number will do, as long as every copy uses the same one.
const LOCK: i64 = 0x706f_7274_6963_6f00;

/// A service's `MIGRATIONS`.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    pub schema: &'static str,
    pub steps: &'static [Migration],
}

#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// `0001_users`; unique in its schema, and the order.
    pub name: &'static str,
    pub sql: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub schema: &'static str,
    pub name: &'static str,
    /// RFC 3339, `None` while pending.
    pub applied_at: Option<String>,
}

/// Applies what is pending, makes the login roles, and answers with each schema's own login in the order given.
///
/// # Errors
/// `MIGRATION_FAILED`, naming the step; the step's transaction is rolled back, earlier ones stay.
pub async fn migrate(owner: &DatabaseUrl, all: &[Migrations]) -> Result<Vec<DatabaseUrl>> {
    let pool = Pool::open(owner, "portico migrate", single())?;
    let client = pool.client().await?;
    client
        .batch_execute("set statement_timeout = 0")
        .await
        .map_err(|error| translate("migrate", error))?;
    client
        .execute("select pg_advisory_lock($1)", &[&LOCK])
        .await
        .map_err(|error| translate("waiting for other copies", error))?;
    let result = migrate_locked(&client, owner, all).await;
    // The lock goes with the connection in any case.
    let _ = client.execute("select pg_advisory_unlock($1)", &[&LOCK]).await;
    pool.close();
    result
}

async fn migrate_locked(client: &Client, owner: &DatabaseUrl, all: &[Migrations]) -> Result<Vec<DatabaseUrl>> {
    apply(client, &trust::MIGRATIONS).await?;
    let mut logins = Vec::with_capacity(all.len());
    for migrations in all {
        apply(client, migrations).await?;
        let login = roles::ensure(client, owner, migrations.schema).await?;
        logins.push(login.unwrap_or_else(|| owner.clone()));
        trust::grant(client, migrations.schema).await?;
    }
    Ok(logins)
}

async fn apply(client: &Client, migrations: &Migrations) -> Result<()> {
    let history = prepare_history(client, migrations.schema).await?;
    for step in migrations.steps {
        let sum = checksum(step.sql);
        match history.iter().find(|(name, ..)| name == step.name) {
            Some((_, applied, _)) if *applied == sum => continue,
            Some(_) => {
                let message = format!(
                    "Migration {}/{} was changed after it ran; restore the file it ran from, or add a new step",
                    migrations.schema, step.name
                );
                return Err(Error::new(Kind::Conflict, "MIGRATION_CHANGED", message));
            }
            None => run_step(client, migrations.schema, step, &sum).await?,
        }
    }
    Ok(())
}

async fn run_step(client: &Client, schema: &'static str, step: &Migration, sum: &str) -> Result<()> {
    let record = format!(
        "insert into {}.schema_migrations (name, checksum) values ('{}', '{sum}')",
        quote_ident(schema),
        step.name.replace('\'', "''")
    );
    let path = quote_ident(schema);
    let script = format!(
        "begin;\nset local search_path = {path}, pg_temp;\n{}\n;{record};\ncommit;",
        step.sql
    );
    if let Err(error) = client.batch_execute(&script).await {
        // The failed statement aborted the transaction already.
        let _ = client.batch_execute("rollback").await;
        let told = error
            .as_db_error()
            .map_or_else(|| error.to_string(), |db| db.message().to_owned());
        let message = format!("Migration {schema}/{} failed and was rolled back: {told}", step.name);
        return Err(Error::new(Kind::Internal, "MIGRATION_FAILED", message).caused_by(error));
    }
    tracing::info!(schema, step = step.name, "migration applied");
    Ok(())
}

/// (name, checksum, RFC 3339 time)
type History = Vec<(String, String, String)>;

async fn prepare_history(client: &Client, schema: &str) -> Result<History> {
    let quoted = quote_ident(schema);
    let create = format!(
        "create schema if not exists {quoted};
         create table if not exists {quoted}.schema_migrations (
             name text primary key,
             checksum text not null,
             applied_at timestamptz not null default now()
         )"
    );
    client
        .batch_execute(&create)
        .await
        .map_err(|error| translate("preparing the migration history", error))?;
    read_history(client, schema).await
}

async fn read_history(client: &Client, schema: &str) -> Result<History> {
    let select = format!(
        "select name, checksum, to_char(applied_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
         from {}.schema_migrations order by name",
        quote_ident(schema)
    );
    let rows = client
        .query(&select, &[])
        .await
        .map_err(|error| translate("reading the migration history", error))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// Every step of every schema, applied or pending; changes nothing.
pub async fn status(owner: &DatabaseUrl, all: &[Migrations]) -> Result<Vec<Status>> {
    let pool = Pool::open(owner, "portico migrate status", single())?;
    let client = pool.client().await?;
    let mut rows = Vec::new();
    for migrations in std::iter::once(&trust::MIGRATIONS).chain(all) {
        let table = format!("{}.schema_migrations", quote_ident(migrations.schema));
        let present = client
            .query_one("select to_regclass($1) is not null", &[&table])
            .await
            .map_err(|error| translate("looking for the migration history", error))?;
        let history = if present.get(0) {
            read_history(&client, migrations.schema).await?
        } else {
            Vec::new()
        };
        rows.extend(migrations.steps.iter().map(|step| {
            Status {
                schema: migrations.schema,
                name: step.name,
                applied_at: history
                    .iter()
                    .find(|(name, ..)| name == step.name)
                    .map(|(.., at)| at.clone()),
            }
        }));
    }
    pool.close();
    Ok(rows)
}

fn single() -> PoolSize {
    PoolSize {
        connections: 1,
        ..PoolSize::default()
    }
}

fn checksum(sql: &str) -> String {
    digest::digest(&digest::SHA256, sql.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
