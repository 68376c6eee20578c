//! The object store: R2 or any S3 where one is configured, else ours on this machine with its own S3 endpoint.

use super::{Logins, Plan};
use crate::{
    generated,
    process::Process,
    settings::{ObjectStore, Settings},
};
use foundation::{Error, Kind, Result, Secret};
use objects::{Local, LocalSettings, S3, S3Settings, Store, endpoint_url};
use postgres_chassis::Pool;
use std::net::SocketAddr;
use tokio::net::TcpListener;

const BUCKET: &str = "portico";
const ACCESS_KEY_ID: &str = "portico";

/// Whether the plan runs the store on this machine.
pub fn is_local(settings: &Settings, plan: &Plan) -> bool {
    plan.store || plan.media && settings.store.is_none()
}

pub struct OpenStore {
    pub store: Store,
    /// Where objects are public without us: R2's public bucket.
    pub public_url: Option<String>,
    pub endpoint: Option<SocketAddr>,
}

pub async fn open(
    settings: &Settings,
    plan: &Plan,
    logins: &Logins,
    process: &mut Process,
    pool: impl FnOnce() -> Result<Pool>,
) -> Result<OpenStore> {
    if logins.objects.is_some() {
        return open_local(settings, plan, pool()?, process).await;
    }
    let Some(given) = &settings.store else {
        return Err(Error::new(
            Kind::Invalid,
            "STORE_MISSING",
            "No object store is configured: set PORTICO_S3_ENDPOINT or CLOUDFLARE_R2_ACCOUNT_ID, or run media with 'up'",
        ));
    };
    let own = s3_settings(given);
    Ok(OpenStore {
        store: Store::S3(S3::open(&own, process.client.clone())?),
        public_url: given.public_url.clone(),
        endpoint: None,
    })
}

pub fn s3_settings(given: &ObjectStore) -> S3Settings {
    S3Settings {
        endpoint: given.endpoint.clone(),
        region: given.region.clone(),
        bucket: given.bucket.clone(),
        access_key_id: given.access_key_id.expose().to_owned(),
        secret_access_key: given.secret_access_key.clone(),
        path_style: given.path_style,
    }
}

async fn open_local(settings: &Settings, plan: &Plan, pool: Pool, process: &mut Process) -> Result<OpenStore> {
    let address = settings.addresses.s3;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let message =
            format!("The S3 endpoint cannot listen on {address}: {error}. Set PORTICO_S3_ADDR to a free address");
        Error::new(Kind::Unavailable, "LISTENER", message)
    })?;
    let bound = listener
        .local_addr()
        .map_err(|error| Error::internal("reading a listener's address", error))?;
    let local = LocalSettings {
        directory: settings.data_dir.join("store"),
        bucket: BUCKET.into(),
        endpoint_url: settings.s3_public_url.clone().unwrap_or_else(|| endpoint_url(bound)),
        access_key_id: ACCESS_KEY_ID.into(),
        secret_access_key: secret(settings, plan)?,
    };
    let local = Local::open(local, pool).await?;
    process.at_the_door(("s3 endpoint".into(), local.serve(listener, process.door.clone())));
    process.at_work(("object sweeper".into(), local.sweeper(process.work.clone())));
    Ok(OpenStore {
        store: Store::Local(local),
        public_url: None,
        endpoint: Some(bound),
    })
}

/// A store of its own process is reached with configured keys, so it takes the same ones.
fn secret(settings: &Settings, plan: &Plan) -> Result<Secret> {
    match &settings.store_secret {
        Some(secret) if plan.store => Ok(secret.clone()),
        _ => generated::secret(&settings.data_dir, "s3.secret"),
    }
}
