//! The service `core`: users, passwords, sessions, tokens.
//!
//! Like every service it shows `Settings`, `open`, `router`, `tasks` and `MIGRATIONS`, and `operations` for the command line.

mod auth;
mod discovery;
mod error;
mod fields;
pub mod mail;
mod migrations;
pub mod operations;
mod routes;
mod secret_token;
pub mod signer;
mod users;

pub use migrations::MIGRATIONS;
pub use users::User;

use foundation::{Clock, Result, Secret};
use futures_util::future::BoxFuture;
use http_chassis::auth::Verifier;
use postgres_chassis::Pool;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const UPKEEP_EVERY: Duration = Duration::from_secs(3600);

pub struct Settings {
    /// Without a slash at the end; links in mails begin with it.
    pub public_url: String,
    pub issuer: String,
    pub audience: String,
    /// Sign with this shared secret instead of a rotating key.
    pub signing_secret: Option<Secret>,
    pub mail: mail::Settings,
    /// At most so many passwords are hashed at once.
    pub hashing_threads: usize,
    pub clock: Clock,
}

/// The open service; cheap to clone.
#[derive(Clone)]
pub struct Core(Arc<Inner>);

pub struct Inner {
    pool: Pool,
    verifier: Arc<Verifier>,
    signer: signer::Signer,
    hasher: passwords::Hasher,
    clock: Clock,
    public_url: String,
    issuer: String,
    demands_verification: bool,
    mail: mail::Settings,
}

impl std::ops::Deref for Core {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// # Errors
/// The database does not answer, or the mail settings are wrong.
pub async fn open(settings: Settings, pool: Pool, verifier: Arc<Verifier>) -> Result<Core> {
    let secret = settings.signing_secret.as_ref();
    let signer = signer::Signer::open(
        &pool,
        &settings.issuer,
        &settings.audience,
        settings.clock.clone(),
        secret,
    )
    .await?;
    mail::Mailer::open(&settings.mail)?;
    Ok(Core(Arc::new(Inner {
        pool,
        verifier,
        signer,
        hasher: passwords::Hasher::start(settings.hashing_threads)?,
        clock: settings.clock,
        public_url: settings.public_url,
        issuer: settings.issuer,
        demands_verification: settings.mail.demands_verification(),
        mail: settings.mail,
    })))
}

impl Core {
    pub fn router(&self) -> Result<axum::Router> {
        routes::router(self.clone())
    }

    /// Mail delivery and hourly upkeep; run until `stop`.
    pub fn tasks(&self, stop: &CancellationToken) -> Result<Vec<(&'static str, BoxFuture<'static, ()>)>> {
        let mailer = mail::Mailer::open(&self.mail)?;
        let deliver = mail::deliver(self.pool.clone(), mailer, stop.clone());
        Ok(vec![
            ("core mail", Box::pin(deliver)),
            ("core upkeep", Box::pin(upkeep(self.clone(), stop.clone()))),
        ])
    }

    /// The one-time set-up link, while there is no administrator.
    pub async fn setup_link(&self) -> Result<Option<String>> {
        auth::setup::link(self).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    fn link(&self, path: &str, token: &str) -> String {
        format!("{}?token={token}", self.url(path))
    }
}

async fn upkeep(core: Core, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = core.signer.rotate(&core.pool).await {
            tracing::warn!(cause = %error.chain(), "signing keys were not looked after");
        }
        let forgotten = match core.pool.client().await {
            Ok(client) => auth::session::forget_old(&client).await,
            Err(error) => Err(error),
        };
        match forgotten {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "old sessions forgotten"),
            Err(error) => tracing::warn!(cause = %error.chain(), "old sessions were not forgotten"),
        }
    }
}
