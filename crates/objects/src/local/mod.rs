//! The store of our own: rows in schema `objects`, bytes in immutable files named by their hash.

mod files;
mod multipart;
mod objects;
mod sweep;

pub use multipart::PartRow;
pub use objects::{Listing, Source};

use crate::{Presigned, error, s3::Signer};
use files::Files;
use foundation::{Result, Secret, Uuid};
use futures_util::future::BoxFuture;
use postgres_chassis::{Pool, translate};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

pub struct Settings {
    /// Files live under `objects/` and `incoming/` in it.
    pub directory: PathBuf,
    /// Made if missing.
    pub bucket: String,
    /// Where clients reach the S3 endpoint; presigned URLs begin with it.
    pub endpoint_url: String,
    pub access_key_id: String,
    pub secret_access_key: Secret,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Local(Arc<Inner>);

pub struct Inner {
    pub(crate) pool: Pool,
    files: Files,
    pub(crate) bucket: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    signer: Signer,
    landed: Arc<Notify>,
}

impl std::ops::Deref for Local {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Local {
    /// # Errors
    /// The directory cannot be used, the database does not answer, or the endpoint's URL is none.
    pub async fn open(settings: Settings, pool: Pool) -> Result<Self> {
        let files = Files::open(&settings.directory).await?;
        let client = pool.client().await?;
        client
            .execute(
                "insert into objects.buckets (name) values ($1) on conflict do nothing",
                &[&settings.bucket],
            )
            .await
            .map_err(|error| translate("making the bucket", error))?;
        let signer = Signer::new(
            &settings.endpoint_url,
            "us-east-1",
            &settings.bucket,
            true,
            &settings.access_key_id,
            &settings.secret_access_key,
        )?;
        Ok(Self(Arc::new(Inner {
            pool,
            files,
            bucket: settings.bucket,
            access_key_id: settings.access_key_id,
            secret_access_key: settings.secret_access_key,
            signer,
            landed: Arc::default(),
        })))
    }

    /// Woken when an object came in through the S3 endpoint of this process.
    pub fn landed(&self) -> Arc<Notify> {
        self.landed.clone()
    }

    pub fn presign_put(&self, key: &str, headers: Vec<(String, String)>, seconds: u64) -> Presigned {
        self.signer.presign_put(key, headers, seconds)
    }

    pub fn presign_get(&self, key: &str, seconds: u64) -> Presigned {
        self.signer.presign_get(key, seconds)
    }

    /// # Errors
    /// The database does not answer or the directory cannot be written.
    pub async fn health(&self) -> Result<()> {
        self.pool.ping().await?;
        self.files.probe().await
    }

    /// The S3 endpoint, until `stop`; then connections get a moment to finish.
    pub fn serve(&self, listener: TcpListener, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(crate::endpoint::serve(self.clone(), listener, stop))
    }

    /// Removes files nothing refers to, until `stop`.
    pub fn sweeper(&self, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(sweep::run(self.clone(), stop))
    }
}

/// Where an endpoint listens, as a URL.
pub fn endpoint_url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn parse_upload_id(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| error::no_upload())
}
