//! GraphQL in Hasura's dialect over the schema `links`: the engine is the crate `graphql`, here are its HTTP paths,
//! who may ask, and the connection.

mod auth;
mod endpoint;
mod run;
mod shipped;

pub use endpoint::router;

use foundation::Secret;
use http_chassis::auth::Verifier;
use postgres_chassis::Pool;
use std::sync::Arc;
use tokio::sync::RwLock;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Who sends it is an administrator; `None`: nobody is by a secret.
    pub admin_secret: Option<Secret>,
    /// The role of requests without a token; `None`: they are refused.
    pub unauthorized_role: Option<String>,
}

/// What answers requests; the catalogue is read when the first one comes.
pub struct Endpoint {
    settings: Settings,
    pool: Pool,
    verifier: Arc<Verifier>,
    schema: RwLock<Option<Arc<::graphql::Schema>>>,
}

impl Endpoint {
    pub fn new(settings: Settings, pool: Pool, verifier: Arc<Verifier>) -> Self {
        Endpoint {
            settings,
            pool,
            verifier,
            schema: RwLock::default(),
        }
    }
}
