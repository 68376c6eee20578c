//! The platform through its front door. The modules mirror the URL tree.

mod acme;
mod commands;
mod core;
mod existing;
mod gateway;
mod gateway_tls;
mod graphql;
mod hasura;
mod hosts;
mod links;
mod media;
mod permissions;
mod ratchets;
mod road;
mod store;
mod traefik;
