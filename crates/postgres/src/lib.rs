//! Everything between a service and PostgreSQL: settings, pool, errors, migrations, LISTEN, and the managed local cluster.
//!
//! Level 1, owner of the driver. SQL itself lives beside the functions that run it, in the services.

pub mod cluster;
mod error;
mod listen;
mod migrate;
mod pool;
mod roles;
mod settings;
mod tls;
pub mod trust;

pub use error::{constraint, is_unavailable, is_unique_violation, translate};
pub use listen::{Signal, listen};
pub use migrate::{Migration, Migrations, Status, migrate, status};
pub use pool::{Client, Pool, PoolSize};
pub use roles::quote_ident;
pub use settings::DatabaseUrl;

pub use tokio_postgres::{self, Row, Statement, types};
