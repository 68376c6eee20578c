//! `portico restore DIR`: fills an empty data directory and an empty database from a backup.

use super::{backup, files, open};
use crate::{
    compose::{self, MIGRATIONS},
    settings::Settings,
};
use foundation::{Error, Kind, Result};
use postgres_chassis::{Pool, PoolSize, cluster, migrate};
use std::{path::Path, process::ExitCode};
use tokio::process::Command;

pub async fn run(settings: Settings, directory: &Path) -> Result<ExitCode> {
    if !directory.join(backup::MANIFEST).is_file() {
        let message = format!("{} is no backup: it has no {}", directory.display(), backup::MANIFEST);
        return Err(Error::new(Kind::Invalid, "BACKUP_INVALID", message));
    }
    let taken = |what: &str| {
        let message = format!("{what} is not empty; restore into a fresh data directory and an empty database");
        Error::new(Kind::Conflict, "RESTORE_NOT_EMPTY", message)
    };
    for part in backup::PARTS {
        let place = settings.data_dir.join(part);
        if place.exists() {
            return Err(taken(&place.display().to_string()));
        }
    }
    let database = open::database(&settings).await?;
    let filled = match is_empty(&database).await {
        Ok(true) => fill(&settings, &database, directory).await,
        Ok(false) => Err(taken("The database")),
        Err(error) => Err(error),
    };
    database.close().await;
    filled.map(|()| ExitCode::SUCCESS)
}

async fn is_empty(database: &open::Database) -> Result<bool> {
    let pool = Pool::open(&database.url, "portico restore", PoolSize::default())?;
    let client = pool.client().await?;
    let found = client
        .query_opt("select 1 from pg_namespace where nspname = 'portico'", &[])
        .await
        .map_err(|error| postgres_chassis::translate("looking for schemas", error))?;
    Ok(found.is_none())
}

/// The database in one transaction first: when it fails, nothing was restored.
async fn fill(settings: &Settings, database: &open::Database, directory: &Path) -> Result<()> {
    let binaries = cluster::binaries(&compose::cluster_settings(settings)).await?;
    let (url, password) = database.url.without_password();
    let mut command = Command::new(binaries.path("pg_restore"));
    command.args([
        "--no-password",
        "--single-transaction",
        "--no-owner",
        "--no-privileges",
        "--dbname",
    ]);
    command.arg(url).arg(directory.join(backup::DUMP));
    backup::tool(command, &password).await?;
    for part in backup::PARTS {
        files::copy(&directory.join(part), &settings.data_dir.join(part))?;
    }
    files::sync(&settings.data_dir)?;
    // Makes the login roles and their grants, which a dump does not carry.
    migrate(&database.url, &MIGRATIONS).await.map(drop)
}
