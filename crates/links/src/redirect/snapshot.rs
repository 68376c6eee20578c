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

#[cfg(test)]
mod tests {
    use super::*;
    use foundation::new_id;
    use http::HeaderValue;
    use postgres_chassis::{DatabaseUrl, Pool, PoolSize};
    use std::time::Instant;

    #[tokio::test]
    async fn what_is_written_is_read_again_and_fast() {
        let path = std::env::temp_dir().join(format!("snapshot-{}", new_id()));
        let mut text = Vec::new();
        let links = 100_000;
        for number in 0..links {
            let location = format!("https://example.org/a/path/of/usual/length/{number}?utm_source=x");
            let link = Link {
                id: new_id(),
                location: HeaderValue::from_str(&location).unwrap(),
                options: None,
            };
            let slug = format!("slug{number}");
            serde_json::to_writer(&mut text, &Line::Link(&slug, &link)).unwrap();
            text.push(b'\n');
        }
        fs::write(&path, text).unwrap();
        let url = DatabaseUrl::parse("postgres://nobody:x@127.0.0.1:1/none").unwrap();
        let pool = Pool::open(&url, "test", PoolSize::default()).unwrap();
        let began = Instant::now();
        let lookup = Lookup::new(pool, path.clone());
        // Unoptimised and on a busy machine; a million is promised in a second of a release build.
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
        assert_eq!(lookup.known.len(), links);
        let slug = super::super::Slug::parse("slug99999").unwrap();
        let found = lookup.find(None, &slug).await.unwrap().unwrap();
        assert!(found.location.to_str().unwrap().contains("/99999?"));
        write(&path, &lookup).unwrap();
        assert_eq!(read(&path, |_| {}).unwrap(), links);
        fs::remove_file(path).unwrap();
    }
}
