//! `portico backup DIR`: clicks not yet copied, then the database, then the objects, then our secrets.
//!
//! In this order the parts fit: a click is in its segment or in the database (or in both, which counts once), and every file
//! a row of the dump speaks of is older than the dump; the sweeper leaves fresh leftovers alone.

use super::{files, open};
use crate::{compose, settings::Settings};
use foundation::{Error, Kind, OffsetDateTime, Result, rfc3339};
use postgres_chassis::cluster;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::process::Command;

pub const DUMP: &str = "database.dump";
pub const MANIFEST: &str = "manifest.json";
/// What is ours besides the database, below the data directory. A part that is not there is left out.
pub const PARTS: [&str; 6] = [
    "clicks",
    "store/objects",
    "jwt.secret",
    "s3.secret",
    "graphql-admin.secret",
    "certificates",
];

pub async fn run(settings: Settings, directory: &Path) -> Result<ExitCode> {
    if directory.exists() {
        let message = format!("{} exists already; name a new directory", directory.display());
        return Err(Error::new(Kind::Conflict, "BACKUP_EXISTS", message));
    }
    // Renamed when it is whole: half a backup must not look like one.
    let mut fresh: PathBuf = directory.to_owned();
    fresh.as_mut_os_string().push(".incomplete");
    files::make_private(&fresh)?;
    let database = open::database(&settings).await?;
    let written = write(&settings, &database, &fresh).await;
    database.close().await;
    written?;
    files::rename(&fresh, directory)?;
    println!("{}", directory.display());
    Ok(ExitCode::SUCCESS)
}

async fn write(settings: &Settings, database: &open::Database, fresh: &Path) -> Result<()> {
    files::copy(&settings.data_dir.join("clicks"), &fresh.join("clicks"))?;
    dump(settings, database, &fresh.join(DUMP)).await?;
    for part in PARTS.iter().filter(|part| **part != "clicks") {
        files::copy(&settings.data_dir.join(part), &fresh.join(part))?;
    }
    let manifest = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "created_at": rfc3339(OffsetDateTime::now_utc()),
    });
    fs::write(fresh.join(MANIFEST), manifest.to_string()).map_err(|error| files::failed("Writing", fresh, error))?;
    files::sync(fresh)
}

async fn dump(settings: &Settings, database: &open::Database, to: &Path) -> Result<()> {
    let binaries = cluster::binaries(&compose::cluster_settings(settings)).await?;
    let (url, password) = database.url.without_password();
    let mut command = Command::new(binaries.path("pg_dump"));
    command
        .args(["--format=custom", "--no-password", "--file"])
        .arg(to)
        .arg("--dbname")
        .arg(url);
    tool(command, &password).await
}

/// Runs one of PostgreSQL's own tools; the password travels in the environment, not on the command line.
pub async fn tool(mut command: Command, password: &str) -> Result<()> {
    command.env("PGPASSWORD", password).stdin(std::process::Stdio::null());
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .await
        .map_err(|error| files::failed("Starting", Path::new(&name), error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | ");
    Err(Error::new(
        Kind::Internal,
        "POSTGRES_TOOL",
        format!("{name} failed: {said}"),
    ))
}
