//! Objects and buckets: a row for each, the bytes in a file the row names.

use super::{
    Local,
    files::{FileStream, Incoming},
};
use crate::{Attributes, Checksums, Meta, ObjectKey, Stored, error, object::hex};
use deadpool_postgres::{GenericClient, Transaction};
use foundation::{Result, Uuid};
use futures_util::Stream;
use postgres_chassis::{Row, translate};
use std::{collections::BTreeMap, io, ops::Range};
use time::OffsetDateTime;

const COLUMNS: &str = "key, size, etag, created_at, content_type, cache_control, content_disposition, \
                       content_encoding, metadata, blake3";

/// Where a copy comes from.
pub struct Source<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
}

/// A page of keys, and of the prefixes that stand for many.
#[derive(Debug, Default)]
pub struct Listing {
    pub objects: Vec<Meta>,
    pub prefixes: Vec<String>,
    /// Where the next page begins, exclusive.
    pub next: Option<String>,
}

impl Local {
    /// # Errors
    /// `BODY_INCOMPLETE`, `BAD_DIGEST`, `NO_SUCH_BUCKET`
    pub async fn put<S>(
        &self,
        bucket: &str,
        key: &ObjectKey,
        attributes: &Attributes,
        expected: &Checksums,
        stream: S,
    ) -> Result<Stored>
    where
        S: Stream<Item = io::Result<bytes::Bytes>> + Send,
    {
        let incoming = self.files.receive(stream, expected).await?;
        let etag = hex(&incoming.md5);
        self.keep(bucket, key.as_str(), attributes, &incoming, &etag, None)
            .await
    }

    /// The file gets its name and the row is written, as one for everybody else; `upload` ends with it.
    pub(super) async fn keep(
        &self,
        bucket: &str,
        key: &str,
        attributes: &Attributes,
        incoming: &Incoming,
        etag: &str,
        upload: Option<Uuid>,
    ) -> Result<Stored> {
        let mut client = self.pool.client().await?;
        let told = |error| translate("keeping an object", error);
        let transaction = client.transaction().await.map_err(told)?;
        if let Some(upload) = upload {
            let ended = transaction
                .execute("delete from objects.uploads where id = $1", &[&upload])
                .await
                .map_err(told)?;
            if ended == 0 {
                return Err(error::no_upload());
            }
        }
        lock_file(&transaction, &incoming.hash).await?;
        self.files.keep(incoming).await?;
        let row = NewRow {
            bucket,
            key,
            hash: &incoming.hash,
            size: incoming.size,
            etag,
        };
        write_row(&transaction, &row, attributes).await?;
        transaction.commit().await.map_err(told)?;
        Ok(Stored {
            size: incoming.size,
            etag: etag.to_owned(),
            blake3: incoming.hash.to_hex().to_string(),
        })
    }

    pub async fn head(&self, bucket: &str, key: &str) -> Result<Option<Meta>> {
        Ok(self.find(bucket, key).await?.map(|(meta, _)| meta))
    }

    async fn find(&self, bucket: &str, key: &str) -> Result<Option<(Meta, blake3::Hash)>> {
        let client = self.pool.client().await?;
        find(&client, bucket, key).await
    }

    /// The whole object, or the part `choose` makes of its size.
    pub async fn get(
        &self,
        bucket: &str,
        key: &str,
        choose: impl FnOnce(&Meta) -> Result<Range<u64>>,
    ) -> Result<(Meta, Range<u64>, FileStream)> {
        let (meta, hash) = self.find(bucket, key).await?.ok_or_else(error::no_object)?;
        let range = choose(&meta)?;
        let stream = self.files.read(&hash, range.clone()).await?;
        Ok((meta, range, stream))
    }

    /// Whether there was one. The bytes go later, when nothing else refers to them.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<bool> {
        let client = self.pool.client().await?;
        let count = client
            .execute(
                "delete from objects.objects where bucket = $1 and key = $2",
                &[&bucket, &key],
            )
            .await
            .map_err(|error| translate("deleting an object", error))?;
        Ok(count > 0)
    }

    /// Another row for the same bytes; `attributes` replace the source's where given.
    pub async fn copy(
        &self,
        source: Source<'_>,
        bucket: &str,
        key: &ObjectKey,
        attributes: Option<&Attributes>,
    ) -> Result<Meta> {
        let mut client = self.pool.client().await?;
        let told = |error| translate("copying an object", error);
        let transaction = client.transaction().await.map_err(told)?;
        let (meta, hash) = find(&transaction, source.bucket, source.key)
            .await?
            .ok_or_else(error::no_object)?;
        // The sweeper may have been about to remove the file: look again once it cannot.
        lock_file(&transaction, &hash).await?;
        let again = find(&transaction, source.bucket, source.key).await?;
        if again.is_none_or(|(_, now)| now != hash) {
            return Err(error::no_object());
        }
        let row = NewRow {
            bucket,
            key: key.as_str(),
            hash: &hash,
            size: meta.size,
            etag: &meta.etag,
        };
        write_row(&transaction, &row, attributes.unwrap_or(&meta.attributes)).await?;
        let copied = find(&transaction, bucket, key.as_str()).await?;
        transaction.commit().await.map_err(told)?;
        copied.map(|(meta, _)| meta).ok_or_else(error::no_object)
    }

    /// In the order of the keys' bytes, at most `limit` objects and prefixes together.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: &str,
        after: &str,
        limit: usize,
    ) -> Result<Listing> {
        let client = self.pool.client().await?;
        let mut listing = Listing::default();
        let mut after = after.to_owned();
        // A whole prefix is stepped over at once, whatever it holds.
        let mut beyond = String::new();
        if limit == 0 {
            return Ok(listing);
        }
        loop {
            let room = limit - listing.objects.len() - listing.prefixes.len();
            let rows = page(&client, bucket, prefix, &after, &beyond, room + 1).await?;
            let more = rows.len() > room;
            let mut stepped = false;
            for row in &rows {
                let (meta, _) = from_row(row);
                if listing.objects.len() + listing.prefixes.len() == limit {
                    listing.next = Some(after);
                    return Ok(listing);
                }
                if let Some(common) = common_prefix(&meta.key, prefix, delimiter) {
                    after = last_of_prefix(&common);
                    beyond = common.clone();
                    if listing.prefixes.last() != Some(&common) {
                        listing.prefixes.push(common);
                    }
                    stepped = true;
                    break;
                }
                after.clone_from(&meta.key);
                listing.objects.push(meta);
            }
            if !more && !stepped {
                return Ok(listing);
            }
        }
    }

    pub async fn buckets(&self) -> Result<Vec<(String, OffsetDateTime)>> {
        let client = self.pool.client().await?;
        let rows = client
            .query("select name, created_at from objects.buckets order by name", &[])
            .await
            .map_err(|error| translate("listing buckets", error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    pub async fn has_bucket(&self, name: &str) -> Result<()> {
        let client = self.pool.client().await?;
        let row = client
            .query_opt("select 1 from objects.buckets where name = $1", &[&name])
            .await
            .map_err(|error| translate("looking for a bucket", error))?;
        row.map(drop).ok_or_else(|| error::no_bucket(name))
    }

    /// Whether it is new.
    pub async fn create_bucket(&self, name: &str) -> Result<bool> {
        let client = self.pool.client().await?;
        let count = client
            .execute(
                "insert into objects.buckets (name) values ($1) on conflict do nothing",
                &[&name],
            )
            .await
            .map_err(|error| translate("making a bucket", error))?;
        Ok(count > 0)
    }

    /// False where it still holds objects, or is the one media stands on.
    pub async fn delete_bucket(&self, name: &str) -> Result<bool> {
        self.has_bucket(name).await?;
        if name == self.bucket {
            return Ok(false);
        }
        let client = self.pool.client().await?;
        let count = client
            .execute(
                "delete from objects.buckets where name = $1
                 and not exists (select from objects.objects where bucket = $1)",
                &[&name],
            )
            .await
            .map_err(|error| translate("deleting a bucket", error))?;
        Ok(count > 0)
    }
}

/// The prefix that stands for this key in a listing with a delimiter.
fn common_prefix(key: &str, prefix: &str, delimiter: &str) -> Option<String> {
    if delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(prefix)?;
    let end = rest.find(delimiter)? + delimiter.len();
    Some(key[..prefix.len() + end].to_owned())
}

/// No key of the prefix sorts behind this one, because none has this character, the last of all.
fn last_of_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

async fn page(
    client: &impl GenericClient,
    bucket: &str,
    prefix: &str,
    after: &str,
    beyond: &str,
    limit: usize,
) -> Result<Vec<Row>> {
    let statement = format!(
        "select {COLUMNS} from objects.objects
         where bucket = $1 and key > $2 and key >= $3 and starts_with(key, $3)
           and ($4 = '' or not starts_with(key, $4))
         order by key limit $5"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    client
        .query(&statement, &[&bucket, &after, &prefix, &beyond, &limit])
        .await
        .map_err(|error| translate("listing objects", error))
}

/// Held until the transaction ends; the sweeper takes it exclusively.
pub(super) async fn lock_file(transaction: &Transaction<'_>, hash: &blake3::Hash) -> Result<()> {
    transaction
        .execute("select pg_advisory_xact_lock_shared($1)", &[&lock_number(hash)])
        .await
        .map_err(|error| translate("locking a file", error))?;
    Ok(())
}

pub(super) fn lock_number(hash: &blake3::Hash) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_be_bytes(first)
}

async fn find(client: &impl GenericClient, bucket: &str, key: &str) -> Result<Option<(Meta, blake3::Hash)>> {
    let statement = format!("select {COLUMNS} from objects.objects where bucket = $1 and key = $2");
    let prepared = client
        .prepare_cached(&statement)
        .await
        .map_err(|error| translate("finding an object", error))?;
    let row = client
        .query_opt(&prepared, &[&bucket, &key])
        .await
        .map_err(|error| translate("finding an object", error))?;
    Ok(row.as_ref().map(from_row))
}

struct NewRow<'a> {
    bucket: &'a str,
    key: &'a str,
    hash: &'a blake3::Hash,
    size: u64,
    etag: &'a str,
}

async fn write_row(client: &impl GenericClient, row: &NewRow<'_>, attributes: &Attributes) -> Result<()> {
    let hash = row.hash.as_bytes().as_slice();
    let written = client
        .execute(
            "insert into objects.objects (bucket, key, blake3, size, etag, content_type, cache_control,
                                          content_disposition, content_encoding, metadata)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 where exists (select from objects.buckets where name = $1)
             on conflict (bucket, key) do update set
                 blake3 = excluded.blake3, size = excluded.size, etag = excluded.etag,
                 content_type = excluded.content_type, cache_control = excluded.cache_control,
                 content_disposition = excluded.content_disposition, content_encoding = excluded.content_encoding,
                 metadata = excluded.metadata, created_at = now()",
            &[
                &row.bucket,
                &row.key,
                &hash,
                &i64::try_from(row.size).unwrap_or(i64::MAX),
                &row.etag,
                &attributes.content_type,
                &attributes.cache_control,
                &attributes.content_disposition,
                &attributes.content_encoding,
                &to_json(&attributes.metadata),
            ],
        )
        .await
        .map_err(|error| translate("writing an object's row", error))?;
    if written == 0 {
        return Err(error::no_bucket(row.bucket));
    }
    Ok(())
}

pub(super) fn to_json(metadata: &BTreeMap<String, String>) -> serde_json::Value {
    metadata
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(super) fn from_json(value: &serde_json::Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

pub(super) fn hash_of(bytes: &[u8]) -> blake3::Hash {
    let mut whole = [0; 32];
    let length = bytes.len().min(32);
    whole[..length].copy_from_slice(&bytes[..length]);
    blake3::Hash::from_bytes(whole)
}

fn from_row(row: &Row) -> (Meta, blake3::Hash) {
    let metadata: serde_json::Value = row.get(8);
    let meta = Meta {
        key: row.get(0),
        size: u64::try_from(row.get::<_, i64>(1)).unwrap_or(0),
        etag: row.get(2),
        modified: row.get(3),
        attributes: Attributes {
            content_type: row.get(4),
            cache_control: row.get(5),
            content_disposition: row.get(6),
            content_encoding: row.get(7),
            metadata: from_json(&metadata),
        },
    };
    (meta, hash_of(row.get(9)))
}

#[cfg(test)]
mod tests {
    use super::common_prefix;

    #[test]
    fn a_delimiter_folds_keys_behind_the_prefix_only() {
        assert_eq!(common_prefix("a/b/c", "", "/").as_deref(), Some("a/"));
        assert_eq!(common_prefix("a/b/c", "a/", "/").as_deref(), Some("a/b/"));
        assert_eq!(common_prefix("a/b", "a/", "/"), None);
        assert_eq!(common_prefix("a/b", "", ""), None);
    }
}
