//! Pooled connections with a statement timeout and a name the operator finds in `pg_stat_activity`.

use crate::{DatabaseUrl, error, tls, translate};
use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod, Runtime};
use foundation::{Error, Result};
use std::time::Duration;
use tokio_postgres::CancelToken;

/// A pooled connection; derefs to the driver's client, with `prepare_cached`.
pub type Client = deadpool_postgres::Client;

#[derive(Clone, Copy, Debug)]
pub struct PoolSize {
    pub connections: usize,
    /// How long a request waits for a free connection before it is answered 503.
    pub wait: Duration,
    pub statement_timeout: Duration,
}

impl Default for PoolSize {
    fn default() -> Self {
        Self {
            connections: 10,
            wait: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

#[derive(Clone)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    url: DatabaseUrl,
}

impl Pool {
    /// Opens lazily: no connection is made before the first [`Pool::client`].
    ///
    /// # Errors
    /// The TLS settings of the URL cannot be met.
    pub fn open(url: &DatabaseUrl, name: &str, size: PoolSize) -> Result<Self> {
        let mut config = url.config.clone();
        config.application_name(name);
        let timeout = size.statement_timeout.as_millis();
        let options = config
            .get_options()
            .map(|given| format!("{given} "))
            .unwrap_or_default();
        config.options(format!(
            "{options}-c statement_timeout={timeout} -c idle_in_transaction_session_timeout=60000"
        ));
        let manager_config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = if url.ssl == crate::settings::SslMode::Disable {
            Manager::from_config(config, tokio_postgres::NoTls, manager_config)
        } else {
            let connector = tls::connector(url).map_err(|message| Error::internal("database TLS", message))?;
            Manager::from_config(config, connector, manager_config)
        };
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(size.connections)
            .wait_timeout(Some(size.wait))
            .create_timeout(Some(Duration::from_secs(6)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::internal("building the pool", error))?;
        Ok(Self {
            inner,
            url: url.clone(),
        })
    }

    /// # Errors
    /// `DATABASE_UNAVAILABLE` (503) when none is free in time or the server cannot be reached.
    pub async fn client(&self) -> Result<Client> {
        self.inner.get().await.map_err(error::no_connection)
    }

    /// Ends what the connection of a token is doing; the statement fails with `57014`.
    ///
    /// # Errors
    /// The server cannot be reached, or its TLS settings cannot be met.
    pub async fn cancel(&self, token: &CancelToken) -> Result<()> {
        let done = if self.url.ssl == crate::settings::SslMode::Disable {
            token.cancel_query(tokio_postgres::NoTls).await
        } else {
            let connector = tls::connector(&self.url).map_err(|message| Error::internal("database TLS", message))?;
            token.cancel_query(connector).await
        };
        done.map_err(|error| translate("cancelling a statement", error))
    }

    /// Whether the database answers; for health checks.
    pub async fn ping(&self) -> Result<()> {
        let client = self.client().await?;
        client
            .simple_query("select 1")
            .await
            .map_err(|error| translate("ping", error))?;
        Ok(())
    }

    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// (in use, open, most)
    pub fn usage(&self) -> (usize, usize, usize) {
        let status = self.inner.status();
        (
            status.size.saturating_sub(status.available),
            status.size,
            status.max_size,
        )
    }

    pub fn close(&self) {
        self.inner.close();
    }
}
