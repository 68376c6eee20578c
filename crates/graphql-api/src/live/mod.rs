//! Subscriptions. One task owns them all: subscribers of the same statement form a cohort, and a cohort is answered by
//! one statement for all of them, when a table it reads has changed (docs/decisions/0006-subscriptions.md).

mod changes;
mod cohort;
mod hub;
mod multiplex;

pub use hub::Hub;
pub use multiplex::multiplexed;

use graphql::{GraphqlError, Request, Session};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::mpsc;

#[derive(Clone, Debug)]
pub enum Event {
    /// The text of `data`.
    Data(Arc<str>),
    /// The last one.
    Failed(GraphqlError),
}

/// What connections ask of the hub.
enum Ask {
    Subscribe(Box<Wanted>),
    Leave(u64),
    /// A slow reader has room again.
    Drained(u64),
}

struct Wanted {
    id: u64,
    request: Request,
    session: Session,
    events: mpsc::Sender<Event>,
    missed: Arc<AtomicBool>,
}

/// The connections' side.
pub struct Live {
    asks: mpsc::UnboundedSender<Ask>,
    next: AtomicU64,
    open: Arc<AtomicU64>,
}

pub fn channel() -> (Live, Asked) {
    let (asks, asked) = mpsc::unbounded_channel();
    let live = Live {
        asks,
        next: AtomicU64::new(1),
        open: Arc::default(),
    };
    (live, Asked(asked))
}

/// The hub's side.
pub struct Asked(mpsc::UnboundedReceiver<Ask>);

impl Live {
    pub fn subscribe(&self, request: Request, session: Session) -> Subscription {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // One answer waits at most: who reads slowly gets the newest, not all.
        let (sender, events) = mpsc::channel(1);
        let missed = Arc::new(AtomicBool::new(false));
        // Without a hub the sender is dropped here and the subscription ends at once.
        let _ = self.asks.send(Ask::Subscribe(Box::new(Wanted {
            id,
            request,
            session,
            events: sender,
            missed: missed.clone(),
        })));
        self.open.fetch_add(1, Ordering::Relaxed);
        Subscription {
            id,
            asks: self.asks.clone(),
            events,
            missed,
            open: self.open.clone(),
        }
    }

    /// For the developer's endpoint.
    pub fn told(&self) -> serde_json::Value {
        serde_json::json!({"subscribers": self.open.load(Ordering::Relaxed)})
    }
}

/// One subscriber's place; leaves when dropped.
pub struct Subscription {
    id: u64,
    asks: mpsc::UnboundedSender<Ask>,
    events: mpsc::Receiver<Event>,
    missed: Arc<AtomicBool>,
    open: Arc<AtomicU64>,
}

impl Subscription {
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        if self.missed.swap(false, Ordering::Relaxed) {
            let _ = self.asks.send(Ask::Drained(self.id));
        }
        event
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let _ = self.asks.send(Ask::Leave(self.id));
    }
}
