//! Copies for backup and restore: durable, and with the modes secrets need.

use foundation::{Error, Kind, Result};
use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

pub fn failed(doing: &str, path: &Path, error: std::io::Error) -> Error {
    let message = format!("{doing} {} failed: {error}", path.display());
    Error::new(Kind::Internal, "FILES", message).caused_by(error)
}

/// A directory for its owner alone; one that a crash left is begun anew.
pub fn make_private(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).map_err(|error| failed("Removing", path, error))?;
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| failed("Making", path, error))
}

/// A file or a whole directory; nothing where there is nothing, or where it went while we looked.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(|error| failed("Making", to, error))?;
        for entry in fs::read_dir(from).map_err(|error| failed("Reading", from, error))? {
            let entry = entry.map_err(|error| failed("Reading", from, error))?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    match fs::copy(from, to) {
        Ok(_) => File::open(to)
            .and_then(|file| file.sync_all())
            .map_err(|error| failed("Syncing", to, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !from.exists() => Ok(()),
        Err(error) => Err(failed("Copying", from, error)),
    }
}

pub fn sync(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|error| failed("Syncing", directory, error))
}

pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| failed("Renaming", from, error))?;
    match to.canonicalize().ok().as_deref().and_then(Path::parent) {
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}
