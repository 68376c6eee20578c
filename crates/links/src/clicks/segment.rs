//! Segment files: append-only, named by a growing number. The last one takes clicks, the others wait to be copied.
//!
//! They may fill so much of the disk and no more. A click is one `write(2)` on a file opened for appending, so lines of many threads do not mix, and what was written is
//! the kernel's and survives the death of this process.

use arc_swap::ArcSwap;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

pub struct Segments {
    directory: PathBuf,
    current: ArcSwap<Segment>,
    /// Bytes of all segments, and how many there may be.
    bytes: AtomicU64,
    most: u64,
}

struct Segment {
    number: u64,
    file: File,
    used: AtomicBool,
}

impl Segments {
    /// Opens a segment after all that are there already.
    pub fn open(directory: &Path, most: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let there = numbers(directory)?;
        let next = there.last().map_or(1, |last| last + 1);
        let mut bytes = 0;
        for number in there {
            bytes += fs::metadata(path(directory, number))?.len();
        }
        Ok(Self {
            current: ArcSwap::from_pointee(Segment::create(directory, next)?),
            directory: directory.to_owned(),
            bytes: AtomicU64::new(bytes),
            most,
        })
    }

    pub fn append(&self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        if self.bytes.fetch_add(length, Ordering::Relaxed) + length > self.most {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("the segments have reached their {} bytes", self.most),
            ));
        }
        let segment = self.current.load_full();
        segment.used.store(true, Ordering::Release);
        (&segment.file).write_all(line)
    }

    /// A copied segment goes.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let length = fs::metadata(path)?.len();
        fs::remove_file(path)?;
        self.bytes.fetch_sub(length, Ordering::Relaxed);
        Ok(())
    }

    /// Closes the current segment, if it has clicks, and opens the next. When this returns, nobody writes to closed ones.
    pub async fn rotate(&self) -> io::Result<()> {
        if !self.current.load().used.load(Ordering::Acquire) {
            return Ok(());
        }
        let next = Segment::create(&self.directory, self.current.load().number + 1)?;
        let closed = self.current.swap(Arc::new(next));
        while Arc::strong_count(&closed) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Closed segments, oldest first.
    pub fn closed(&self) -> io::Result<Vec<PathBuf>> {
        let current = self.current.load().number;
        let numbers = numbers(&self.directory)?;
        Ok(numbers
            .into_iter()
            .filter(|number| *number < current)
            .map(|number| path(&self.directory, number))
            .collect())
    }

    /// Against power loss: what is not yet copied reaches the disk.
    pub fn sync(&self) -> io::Result<()> {
        let segment = self.current.load_full();
        if segment.used.load(Ordering::Acquire) {
            segment.file.sync_data()?;
        }
        Ok(())
    }
}

impl Segment {
    fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path(directory, number))?;
        Ok(Self {
            number,
            file,
            used: AtomicBool::new(false),
        })
    }
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:012}.clicks"))
}

fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_suffix(".clicks")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closed_segments_hold_every_line_and_survive_reopening() {
        let directory = std::env::temp_dir().join(format!("segments-{}", foundation::new_id()));
        let segments = Segments::open(&directory, 1 << 20).unwrap();
        segments.append(b"one\n").unwrap();
        segments.rotate().await.unwrap();
        segments.append(b"two\n").unwrap();
        assert_eq!(segments.closed().unwrap().len(), 1);
        drop(segments);
        let again = Segments::open(&directory, 1 << 20).unwrap();
        let text: String = again
            .closed()
            .unwrap()
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        assert_eq!(text, "one\ntwo\n");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn a_full_bound_refuses_until_a_segment_is_copied() {
        let directory = std::env::temp_dir().join(format!("segments-{}", foundation::new_id()));
        let segments = Segments::open(&directory, 8).unwrap();
        segments.append(b"1234567\n").unwrap();
        assert_eq!(segments.append(b"x\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        segments.rotate().await.unwrap();
        for path in segments.closed().unwrap() {
            segments.remove(&path).unwrap();
        }
        segments.append(b"x\n").unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}
