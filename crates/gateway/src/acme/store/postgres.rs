//! Accounts, certificates, leases and pending proofs in schema `gateway`, for gateways that share a database.

use super::{Account, Attempt, Kept, pause};
use foundation::Result;
use postgres_chassis::{Client, DatabaseUrl, Migration, Migrations, Pool, PoolSize, translate};

pub const CHANNEL: &str = "gateway_acme";
/// Longer than any order takes; whoever dies holding it is waited for this long.
const LEASE_MINUTES: i32 = 10;

pub const MIGRATIONS: Migrations = Migrations {
    schema: "gateway",
    steps: &[Migration {
        name: "0001_acme",
        sql: "
            create table gateway.acme_accounts (
                store text not null,
                resolver text not null,
                email text not null,
                url text not null,
                key bytea not null,
                created_at timestamptz not null default now(),
                primary key (store, resolver)
            );
            create table gateway.acme_certificates (
                store text not null,
                resolver text not null,
                names text[] not null,
                chain text not null,
                key text not null,
                updated_at timestamptz not null default now(),
                primary key (store, resolver, names)
            );
            -- One row per set of names anybody ever ordered: who does now, and how it went.
            create table gateway.acme_orders (
                store text not null,
                resolver text not null,
                names text[] not null,
                held_until timestamptz not null default '-infinity',
                failures int not null default 0,
                next_try timestamptz not null default '-infinity',
                error text,
                primary key (store, resolver, names)
            );
            create table gateway.acme_proofs (
                kind text not null,
                name text not null,
                value text not null,
                created_at timestamptz not null default now(),
                primary key (kind, name)
            );
        ",
    }],
};

pub struct Postgres {
    pool: Pool,
}

fn told<T>(done: Result<T>) -> std::result::Result<T, String> {
    done.map_err(|error| error.chain())
}

impl Postgres {
    /// # Errors
    /// The TLS settings of the URL cannot be met.
    pub fn open(url: &DatabaseUrl) -> std::result::Result<Self, String> {
        let size = PoolSize {
            connections: 4,
            ..PoolSize::default()
        };
        let pool = told(Pool::open(url, "portico gateway", size))?;
        Ok(Self { pool })
    }

    pub fn url(&self) -> &DatabaseUrl {
        self.pool.url()
    }

    async fn client(&self) -> std::result::Result<Client, String> {
        told(self.pool.client().await)
    }

    pub async fn account(&self, store: &str, resolver: &str) -> std::result::Result<Option<Account>, String> {
        const SQL: &str = "select email, url, key from gateway.acme_accounts where store = $1 and resolver = $2";
        let client = self.client().await?;
        let row = client.query_opt(SQL, &[&store, &resolver]).await;
        let row = told(row.map_err(|error| translate("reading the ACME account", error)))?;
        Ok(row.map(|row| Account {
            email: row.get(0),
            url: row.get(1),
            key: row.get(2),
        }))
    }

    pub async fn keep_account(
        &self,
        store: &str,
        resolver: &str,
        account: Account,
    ) -> std::result::Result<Account, String> {
        const SQL: &str =
            "insert into gateway.acme_accounts (store, resolver, email, url, key) values ($1, $2, $3, $4, $5)
                           on conflict do nothing";
        let client = self.client().await?;
        let values: [&(dyn postgres_chassis::types::ToSql + Sync); 5] =
            [&store, &resolver, &account.email, &account.url, &account.key];
        let kept = client.execute(SQL, &values).await;
        told(kept.map_err(|error| translate("keeping the ACME account", error)))?;
        Ok(self.account(store, resolver).await?.unwrap_or(account))
    }

    pub async fn forget_account(&self, store: &str, resolver: &str) -> std::result::Result<(), String> {
        const SQL: &str = "delete from gateway.acme_accounts where store = $1 and resolver = $2";
        let client = self.client().await?;
        let gone = client.execute(SQL, &[&store, &resolver]).await;
        told(gone.map_err(|error| translate("forgetting the ACME account", error))).map(drop)
    }

    pub async fn certificates(&self, store: &str, resolver: &str) -> std::result::Result<Vec<Kept>, String> {
        const SQL: &str = "select names, chain, key from gateway.acme_certificates
                           where store = $1 and resolver = $2 order by names";
        let client = self.client().await?;
        let rows = client.query(SQL, &[&store, &resolver]).await;
        let rows = told(rows.map_err(|error| translate("reading certificates", error)))?;
        let kept = |row: &postgres_chassis::Row| Kept {
            resolver: resolver.to_owned(),
            names: row.get(0),
            chain: row.get(1),
            key: row.get(2),
        };
        Ok(rows.iter().map(kept).collect())
    }

    pub async fn keep(&self, store: &str, kept: &Kept) -> std::result::Result<(), String> {
        const SQL: &str = "insert into gateway.acme_certificates (store, resolver, names, chain, key)
                           values ($1, $2, $3, $4, $5)
                           on conflict (store, resolver, names)
                           do update set chain = excluded.chain, key = excluded.key, updated_at = now()";
        let client = self.client().await?;
        let values: [&(dyn postgres_chassis::types::ToSql + Sync); 5] =
            [&store, &kept.resolver, &kept.names, &kept.chain, &kept.key];
        let done = client.execute(SQL, &values).await;
        told(done.map_err(|error| translate("keeping a certificate", error)))?;
        self.tell(&client).await
    }

    async fn tell(&self, client: &Client) -> std::result::Result<(), String> {
        const SQL: &str = "select pg_notify($1, '')";
        let done = client.execute(SQL, &[&CHANNEL]).await;
        told(done.map_err(|error| translate("telling other gateways", error))).map(drop)
    }

    pub async fn claim(&self, store: &str, resolver: &str, names: &[String]) -> std::result::Result<bool, String> {
        const SQL: &str = "insert into gateway.acme_orders as known (store, resolver, names, held_until)
                           values ($1, $2, $3, now() + make_interval(mins => $4))
                           on conflict (store, resolver, names) do update set held_until = excluded.held_until
                           where known.held_until < now() and known.next_try <= now()";
        let client = self.client().await?;
        let claimed = client.execute(SQL, &[&store, &resolver, &names, &LEASE_MINUTES]).await;
        told(claimed.map_err(|error| translate("claiming an order", error))).map(|rows| rows == 1)
    }

    pub async fn release(
        &self,
        store: &str,
        resolver: &str,
        names: &[String],
        error: Option<&str>,
    ) -> std::result::Result<(), String> {
        const SQL: &str = "update gateway.acme_orders
                           set held_until = '-infinity', failures = $4, error = $5,
                               next_try = case when $5::text is null then '-infinity'::timestamptz
                                               else now() + make_interval(secs => $6) end
                           where store = $1 and resolver = $2 and names = $3";
        let before = self.attempt(store, resolver, names).await?;
        let failures = if error.is_some() { before.failures + 1 } else { 0 };
        let seconds = pause(failures).as_secs_f64();
        let failures = i32::try_from(failures).unwrap_or(i32::MAX);
        let client = self.client().await?;
        let done = client
            .execute(SQL, &[&store, &resolver, &names, &failures, &error, &seconds])
            .await;
        told(done.map_err(|error| translate("releasing an order", error)))?;
        self.tell(&client).await
    }

    pub async fn attempt(&self, store: &str, resolver: &str, names: &[String]) -> std::result::Result<Attempt, String> {
        const SQL: &str = "select failures, error,
                                  case when next_try = '-infinity' then 0 else extract(epoch from next_try)::bigint end
                           from gateway.acme_orders where store = $1 and resolver = $2 and names = $3";
        let client = self.client().await?;
        let row = client.query_opt(SQL, &[&store, &resolver, &names]).await;
        let row = told(row.map_err(|error| translate("reading an order", error)))?;
        Ok(row
            .map(|row| Attempt {
                failures: u32::try_from(row.get::<_, i32>(0)).unwrap_or(0),
                error: row.get(1),
                next_try: row.get(2),
            })
            .unwrap_or_default())
    }

    pub async fn present(&self, kind: &str, name: &str, value: &str) -> std::result::Result<(), String> {
        const SQL: &str = "insert into gateway.acme_proofs (kind, name, value) values ($1, $2, $3)
                           on conflict (kind, name) do update set value = excluded.value, created_at = now()";
        let client = self.client().await?;
        let done = client.execute(SQL, &[&kind, &name, &value]).await;
        told(done.map_err(|error| translate("presenting a proof", error))).map(drop)
    }

    pub async fn take_away(&self, kind: &str, name: &str) -> std::result::Result<(), String> {
        const SQL: &str = "delete from gateway.acme_proofs
                           where kind = $1 and name = $2 or created_at < now() - interval '1 hour'";
        let client = self.client().await?;
        let done = client.execute(SQL, &[&kind, &name]).await;
        told(done.map_err(|error| translate("taking a proof away", error))).map(drop)
    }

    /// What another copy presents. A database that does not answer has presented nothing.
    pub async fn presented(&self, kind: &str, name: &str) -> Option<String> {
        const SQL: &str = "select value from gateway.acme_proofs where kind = $1 and name = $2";
        let client = self.client().await.ok()?;
        let row = client.query_opt(SQL, &[&kind, &name]).await.ok()??;
        Some(row.get(0))
    }
}
