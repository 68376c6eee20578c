//! The chassis every service drives on: routes with their access, extractors that refuse well, problem+json, token
//! verification, request ids, health, and a listener that drains.
//!
//! Level 1, owner of axum. A service hands its `Router` to the gateway in the same process, or to [`server::serve`] alone.

pub mod auth;
pub mod docs;
pub mod envelope;
pub mod extract;
pub mod health;
pub mod in_process;
pub mod keys;
pub mod problem;
pub mod request_id;
pub mod routes;
pub mod server;

pub use axum::{self, Router, body::Body};
pub use utoipa;
pub use utoipa_axum;
