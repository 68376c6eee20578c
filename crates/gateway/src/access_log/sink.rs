//! Where lines go. A file is opened again when another lies at its path, or none: rotation needs no signal.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Lines gather up to this, or until the next flush.
const LARGEST: usize = 64 * 1024;

pub struct Sink(Mutex<Open>);

struct Open {
    file: Option<(PathBuf, File)>,
    waiting: Vec<u8>,
}

impl Sink {
    pub fn open(path: Option<&str>) -> io::Result<Self> {
        let file = path.map(|path| Ok::<_, io::Error>((PathBuf::from(path), append(Path::new(path))?)));
        Ok(Self(Mutex::new(Open {
            file: file.transpose()?,
            waiting: Vec::new(),
        })))
    }

    pub fn write(&self, line: &[u8]) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.waiting.extend_from_slice(line);
        if open.waiting.len() >= LARGEST {
            open.flush();
        }
    }

    pub fn flush(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Open {
    fn flush(&mut self) {
        if let Some((path, file)) = &mut self.file
            && is_another(path, file)
        {
            match append(path) {
                Ok(opened) => *file = opened,
                Err(error) => tracing::error!(path = %path.display(), %error, "the access log cannot be opened again"),
            }
        }
        if self.waiting.is_empty() {
            return;
        }
        let written = match &mut self.file {
            Some((_, file)) => file.write_all(&self.waiting),
            None => io::stdout().lock().write_all(&self.waiting),
        };
        if let Err(error) = written {
            tracing::error!(%error, "access log lines were lost");
        }
        self.waiting.clear();
    }
}

fn append(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

fn is_another(path: &Path, file: &File) -> bool {
    let there = fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let ours = file.metadata().map(|meta| (meta.dev(), meta.ino()));
    match (there, ours) {
        (Ok(there), Ok(ours)) => there != ours,
        (Err(_), _) => true,
        (_, Err(_)) => false,
    }
}
