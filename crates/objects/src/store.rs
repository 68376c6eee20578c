//! The one door to object storage.

use crate::{Attributes, ByteStream, Checksums, Local, Meta, ObjectKey, Presigned, S3, Stored};
use foundation::Result;
use futures_util::StreamExt;
use std::{ops::Range, sync::Arc};
use tokio::sync::Notify;

/// Cheap to clone.
#[derive(Clone)]
pub enum Store {
    Local(Local),
    S3(S3),
}

impl Store {
    /// Streams an object of any length in; what was under the key is replaced at once when it is whole.
    pub async fn put(&self, key: &ObjectKey, attributes: &Attributes, stream: ByteStream) -> Result<Stored> {
        match self {
            Store::Local(local) => {
                let unchecked = Checksums::default();
                local.put(&local.bucket, key, attributes, &unchecked, stream).await
            }
            Store::S3(s3) => s3.put(key, attributes, stream).await,
        }
    }

    /// The object, or the bytes of `range` of it; the range must lie within the object.
    pub async fn get(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Option<(Meta, ByteStream)>> {
        match self {
            Store::Local(local) => {
                let choose = |meta: &Meta| Ok(range.unwrap_or(0..meta.size));
                match local.get(&local.bucket, key.as_str(), choose).await {
                    Ok((meta, _, stream)) => Ok(Some((meta, stream.boxed()))),
                    Err(error) if error.code == "NO_SUCH_OBJECT" => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Store::S3(s3) => s3.get(key.as_str(), range).await,
        }
    }

    pub async fn head(&self, key: &ObjectKey) -> Result<Option<Meta>> {
        match self {
            Store::Local(local) => local.head(&local.bucket, key.as_str()).await,
            Store::S3(s3) => s3.head(key.as_str()).await,
        }
    }

    /// No object of this key is no error.
    pub async fn delete(&self, key: &ObjectKey) -> Result<()> {
        match self {
            Store::Local(local) => local.delete(&local.bucket, key.as_str()).await.map(drop),
            Store::S3(s3) => s3.delete(key.as_str()).await,
        }
    }

    /// In the order of the keys, behind `after`; at most 1000.
    pub async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Meta>> {
        match self {
            Store::Local(local) => {
                let page = local.list(&local.bucket, prefix, "", after, limit.min(1000)).await?;
                Ok(page.objects)
            }
            Store::S3(s3) => s3.list(prefix, after, limit).await,
        }
    }

    pub async fn copy(&self, from: &ObjectKey, to: &ObjectKey) -> Result<()> {
        match self {
            Store::Local(local) => {
                let source = crate::local::Source {
                    bucket: &local.bucket,
                    key: from.as_str(),
                };
                local.copy(source, &local.bucket, to, None).await.map(drop)
            }
            Store::S3(s3) => s3.copy(from, to).await,
        }
    }

    /// A URL to PUT to; the headers (lower-case names) are signed and must be sent as they are.
    pub fn presign_put(&self, key: &ObjectKey, headers: Vec<(String, String)>, seconds: u64) -> Presigned {
        match self {
            Store::Local(local) => local.presign_put(key.as_str(), headers, seconds),
            Store::S3(s3) => s3.presign_put(key.as_str(), headers, seconds),
        }
    }

    pub fn presign_get(&self, key: &ObjectKey, seconds: u64) -> Presigned {
        match self {
            Store::Local(local) => local.presign_get(key.as_str(), seconds),
            Store::S3(s3) => s3.presign_get(key.as_str(), seconds),
        }
    }

    pub async fn health(&self) -> Result<()> {
        match self {
            Store::Local(local) => local.health().await,
            Store::S3(s3) => s3.health().await,
        }
    }

    /// Woken when something came in behind our back, where the store can tell.
    pub fn landed(&self) -> Option<Arc<Notify>> {
        match self {
            Store::Local(local) => Some(local.landed()),
            Store::S3(_) => None,
        }
    }
}
