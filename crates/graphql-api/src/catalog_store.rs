//! Where metadata is kept: the schema `hdb_catalog`, in the tables Hasura v2 keeps it in, so that a database it ran on is
//! taken over as it is. Every save is checked against the version it was made from.

use foundation::{Error, Kind, Result};
use metadata::Metadata;
use postgres_chassis::{Client, Pool, translate};
use serde_json::Value;

/// Hasura's catalogue version whose shape these tables have.
const CATALOG_VERSION: &str = "48";
/// Told on this channel: the resource version.
pub const CHANNEL: &str = "portico_graphql_metadata";

pub struct CatalogStore {
    pool: Pool,
    /// `hdb_catalog`, or a service's own.
    schema: &'static str,
}

impl CatalogStore {
    pub fn new(pool: Pool, schema: &'static str) -> Self {
        CatalogStore { pool, schema }
    }

    pub fn schema(&self) -> &'static str {
        self.schema
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Makes the schema where it is missing; several copies may start at once.
    pub async fn prepare(&self) -> Result<()> {
        let client = self.pool.client().await?;
        let known = client
            .query_one("select to_regclass($1 || '.hdb_metadata') is not null", &[&self.schema])
            .await
            .map_err(|error| translate("looking for hdb_catalog", error))?;
        if known.get(0) {
            return Ok(());
        }
        let schema = self.schema;
        client
            .batch_execute(&format!(
                "begin;
                 select pg_advisory_xact_lock(7306354);
                 create schema if not exists {schema};
                 create table if not exists {schema}.hdb_version (
                     hasura_uuid uuid primary key default gen_random_uuid(), version text not null,
                     upgraded_on timestamptz not null, cli_state jsonb not null default '{{}}',
                     console_state jsonb not null default '{{}}', ee_client_id text, ee_client_secret text);
                 create unique index if not exists hdb_version_one_row
                     on {schema}.hdb_version ((version is not null));
                 insert into {schema}.hdb_version (version, upgraded_on)
                     values ('{CATALOG_VERSION}', now()) on conflict do nothing;
                 create table if not exists {schema}.hdb_metadata (
                     id integer primary key, metadata json not null,
                     resource_version integer not null default 1 unique);
                 commit"
            ))
            .await
            .map_err(|error| translate("making hdb_catalog", error))
    }

    /// The document and its version; `initial` where none was saved.
    pub async fn load(&self, initial: &Metadata) -> Result<(Metadata, i32)> {
        let client = self.pool.client().await?;
        let row = client
            .query_opt(
                &format!(
                    "select metadata::text, resource_version from {}.hdb_metadata where id = 1",
                    self.schema
                ),
                &[],
            )
            .await
            .map_err(|error| translate("reading metadata", error))?;
        let Some(row) = row else {
            return Ok((initial.clone(), 0));
        };
        let metadata = serde_json::from_str(row.get(0)).map_err(|error| {
            let message = format!("hdb_catalog.hdb_metadata holds no metadata of version 3: {error}");
            Error::new(Kind::Invalid, "METADATA_UNREADABLE", message)
        })?;
        Ok((metadata, row.get(1)))
    }

    /// Begins a save: the row is written, not yet visible. Commit it with [`Saving::commit`].
    ///
    /// # Errors
    /// `METADATA_CONFLICT`: somebody saved another version meanwhile.
    pub async fn save(&self, metadata: &Metadata, from: i32) -> Result<Saving> {
        let text = serde_json::to_string(metadata).map_err(|error| Error::internal("writing metadata", error))?;
        let saving = Saving {
            client: detached(self.pool.client().await?),
        };
        let failed = |error| translate("saving metadata", error);
        saving.client.batch_execute("begin").await.map_err(failed)?;
        let written = saving
            .client
            .query_opt(
                &format!(
                    "insert into {}.hdb_metadata as known (id, metadata, resource_version)
                         values (1, $1::text::json, $2::int4 + 1)
                     on conflict (id) do update
                         set metadata = excluded.metadata, resource_version = excluded.resource_version
                         where known.resource_version = $2
                     returning resource_version",
                    self.schema
                ),
                &[&text, &from],
            )
            .await
            .map_err(failed)?;
        if written.is_none() {
            let message = "metadata was changed by another server at the same time; try again";
            return Err(Error::new(Kind::Conflict, "METADATA_CONFLICT", message));
        }
        saving
            .client
            .execute("select pg_notify($1, $2::int4::text)", &[&CHANNEL, &(from + 1)])
            .await
            .map_err(failed)?;
        Ok(saving)
    }

    /// Tells other copies that a database's tables changed while metadata did not.
    pub async fn tell_of_tables(&self, copy: &str) -> Result<()> {
        let client = self.pool.client().await?;
        client
            .execute("select pg_notify($1, $2)", &[&CHANNEL, &copy])
            .await
            .map_err(|error| translate("telling other copies", error))?;
        Ok(())
    }

    /// What a tool keeps here for itself: `cli` or `console`.
    pub async fn tool_state(&self, tool: &str) -> Result<Value> {
        let column = column(tool)?;
        let client = self.pool.client().await?;
        let statement = format!("select {column}, hasura_uuid::text from {}.hdb_version", self.schema);
        let row = client
            .query_one(&statement, &[])
            .await
            .map_err(|error| translate("reading the catalogue's state", error))?;
        Ok(serde_json::json!({"id": row.get::<_, &str>(1), column: row.get::<_, Value>(0)}))
    }

    pub async fn set_tool_state(&self, tool: &str, state: &Value) -> Result<()> {
        let statement = format!("update {}.hdb_version set {} = $1", self.schema, column(tool)?);
        let client = self.pool.client().await?;
        client
            .execute(&statement, &[state])
            .await
            .map_err(|error| translate("writing the catalogue's state", error))?;
        Ok(())
    }
}

fn column(tool: &str) -> Result<&'static str> {
    match tool {
        "cli" => Ok("cli_state"),
        "console" => Ok("console_state"),
        other => {
            let message = format!("there is no state of '{other}'; it is of 'cli' or 'console'");
            Err(Error::new(Kind::Invalid, "UNKNOWN_STATE", message))
        }
    }
}

/// A connection out of the pool: when it is dropped before its commit, it closes and the transaction is undone.
pub fn detached(client: Client) -> deadpool_postgres::ClientWrapper {
    Client::take(client)
}

pub struct Saving {
    pub client: deadpool_postgres::ClientWrapper,
}

impl Saving {
    pub async fn commit(self) -> Result<()> {
        let done = self.client.batch_execute("commit").await;
        done.map_err(|error| translate("saving metadata", error))
    }
}
