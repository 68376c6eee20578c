//! R2 or any other S3, over the one outbound client. Signing is `rusty-s3`'s; every request carries it in the query and its
//! payload unsigned, which every S3 we know accepts.

mod request;
mod sign;

pub use sign::{KEY, Signer};

use crate::{Attributes, ByteStream, Digests, Meta, ObjectKey, Presigned, Stored, error, object::hex};
use bytes::{Bytes, BytesMut};
use foundation::{Result, Secret};
use futures_util::{StreamExt, TryStreamExt};
use http::Method;
use http_body_util::BodyExt;
use rusty_s3::{
    S3Action,
    actions::{CreateMultipartUpload, ListObjectsV2},
};
use std::{io, ops::Range, sync::Arc, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What is held in memory of an upload; S3's parts are 5 MiB at least.
const PART: usize = 8 * 1024 * 1024;
const SIGNED_FOR: Duration = Duration::from_secs(900);

#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://s3.eu-central-1.amazonaws.com`, `https://<account>.r2.cloudflarestorage.com`, …
    pub endpoint: String,
    /// R2's is `auto`.
    pub region: String,
    pub bucket: String,
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// The bucket in the path instead of the host.
    pub path_style: bool,
}

impl Settings {
    /// Cloudflare R2's endpoint and region for an account.
    pub fn r2(account_id: &str, bucket: &str, access_key_id: &str, secret_access_key: Secret) -> Self {
        Self {
            endpoint: format!("https://{account_id}.r2.cloudflarestorage.com"),
            region: "auto".into(),
            bucket: bucket.into(),
            access_key_id: access_key_id.into(),
            secret_access_key,
            path_style: true,
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct S3(Arc<Inner>);

pub struct Inner {
    signer: Signer,
    client: telemetry::client::Client,
}

impl std::ops::Deref for S3 {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl S3 {
    /// # Errors
    /// The endpoint is no URL, or the bucket's name cannot be part of one.
    pub fn open(settings: &Settings, client: telemetry::client::Client) -> Result<Self> {
        let signer = Signer::new(
            &settings.endpoint,
            &settings.region,
            &settings.bucket,
            settings.path_style,
            &settings.access_key_id,
            &settings.secret_access_key,
        )?;
        Ok(Self(Arc::new(Inner { signer, client })))
    }

    pub async fn put(&self, key: &ObjectKey, attributes: &Attributes, mut stream: ByteStream) -> Result<Stored> {
        let mut digests = Digests::new();
        let mut first = Buffer::default();
        if first.fill(&mut stream, &mut digests).await? {
            let etag = self.put_whole(key.as_str(), attributes, first.take()).await?;
            return stored(digests, etag);
        }
        let headers = sign::headers_of(attributes);
        let mut action = CreateMultipartUpload::new(&self.signer.bucket, self.signer.credentials(), key.as_str());
        sign::insert(&mut action, &headers);
        let url = action.sign(SIGNED_FOR);
        let answer = self
            .ask("CreateMultipartUpload", Method::POST, &url, &headers, Bytes::new())
            .await?;
        let begun = CreateMultipartUpload::parse_response(&request::text(&answer))
            .map_err(|error| error::store_unavailable("CreateMultipartUpload", error.to_string()))?;
        let id = begun.upload_id();
        let joined = self.put_parts(key.as_str(), id, first, &mut stream, &mut digests).await;
        match joined {
            Ok(etag) => stored(digests, etag),
            Err(error) => {
                let abort = self
                    .signer
                    .bucket
                    .abort_multipart_upload(self.signer.credentials(), key.as_str(), id);
                let url = abort.sign(SIGNED_FOR);
                // What cannot be aborted now, the bucket's lifecycle rule removes.
                let _ = self
                    .ask("AbortMultipartUpload", Method::DELETE, &url, &[], Bytes::new())
                    .await;
                Err(error)
            }
        }
    }

    async fn put_whole(&self, key: &str, attributes: &Attributes, bytes: Bytes) -> Result<String> {
        let headers = sign::headers_of(attributes);
        let mut action = self.signer.bucket.put_object(self.signer.credentials(), key);
        sign::insert(&mut action, &headers);
        let answer = self
            .ask("PutObject", Method::PUT, &action.sign(SIGNED_FOR), &headers, bytes)
            .await?;
        Ok(request::etag(answer.headers()))
    }

    async fn put_parts(
        &self,
        key: &str,
        id: &str,
        mut buffer: Buffer,
        stream: &mut ByteStream,
        digests: &mut Digests,
    ) -> Result<String> {
        let (bucket, credentials) = (&self.signer.bucket, self.signer.credentials());
        let mut etags = Vec::new();
        let mut last = false;
        while !last || !buffer.is_empty() {
            let number = u16::try_from(etags.len() + 1).unwrap_or(u16::MAX);
            let url = bucket.upload_part(credentials, key, number, id).sign(SIGNED_FOR);
            let answer = self.ask("UploadPart", Method::PUT, &url, &[], buffer.take()).await?;
            etags.push(format!("\"{}\"", request::etag(answer.headers())));
            if !last {
                last = buffer.fill(stream, digests).await?;
            }
        }
        let named = etags.iter().map(String::as_str);
        let action = bucket.complete_multipart_upload(credentials, key, id, named);
        let url = action.sign(SIGNED_FOR);
        let answer = self
            .ask("CompleteMultipartUpload", Method::POST, &url, &[], action.body().into())
            .await?;
        let text = request::text(&answer);
        // S3 may answer 200 and then fail in the body.
        if text.contains("<Error>") {
            return Err(error::store_refused("CompleteMultipartUpload", 200, &text));
        }
        Ok(self.head(key).await?.map(|meta| meta.etag).unwrap_or_default())
    }

    pub async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<(Meta, ByteStream)>> {
        let url = self
            .signer
            .bucket
            .get_object(self.signer.credentials(), key)
            .sign(SIGNED_FOR);
        let headers: Vec<_> = range
            .map(|range| {
                (
                    "range".to_owned(),
                    format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
                )
            })
            .into_iter()
            .collect();
        let Some(response) = self.open_get(&url, &headers).await? else {
            return Ok(None);
        };
        let meta = request::meta(key, response.headers());
        let body = response.into_body().into_data_stream().map_err(io::Error::other);
        Ok(Some((meta, body.boxed())))
    }

    pub async fn head(&self, key: &str) -> Result<Option<Meta>> {
        let url = self
            .signer
            .bucket
            .head_object(self.signer.credentials(), key)
            .sign(SIGNED_FOR);
        match self.ask("HeadObject", Method::HEAD, &url, &[], Bytes::new()).await {
            Ok(answer) => Ok(Some(request::meta(key, answer.headers()))),
            Err(error) if error.code == "NO_SUCH_OBJECT" => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn delete(&self, key: &str) -> Result<()> {
        let url = self
            .signer
            .bucket
            .delete_object(self.signer.credentials(), key)
            .sign(SIGNED_FOR);
        match self.ask("DeleteObject", Method::DELETE, &url, &[], Bytes::new()).await {
            Ok(_) => Ok(()),
            Err(error) if error.code == "NO_SUCH_OBJECT" => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A copy is a put with the source in a signed header; `rusty-s3` has no action of its own for it.
    pub async fn copy(&self, from: &ObjectKey, to: &ObjectKey) -> Result<()> {
        let mut action = self.signer.bucket.put_object(self.signer.credentials(), to.as_str());
        let path = percent_encoding::utf8_percent_encode(from.as_str(), sign::KEY);
        let headers = vec![(
            "x-amz-copy-source".to_owned(),
            format!("/{}/{path}", self.signer.bucket.name()),
        )];
        sign::insert(&mut action, &headers);
        let url = action.sign(SIGNED_FOR);
        self.ask("CopyObject", Method::PUT, &url, &headers, Bytes::new())
            .await?;
        Ok(())
    }

    /// One page, at most 1000, in the order of the keys.
    pub async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Meta>> {
        let mut action = ListObjectsV2::new(&self.signer.bucket, self.signer.credentials());
        action.with_prefix(prefix);
        if !after.is_empty() {
            action.with_start_after(after);
        }
        action.with_max_keys(limit.min(1000));
        let answer = self
            .ask(
                "ListObjectsV2",
                Method::GET,
                &action.sign(SIGNED_FOR),
                &[],
                Bytes::new(),
            )
            .await?;
        let page = ListObjectsV2::parse_response(&request::text(&answer))
            .map_err(|error| error::store_unavailable("ListObjectsV2", error.to_string()))?;
        let meta = |object: rusty_s3::actions::list_objects_v2::ListObjectsContent| Meta {
            key: object.key,
            size: object.size.unwrap_or(0),
            etag: object.etag.unwrap_or_default().trim_matches('"').to_owned(),
            modified: object
                .last_modified
                .and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok())
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
            attributes: Attributes::default(),
        };
        Ok(page.contents.into_iter().map(meta).collect())
    }

    pub async fn health(&self) -> Result<()> {
        let url = self
            .signer
            .bucket
            .head_bucket(self.signer.credentials())
            .sign(SIGNED_FOR);
        self.ask("HeadBucket", Method::HEAD, &url, &[], Bytes::new()).await?;
        Ok(())
    }

    pub fn presign_put(&self, key: &str, headers: Vec<(String, String)>, seconds: u64) -> Presigned {
        self.signer.presign_put(key, headers, seconds)
    }

    pub fn presign_get(&self, key: &str, seconds: u64) -> Presigned {
        self.signer.presign_get(key, seconds)
    }
}

fn stored(digests: Digests, etag: String) -> Result<Stored> {
    let (hash, md5, size) = digests.finish(&crate::Checksums::default())?;
    let etag = if etag.is_empty() { hex(&md5) } else { etag };
    Ok(Stored {
        size,
        etag,
        blake3: hash.to_hex().to_string(),
    })
}

/// Bytes waiting to be a part.
#[derive(Default)]
struct Buffer(BytesMut);

impl Buffer {
    /// Reads on until a part is full; true when the stream has ended.
    async fn fill(&mut self, stream: &mut ByteStream, digests: &mut Digests) -> Result<bool> {
        while self.0.len() < PART {
            let Some(chunk) = stream.next().await else {
                return Ok(true);
            };
            let chunk = chunk.map_err(error::body_broke)?;
            digests.update(&chunk);
            self.0.extend_from_slice(&chunk);
        }
        Ok(false)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self) -> Bytes {
        self.0.split().freeze()
    }
}
