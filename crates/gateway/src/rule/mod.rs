//! Rules: what a router matches. Traefik's v3 syntax, and v2's where a router asks for it.

mod compile;
mod matcher;
mod parse;

pub use compile::{Syntax, compile};
pub use matcher::{Matcher, Rule, Target};
pub use parse::{Expression, parse};
