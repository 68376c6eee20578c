//! The gateway: takes Traefik's place. One model (Traefik's dynamic configuration), compiled to a snapshot of routers, chains and
//! services; a listener that canonicalises once; upstreams in the same process or behind a connection pool.
#![forbid(unsafe_code)]

mod access_log;
mod acme;
mod address;
mod answer;
mod api;
mod build;
pub mod builtin;
mod canonical;
mod check;
pub mod cloudflare;
mod compile;
mod compile_service;
mod exchange;
mod forwarded;
mod gateway;
mod index;
mod listener;
mod meter;
mod middleware;
pub mod model;
mod provider;
mod rule;
mod service;
pub mod settings;
mod shared;
mod snapshot;
mod state;
pub mod traefik;

pub use acme::store::MIGRATIONS;
pub use address::Net;
pub use builtin::{At, Builtin, Rate};
pub use check::check;
pub use gateway::{Control, Gateway, Inputs, open};
pub use rule::Syntax;
pub use settings::{Admin, EntryPoint, Settings};
