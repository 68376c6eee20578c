//! The platform through its front door. The modules mirror the URL tree.

mod commands;
mod core;
mod gateway;
mod links;
mod media;
mod road;
mod store;
