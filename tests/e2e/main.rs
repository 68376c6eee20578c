//! The platform through its front door. The modules mirror the URL tree.

mod commands;
mod core;
mod gateway;
mod graphql;
mod hasura;
mod links;
mod media;
mod permissions;
mod road;
mod store;
