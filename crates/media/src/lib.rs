//! The service `media`: uploads, presigned uploads, assets, and the public objects of the CDN paths.
//!
//! Like every service it shows `Settings`, `open`, `router`, `tasks` and `MIGRATIONS`.

mod assets;
mod cdn;
mod content_type;
mod deliver;
mod error;
mod filename;
mod migrations;
mod presign;
mod range;
mod routes;
mod sweep;
mod upload;

pub use migrations::MIGRATIONS;

use foundation::Result;
use futures_util::future::BoxFuture;
use http_chassis::auth::Verifier;
use objects::Store;
use postgres_chassis::Pool;
use std::sync::Arc;
use telemetry::metrics::{Counter, Metrics};
use tokio_util::sync::CancellationToken;

/// 100 MB as `PORTICO_MEDIA_MAX_UPLOAD` counts.
pub const DEFAULT_MAX_UPLOAD: u64 = 100 * 1024 * 1024;

pub struct Settings {
    /// Bytes.
    pub max_upload: u64,
    /// Without a slash at the end.
    pub public_url: String,
    /// The host on which `/{key}` serves public objects.
    pub cdn_domain: Option<String>,
    /// Where public objects are reached instead, e.g. a bucket's own public domain.
    pub objects_url: Option<String>,
}

/// The open service; cheap to clone.
#[derive(Clone)]
pub struct Media(Arc<Inner>);

pub struct Inner {
    pool: Pool,
    store: Store,
    settings: Settings,
    uploads: Counter,
    uploaded_bytes: Counter,
    swept: Counter,
}

impl std::ops::Deref for Media {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

pub fn open(settings: Settings, pool: Pool, store: Store, metrics: &Metrics) -> Media {
    let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
    Media(Arc::new(Inner {
        uploads: counter("portico_media_uploads", "Assets that became ready"),
        uploaded_bytes: counter("portico_media_uploaded_bytes", "Bytes of assets that became ready"),
        swept: counter("portico_media_swept", "Rows and objects the sweeper removed"),
        pool,
        store,
        settings,
    }))
}

impl Media {
    pub fn router(&self, verifier: Arc<Verifier>) -> Result<axum::Router> {
        routes::router(self.clone(), verifier)
    }

    /// The poll for presigned uploads and the sweeper; run until `stop`.
    pub fn tasks(&self, stop: &CancellationToken) -> Vec<(&'static str, BoxFuture<'static, ()>)> {
        vec![
            (
                "media presigned uploads",
                Box::pin(presign::watch(self.clone(), stop.clone())),
            ),
            ("media sweeper", Box::pin(sweep::run(self.clone(), stop.clone()))),
        ]
    }

    /// Where the public reach an object.
    fn object_url(&self, key: &str) -> String {
        let settings = &self.settings;
        let key = percent_encoding::utf8_percent_encode(key, deliver::KEY);
        match (&settings.objects_url, &settings.cdn_domain) {
            (Some(base), _) => format!("{}/{key}", base.trim_end_matches('/')),
            (None, Some(host)) => format!("https://{host}/{key}"),
            (None, None) => format!("{}/cdn/{key}", settings.public_url),
        }
    }

    fn content_url(&self, id: foundation::Uuid) -> String {
        format!("{}/v1/media/assets/{id}/content", self.settings.public_url)
    }
}
