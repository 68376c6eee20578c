//! The files of the local store: in by temporary file, fsync, rename, fsync of directories; out by range.

use crate::{Checksums, Digests, error, error::disk};
use foundation::{Result, new_id};
use futures_util::{Stream, StreamExt};
use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, Take},
};
use tokio_util::io::ReaderStream;

const READ_CHUNK: usize = 64 * 1024;
const WRITE_CHUNK: usize = 256 * 1024;

/// A part of a file, in pieces.
pub type FileStream = ReaderStream<Take<File>>;

#[derive(Clone)]
pub struct Files {
    objects: PathBuf,
    incoming: PathBuf,
}

/// Bytes written and synced under a temporary name, removed again unless [`Files::keep`] is called.
pub struct Incoming {
    path: PathBuf,
    pub hash: blake3::Hash,
    pub md5: [u8; 16],
    pub size: u64,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already when it was kept.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes the file where the future that writes it is dropped or fails.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Files {
    pub async fn open(directory: &Path) -> Result<Self> {
        let files = Self {
            objects: directory.join("objects"),
            incoming: directory.join("incoming"),
        };
        for path in [&files.objects, &files.incoming] {
            fs::create_dir_all(path)
                .await
                .map_err(|error| disk("making the directory of the object store", error))?;
        }
        Ok(files)
    }

    pub async fn probe(&self) -> Result<()> {
        let path = self.incoming.join(format!("probe-{}", new_id().simple()));
        let written = fs::write(&path, b"probe").await;
        let _ = fs::remove_file(&path).await;
        written.map_err(|error| disk("writing to the object store", error))
    }

    /// # Errors
    /// `BODY_INCOMPLETE` when the stream fails, `BAD_DIGEST`, or the disk's.
    pub async fn receive<S>(&self, stream: S, expected: &Checksums) -> Result<Incoming>
    where
        S: Stream<Item = io::Result<bytes::Bytes>> + Send,
    {
        let path = self.incoming.join(new_id().simple().to_string());
        let mut unfinished = Unfinished(Some(path.clone()));
        let failed = |error| disk("writing an object", error);
        let file = File::create_new(&path).await.map_err(failed)?;
        let mut writer = tokio::io::BufWriter::with_capacity(WRITE_CHUNK, file);
        let mut digests = Digests::new();
        let mut stream = std::pin::pin!(stream);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(error::body_broke)?;
            digests.update(&chunk);
            writer.write_all(&chunk).await.map_err(failed)?;
        }
        let (hash, md5, size) = digests.finish(expected)?;
        writer.flush().await.map_err(failed)?;
        writer.get_ref().sync_all().await.map_err(failed)?;
        unfinished.0 = None;
        Ok(Incoming { path, hash, md5, size })
    }

    /// Gives the bytes their lasting name. The caller holds the lock of the hash until its row is committed.
    pub async fn keep(&self, incoming: &Incoming) -> Result<()> {
        let path = self.path(&incoming.hash);
        let failed = |error| disk("keeping an object", error);
        let inner = path.parent().expect("the path has two directories");
        let outer = inner.parent().expect("the path has two directories");
        fs::create_dir_all(inner).await.map_err(failed)?;
        fs::rename(&incoming.path, &path).await.map_err(failed)?;
        for directory in [inner, outer, &self.objects] {
            let directory = File::open(directory).await.map_err(failed)?;
            directory.sync_all().await.map_err(failed)?;
        }
        Ok(())
    }

    pub async fn read(&self, hash: &blake3::Hash, range: Range<u64>) -> Result<FileStream> {
        let failed = |error| disk("reading an object", error);
        let mut file = File::open(self.path(hash)).await.map_err(failed)?;
        if range.start > 0 {
            file.seek(io::SeekFrom::Start(range.start)).await.map_err(failed)?;
        }
        let length = range.end.saturating_sub(range.start);
        Ok(ReaderStream::with_capacity(file.take(length), READ_CHUNK))
    }

    pub async fn remove(&self, hash: &blake3::Hash) -> io::Result<()> {
        fs::remove_file(self.path(hash)).await
    }

    fn path(&self, hash: &blake3::Hash) -> PathBuf {
        let name = hash.to_hex();
        self.objects.join(&name[0..2]).join(&name[2..4]).join(name.as_str())
    }

    /// Hashes of all files older than `age`; what else lies in their directories is passed over.
    pub async fn older_than(&self, age: Duration) -> io::Result<Vec<blake3::Hash>> {
        let mut hashes = Vec::new();
        let mut waiting = vec![self.objects.clone()];
        while let Some(directory) = waiting.pop() {
            let mut entries = fs::read_dir(&directory).await?;
            while let Some(entry) = entries.next_entry().await? {
                if entry.file_type().await?.is_dir() {
                    waiting.push(entry.path());
                } else if is_older(&entry, age).await
                    && let Some(hash) = entry
                        .file_name()
                        .to_str()
                        .and_then(|name| blake3::Hash::from_hex(name).ok())
                {
                    hashes.push(hash);
                }
            }
        }
        Ok(hashes)
    }

    /// Removes what a crash left half written.
    pub async fn forget_incoming(&self, age: Duration) -> io::Result<usize> {
        let mut entries = fs::read_dir(&self.incoming).await?;
        let mut count = 0;
        while let Some(entry) = entries.next_entry().await? {
            if is_older(&entry, age).await && fs::remove_file(entry.path()).await.is_ok() {
                count += 1;
            }
        }
        Ok(count)
    }
}

async fn is_older(entry: &fs::DirEntry, age: Duration) -> bool {
    // A file that vanished meanwhile is nobody's concern.
    let Ok(metadata) = entry.metadata().await else {
        return false;
    };
    let modified = metadata.modified().unwrap_or_else(|_| SystemTime::now());
    modified.elapsed().unwrap_or_default() >= age
}
