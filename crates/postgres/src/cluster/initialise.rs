//! `initdb`, once: into a temporary directory that is renamed when it is whole, so that a crash leaves nothing half-made.

use super::{Binaries, USER, io, owner::Owner, sync_directory};
use foundation::{Error, Kind, Result};
use rand::RngExt;
use std::{
    fs,
    io::Write,
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// Where root keeps a cluster whose data directory the unprivileged user cannot reach (`/root` is closed to others).
const ELSEWHERE: &str = "/var/lib/portico";

/// Where the cluster is or will be.
pub(super) fn place(data_dir: &Path, owner: &Owner) -> Result<PathBuf> {
    fs::create_dir_all(data_dir).map_err(|error| io("Making", data_dir, error))?;
    let data_dir = data_dir
        .canonicalize()
        .map_err(|error| io("Resolving", data_dir, error))?;
    let usual = data_dir.join("postgres");
    if let Ok(target) = fs::read_link(&usual) {
        return Ok(target);
    }
    let Some(barrier) = owner.barrier(&data_dir) else {
        return Ok(usual);
    };
    if usual.exists() {
        let message = format!(
            "The database in {} cannot be reached by the user it runs as, because {} is closed to others. Mend: chmod o+x {}",
            usual.display(),
            barrier.display(),
            barrier.display()
        );
        return Err(Error::new(Kind::Internal, "DATA_DIRECTORY", message));
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data_dir.as_os_str().as_bytes());
    let name: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let parent = Path::new(ELSEWHERE).join(name);
    fs::create_dir_all(&parent).map_err(|error| io("Making", &parent, error))?;
    owner.take(&parent)?;
    let target = parent.join("postgres");
    std::os::unix::fs::symlink(&target, &usual).map_err(|error| io("Linking", &usual, error))?;
    tracing::info!(
        barrier = %barrier.display(), place = %target.display(),
        "the database is kept outside the data directory, which its unprivileged user cannot reach; a link leads there"
    );
    Ok(target)
}

/// The major release an existing cluster belongs to.
pub(super) fn version(place: &Path) -> Option<u32> {
    fs::read_to_string(place.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// The owner's password, made once; hex, so it may stand in a URL.
pub(super) fn password(data_dir: &Path) -> Result<String> {
    let path = data_dir.join("postgres.password");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let bytes: [u8; 24] = rand::rng().random();
            let password: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            write_private(&path, &password)?;
            sync_directory(data_dir)?;
            Ok(password)
        }
        Err(error) => Err(io("Reading", &path, error)),
    }
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| io("Writing", path, error))
}

pub(super) async fn run(place: &Path, binaries: &Binaries, owner: &Owner, password: &str) -> Result<()> {
    if place.join("PG_VERSION").exists() {
        return Ok(());
    }
    let parent = place.parent().unwrap_or(place);
    let (fresh, secret) = (parent.join("postgres.new"), parent.join("postgres.new.password"));
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(|error| io("Removing", &fresh, error))?;
    }
    owner.make_directory(&fresh)?;
    write_private(&secret, password)?;
    owner.take(&secret)?;
    let made = initdb(&fresh, &secret, binaries, owner).await;
    fs::remove_file(&secret).map_err(|error| io("Removing", &secret, error))?;
    made?;
    fs::rename(&fresh, place).map_err(|error| io("Renaming", &fresh, error))?;
    sync_directory(parent)?;
    tracing::info!(release = binaries.major, place = %place.display(), "local database cluster made");
    Ok(())
}

async fn initdb(fresh: &Path, secret: &Path, binaries: &Binaries, owner: &Owner) -> Result<()> {
    let program = binaries.path("initdb");
    let mut command = Command::new(&program);
    command.arg("-D").arg(fresh).arg("--pwfile").arg(secret);
    command.args([
        "--username",
        USER,
        "--auth",
        "scram-sha-256",
        "--encoding",
        "UTF8",
        "--data-checksums",
    ]);
    let locale = if cfg!(target_os = "macos") { "C" } else { "C.UTF-8" };
    command.args(["--locale", locale, "--no-instructions"]);
    owner.apply(&mut command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command
        .output()
        .await
        .map_err(|error| io("Starting", &program, error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | ");
    let message = format!("{} failed: {said}", program.display());
    Err(Error::new(Kind::Internal, "POSTGRES_INITDB", message))
}
