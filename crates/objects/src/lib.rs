//! Object storage: one `Store`, ours on disk and PostgreSQL or anybody's S3, and the S3 endpoint of our own.
//!
//! Level 2, owner of the S3 libraries. Everything streams; nothing here holds a whole object in memory.

mod endpoint;
mod error;
mod key;
mod local;
mod migrations;
mod object;
mod s3;
mod store;

pub use key::ObjectKey;
pub use local::{Local, Settings as LocalSettings, endpoint_url};
pub use migrations::MIGRATIONS;
pub use object::{Attributes, ByteStream, Checksums, Digests, Meta, Presigned, Stored};
pub use s3::{S3, Settings as S3Settings};
pub use store::Store;
