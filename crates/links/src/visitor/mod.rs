//! What can be known of a visitor without knowing who it is.

mod agent;
mod anonymise;
mod bot;
mod geo;
mod referrer;

pub use agent::{Agent, read_agent};
pub use anonymise::{Anonymiser, Keep};
pub use bot::bot_reason;
pub use geo::Geo;
pub use referrer::read_referrer;
