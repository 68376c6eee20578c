//! Hasura's HTTP and WebSocket APIs over the pure engine: who may ask, where metadata is kept, which databases there are.
//! `portico serve graphql` runs it alone; the links service runs it with its own metadata.

mod auth;

pub use auth::Authenticated;
