//! The database for commands that need it without serving: the configured one, or the local cluster, whether it runs
//! already under another process of ours or must be started for the moment.

use crate::{compose, lock, settings::Settings};
use foundation::Result;
use postgres_chassis::{DatabaseUrl, cluster::Cluster};
use std::time::Duration;

pub struct Database {
    pub url: DatabaseUrl,
    started: Option<(Cluster, lock::Lock)>,
}

pub async fn database(settings: &Settings) -> Result<Database> {
    if let Some(url) = &settings.database.url {
        return Ok(Database {
            url: url.clone(),
            started: None,
        });
    }
    let cluster = compose::cluster_settings(settings);
    if lock::is_taken(&settings.data_dir) {
        return Ok(Database {
            url: postgres_chassis::cluster::running(&cluster)?,
            started: None,
        });
    }
    let lock = lock::take(&settings.data_dir)?;
    let cluster = Cluster::start(&cluster).await?;
    Ok(Database {
        url: cluster.url().clone(),
        started: Some((cluster, lock)),
    })
}

impl Database {
    pub async fn close(self) {
        if let Some((cluster, _lock)) = self.started {
            cluster.stop(Duration::from_secs(20)).await;
        }
    }
}
