//! Webhooks: told of changes of tables, of times, and of single events (docs/decisions/0009). The queues are in
//! PostgreSQL, so what is written is called at least once, whoever dies meanwhile.

mod address;
mod body;
mod call;
mod hook;
mod install;
mod log;
mod queue;
mod schedule;
mod signature;
mod tables;
mod transform;
mod worker;

pub use address::resolve;
pub use call::{Answer, Call};
pub use hook::Hook;
pub use install::{Shapes, install};
pub use log::{Filter, Log, OneOff, Page};
pub use queue::{Kind, Queue};
pub use schedule::{Schedule, replan};
pub use signature::Secrets;
pub use tables::{EVENT_TABLES, SCHEDULE_TABLES, make_tables, prepare_events, prepare_schedule};
pub use transform::{Content, Mistake, RequestTransform, ResponseTransform, Sent};
pub use worker::{Attended, Deliveries, Plan};

use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How webhooks are called.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What addresses and headers may name.
    pub environment: Arc<BTreeMap<String, String>>,
    pub secrets: Secrets,
    /// Calls at the same time.
    pub concurrent: usize,
    /// Events fetched at once.
    pub batch: usize,
    /// How often a queue is looked at when nothing wakes us; zero: never, and nothing is called.
    pub interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            environment: Arc::default(),
            secrets: Secrets::default(),
            concurrent: 100,
            batch: 100,
            interval: Duration::from_secs(1),
        }
    }
}
