//! What every service must know to verify an access token by itself: the public signing keys and the ended sessions.
//!
//! They live in the platform's own schema `portico`, because verifying must need neither core's schema nor a call to core.
//! Core writes, everybody reads, and a NOTIFY on [`CHANNEL`] tells all copies within milliseconds.

use crate::{Migration, Migrations, Pool, quote_ident, roles::role_name, translate};
use foundation::{Result, Uuid};
use tokio_postgres::Client;

pub const CHANNEL: &str = "portico_trust";

pub const MIGRATIONS: Migrations = Migrations {
    schema: "portico",
    steps: &[Migration {
        name: "0001_trust",
        sql: "
            create table portico.verification_keys (
                kid text primary key,
                jwk jsonb not null,
                created_at timestamptz not null default now(),
                -- Tokens signed with a key live on after its last signature; then the key goes.
                expires_at timestamptz not null
            );
            create table portico.ended_sessions (
                session_id uuid primary key,
                -- When the last access token of the session has expired anyway.
                expires_at timestamptz not null
            );
            create function portico.notify_trust() returns trigger language plpgsql as $$
            begin
                perform pg_notify('portico_trust', tg_table_name);
                return null;
            end $$;
            create trigger verification_keys_notify after insert or update or delete on portico.verification_keys
                for each statement execute function portico.notify_trust();
            create trigger ended_sessions_notify after insert on portico.ended_sessions
                for each statement execute function portico.notify_trust();
        ",
    }],
};

/// Everybody reads; only core writes.
pub(crate) async fn grant(client: &Client, schema: &str) -> Result<()> {
    let role = role_name(schema);
    let known = client
        .query_opt("select 1 from pg_roles where rolname = $1", &[&role])
        .await
        .map_err(|error| translate("looking for the login role", error))?;
    if known.is_none() {
        return Ok(());
    }
    let verbs = if schema == "core" {
        "select, insert, update, delete"
    } else {
        "select"
    };
    let statement = format!(
        "grant {verbs} on portico.verification_keys, portico.ended_sessions to {}",
        quote_ident(&role)
    );
    client
        .batch_execute(&statement)
        .await
        .map_err(|error| translate("granting on the platform schema", error))
}

#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// JSON Web Keys (RFC 7517), public parts.
    pub keys: Vec<serde_json::Value>,
    /// (session, unix seconds after which it may be forgotten)
    pub ended: Vec<(Uuid, i64)>,
}

pub async fn load(pool: &Pool) -> Result<Trust> {
    let client = pool.client().await?;
    let keys = client
        .query(
            "select jwk from portico.verification_keys where expires_at > now() order by created_at desc",
            &[],
        )
        .await
        .map_err(|error| translate("reading verification keys", error))?;
    let ended = client
        .query(
            "select session_id, extract(epoch from expires_at)::bigint from portico.ended_sessions where expires_at > now()",
            &[],
        )
        .await
        .map_err(|error| translate("reading ended sessions", error))?;
    Ok(Trust {
        keys: keys.iter().map(|row| row.get(0)).collect(),
        ended: ended.iter().map(|row| (row.get(0), row.get(1))).collect(),
    })
}

/// Makes the sessions' access tokens worthless everywhere. Runs in the caller's transaction, so it is told on commit.
pub async fn end_sessions(
    client: &impl deadpool_postgres::GenericClient,
    sessions: &[Uuid],
    token_lifetime_s: f64,
) -> Result<()> {
    client
        .execute(
            "insert into portico.ended_sessions (session_id, expires_at)
             select id, now() + make_interval(secs => $2) from unnest($1::uuid[]) as id
             on conflict (session_id) do nothing",
            &[&sessions, &token_lifetime_s],
        )
        .await
        .map_err(|error| translate("ending sessions", error))?;
    client
        .execute("delete from portico.ended_sessions where expires_at < now()", &[])
        .await
        .map_err(|error| translate("forgetting ended sessions", error))?;
    Ok(())
}

pub async fn publish_key(
    client: &impl deadpool_postgres::GenericClient,
    kid: &str,
    jwk: &serde_json::Value,
    lifetime_s: f64,
) -> Result<()> {
    client
        .execute(
            "insert into portico.verification_keys (kid, jwk, expires_at) values ($1, $2, now() + make_interval(secs => $3))
             on conflict (kid) do update set expires_at = excluded.expires_at",
            &[&kid, &jwk, &lifetime_s],
        )
        .await
        .map_err(|error| translate("publishing a verification key", error))?;
    Ok(())
}
