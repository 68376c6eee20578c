//! The known links in a file, a line of JSON each, so that a fresh process serves at once and without its database.

use super::{
    link::Link,
    lookup::{Domain, Lookup},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    Domain(Domain),
    Link(String, Link),
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Domain(&'a Domain),
    Link(&'a str, &'a Link),
}

/// Answers how many there were; none where there is no file.
pub fn read(path: &Path, mut take: impl FnMut(Known)) -> io::Result<usize> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut line, mut count) = (Vec::with_capacity(512), 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        take(serde_json::from_slice(&line)?);
        line.clear();
        count += 1;
    }
    Ok(count)
}

/// Whole or not at all. Only we may read it: it has hashes of passwords in it.
pub fn write(path: &Path, lookup: &Lookup) -> io::Result<()> {
    let aside = path.with_extension("new");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let mut put = |line: Line<'_>| -> io::Result<()> {
        serde_json::to_writer(&mut writer, &line)?;
        writer.write_all(b"\n")
    };
    for domain in lookup.domains.load().values() {
        put(Line::Domain(domain))?;
    }
    for (key, entry) in lookup.known.iter() {
        if let Some(link) = &entry.link {
            put(Line::Link(&key, link))?;
        }
    }
    writer.into_inner()?.sync_data()?;
    fs::rename(aside, path)
}
