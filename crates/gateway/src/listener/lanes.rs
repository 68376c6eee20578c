//! Where connections are attended: one thread per core, each with a runtime of its own. A connection stays on its lane, so a
//! request wakes no other thread (docs/decisions/0008-lanes.md).

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Lanes {
    handles: Vec<Handle>,
    next: AtomicUsize,
    /// The threads end when this is dropped.
    _open: DropGuard,
}

impl Lanes {
    /// As many as there are cores. Without a thread of their own, connections stay where they were accepted.
    pub fn start() -> Self {
        let closed = CancellationToken::new();
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let handles = (0..count).filter_map(|place| lane(place, closed.clone())).collect();
        Lanes {
            handles,
            next: AtomicUsize::new(0),
            _open: closed.drop_guard(),
        }
    }

    /// In turn.
    pub fn next(&self) -> Handle {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        match self.handles.get(place % self.handles.len().max(1)) {
            Some(handle) => handle.clone(),
            None => Handle::current(),
        }
    }
}

fn lane(place: usize, closed: CancellationToken) -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name(format!("lane {place}"));
    let started = thread.spawn(move || runtime.block_on(closed.cancelled()));
    started.ok().map(|_| handle)
}
