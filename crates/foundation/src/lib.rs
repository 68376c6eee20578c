//! What every other crate may speak of: errors told twice, identifiers, who is calling, cursor pages, time and secrets.
//!
//! Level 0. No I/O, no async, nothing heavier than serde.

mod clock;
mod cursor;
mod error;
mod ids;
mod principal;
mod secret;

pub use clock::{Clock, rfc3339};
pub use cursor::{Cursor, Page, PageRequest};
pub use error::{Error, Kind, Result};
pub use ids::new_id;
pub use principal::{Principal, Role};
pub use secret::Secret;

pub use time::{OffsetDateTime, format_description::well_known::Rfc3339};
pub use uuid::Uuid;
