//! Secrets nobody gave us: made once, kept in the data directory for its owner alone.

use foundation::{Error, Kind, Result, Secret};
use rand::RngExt;
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// 64 hex digits in `<data_dir>/<name>`.
pub fn secret(data_dir: &Path, name: &str) -> Result<Secret> {
    let path = data_dir.join(name);
    let failed = |error: std::io::Error| {
        let message = format!("The secret {} cannot be kept: {error}", path.display());
        Error::new(Kind::Internal, "DATA_DIRECTORY", message).caused_by(error)
    };
    match fs::read_to_string(&path) {
        Ok(text) => return Ok(Secret::new(text.trim())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let bytes: [u8; 32] = rand::rng().random();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::create_dir_all(data_dir).map_err(failed)?;
    let fresh = data_dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&fresh, &path).map_err(failed)?;
    File::open(data_dir)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)?;
    Ok(Secret::new(text))
}
