//! The gateway: takes Traefik's place. One model (Traefik's dynamic configuration), compiled to a snapshot of routers, chains and
//! services; a listener that canonicalises once; upstreams in the same process or behind a connection pool.
#![forbid(unsafe_code)]

pub mod model;
mod address;
mod canonical;
mod index;
mod rule;
