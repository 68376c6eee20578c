//! What was clicked: queries, shares, the live stream, and hooks that tell of it.

pub mod hooks;
