//! What was clicked: queries, shares, the live stream, and hooks that tell of it.

pub mod answer;
pub mod hooks;
mod plan;
mod question;
pub mod routes;
pub mod shares;
