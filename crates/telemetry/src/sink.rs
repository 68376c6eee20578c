//! Where lines go: standard output, or a file. A file is opened again when another lies at its path, or none: rotation needs no
//! signal.

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
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(|path| Ok::<_, io::Error>((path.to_owned(), append(path)?)));
        Ok(Self(Mutex::new(Open {
            file: file.transpose()?,
            waiting: Vec::new(),
        })))
    }

    /// # Errors
    /// Lines were lost.
    pub fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.waiting.extend_from_slice(line);
        if open.waiting.len() >= LARGEST {
            open.flush()
        } else {
            Ok(())
        }
    }

    /// # Errors
    /// Lines were lost.
    pub fn flush(&self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.flush();
    }
}

impl Open {
    fn flush(&mut self) -> io::Result<()> {
        let mut opened_again = Ok(());
        if let Some((path, file)) = &mut self.file
            && is_another(path, file)
        {
            opened_again = append(path).map(|opened| *file = opened);
        }
        if self.waiting.is_empty() {
            return opened_again;
        }
        let written = match &mut self.file {
            Some((_, file)) => file.write_all(&self.waiting),
            None => io::stdout().lock().write_all(&self.waiting),
        };
        self.waiting.clear();
        opened_again.and(written)
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
