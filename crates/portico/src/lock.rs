//! One process per data directory: two would write each other's database to pieces.

use foundation::{Error, Kind, Result};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// Held while it lives; the kernel lets go of it when we die, however we die.
pub struct Lock {
    _file: File,
}

/// # Errors
/// `DATA_DIRECTORY_IN_USE`, naming the process that has it.
pub fn take(data_dir: &Path) -> Result<Lock> {
    let failed = |error: std::io::Error| {
        let message = format!("The data directory {} cannot be used: {error}", data_dir.display());
        Error::new(Kind::Internal, "DATA_DIRECTORY", message).caused_by(error)
    };
    fs::create_dir_all(data_dir).map_err(failed)?;
    let path = data_dir.join("portico.lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only to be helpful; the message stands without it.
            let _ = file.read_to_string(&mut holder);
            let message = format!(
                "The data directory {} is in use by another portico (process {}). Stop it, or set PORTICO_DATA_DIR to another directory",
                data_dir.display(),
                holder.trim()
            );
            return Err(Error::new(Kind::Conflict, "DATA_DIRECTORY_IN_USE", message));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(Lock { _file: file })
}

/// Takes it as soon as the process before lets go of it.
pub async fn take_when_free(data_dir: PathBuf) -> Lock {
    loop {
        if let Ok(lock) = take(&data_dir) {
            return lock;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whether another process works on the directory.
pub fn is_taken(data_dir: &Path) -> bool {
    File::open(data_dir.join("portico.lock")).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_it() {
        let directory = std::env::temp_dir().join(format!("lock-{}", foundation::new_id()));
        let first = take(&directory).unwrap();
        let error = take(&directory).err().unwrap();
        assert_eq!(error.code, "DATA_DIRECTORY_IN_USE");
        assert!(
            error.message.contains(&std::process::id().to_string()),
            "{}",
            error.message
        );
        drop(first);
        assert!(take(&directory).is_ok());
        fs::remove_dir_all(&directory).unwrap();
    }
}
