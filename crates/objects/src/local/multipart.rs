//! Multipart uploads: parts are files of their own until completion joins them.

use super::{
    Local,
    files::Files,
    objects::{from_json, hash_of, lock_file, to_json},
    parse_upload_id,
};
use crate::{Attributes, ByteStream, Checksums, ObjectKey, Stored, error, object::hex};
use foundation::{Result, new_id};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};
use postgres_chassis::translate;
use std::io;
use time::OffsetDateTime;

#[derive(Clone, Debug)]
pub struct PartRow {
    pub number: i32,
    pub etag: String,
    pub size: u64,
    pub modified: OffsetDateTime,
    hash: blake3::Hash,
}

impl Local {
    pub async fn create_upload(&self, bucket: &str, key: &ObjectKey, attributes: &Attributes) -> Result<String> {
        self.has_bucket(bucket).await?;
        let id = new_id();
        let client = self.pool.client().await?;
        client
            .execute(
                "insert into objects.uploads (id, bucket, key, content_type, cache_control, content_disposition,
                                              content_encoding, metadata)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    &id,
                    &bucket,
                    &key.as_str(),
                    &attributes.content_type,
                    &attributes.cache_control,
                    &attributes.content_disposition,
                    &attributes.content_encoding,
                    &to_json(&attributes.metadata),
                ],
            )
            .await
            .map_err(|error| translate("beginning a multipart upload", error))?;
        Ok(id.simple().to_string())
    }

    /// The attributes the object will have.
    pub async fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Attributes> {
        let client = self.pool.client().await?;
        let row = client
            .query_opt(
                "select content_type, cache_control, content_disposition, content_encoding, metadata
                 from objects.uploads where id = $1 and bucket = $2 and key = $3",
                &[&parse_upload_id(id)?, &bucket, &key],
            )
            .await
            .map_err(|error| translate("finding a multipart upload", error))?
            .ok_or_else(error::no_upload)?;
        Ok(Attributes {
            content_type: row.get(0),
            cache_control: row.get(1),
            content_disposition: row.get(2),
            content_encoding: row.get(3),
            metadata: from_json(&row.get(4)),
        })
    }

    /// The part's ETag. A part sent twice is the one sent last.
    pub async fn put_part<S>(&self, id: &str, number: i32, expected: &Checksums, stream: S) -> Result<String>
    where
        S: Stream<Item = io::Result<bytes::Bytes>> + Send,
    {
        if !(1..=10_000).contains(&number) {
            return Err(error::bad_part("Part numbers go from 1 to 10000"));
        }
        let incoming = self.files.receive(stream, expected).await?;
        let (etag, hash) = (hex(&incoming.md5), incoming.hash.as_bytes().as_slice());
        let mut client = self.pool.client().await?;
        let told = |error| translate("keeping a part", error);
        let transaction = client.transaction().await.map_err(told)?;
        lock_file(&transaction, &incoming.hash).await?;
        self.files.keep(&incoming).await?;
        let size = i64::try_from(incoming.size).unwrap_or(i64::MAX);
        let written = transaction
            .execute(
                "insert into objects.parts (upload_id, number, blake3, size, etag)
                 select $1, $2, $3, $4, $5 where exists (select from objects.uploads where id = $1)
                 on conflict (upload_id, number) do update set
                     blake3 = excluded.blake3, size = excluded.size, etag = excluded.etag, created_at = now()",
                &[&parse_upload_id(id)?, &number, &hash, &size, &etag],
            )
            .await
            .map_err(told)?;
        if written == 0 {
            return Err(error::no_upload());
        }
        transaction.commit().await.map_err(told)?;
        Ok(etag)
    }

    pub async fn parts(&self, id: &str) -> Result<Vec<PartRow>> {
        let client = self.pool.client().await?;
        let rows = client
            .query(
                "select number, etag, size, created_at, blake3 from objects.parts where upload_id = $1 order by number",
                &[&parse_upload_id(id)?],
            )
            .await
            .map_err(|error| translate("listing parts", error))?;
        let part = |row: &postgres_chassis::Row| PartRow {
            number: row.get(0),
            etag: row.get(1),
            size: u64::try_from(row.get::<_, i64>(2)).unwrap_or(0),
            modified: row.get(3),
            hash: hash_of(row.get(4)),
        };
        Ok(rows.iter().map(part).collect())
    }

    /// Joins the chosen parts, given as (number, ETag), to one object.
    pub async fn complete_upload(
        &self,
        bucket: &str,
        key: &ObjectKey,
        id: &str,
        chosen: &[(i32, Option<String>)],
    ) -> Result<Stored> {
        let attributes = self.upload(bucket, key.as_str(), id).await?;
        let parts = choose(&self.parts(id).await?, chosen)?;
        let mut etags = Md5::new();
        for part in &parts {
            etags.update(from_hex(&part.etag));
        }
        let etag = format!("{}-{}", hex(&etags.finalize()), parts.len());
        let bytes = joined(self.files.clone(), parts);
        let incoming = self.files.receive(bytes, &Checksums::default()).await?;
        self.keep(
            bucket,
            key.as_str(),
            &attributes,
            &incoming,
            &etag,
            Some(parse_upload_id(id)?),
        )
        .await
    }

    pub async fn abort_upload(&self, id: &str) -> Result<()> {
        let client = self.pool.client().await?;
        let count = client
            .execute("delete from objects.uploads where id = $1", &[&parse_upload_id(id)?])
            .await
            .map_err(|error| translate("ending a multipart upload", error))?;
        if count == 0 {
            return Err(error::no_upload());
        }
        Ok(())
    }

    /// (key, id, begun)
    pub async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<(String, String, OffsetDateTime)>> {
        let client = self.pool.client().await?;
        let rows = client
            .query(
                "select key, replace(id::text, '-', ''), created_at from objects.uploads
                 where bucket = $1 and starts_with(key, $2) order by key, id limit 1000",
                &[&bucket, &prefix],
            )
            .await
            .map_err(|error| translate("listing multipart uploads", error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
    }
}

fn joined(files: Files, parts: Vec<PartRow>) -> ByteStream {
    let read = move |part: PartRow| {
        let files = files.clone();
        async move { files.read(&part.hash, 0..part.size).await.map_err(io::Error::other) }
    };
    stream::iter(parts).then(read).try_flatten().boxed()
}

fn choose(parts: &[PartRow], chosen: &[(i32, Option<String>)]) -> Result<Vec<PartRow>> {
    if chosen.is_empty() {
        return Err(error::bad_part("No part is named"));
    }
    if chosen.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(error::bad_part("The parts are not in ascending order"));
    }
    let find = |(number, etag): &(i32, Option<String>)| {
        let part = parts.iter().find(|part| part.number == *number);
        part.filter(|part| etag.as_ref().is_none_or(|etag| *etag == part.etag))
            .cloned()
            .ok_or_else(|| error::bad_part("A part that is named was not uploaded, or has another ETag"))
    };
    chosen.iter().map(find).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).filter_map(digit).collect()
}
