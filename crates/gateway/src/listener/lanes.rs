//! Where connections are attended: one thread per core, each with a runtime of its own. A connection stays on its lane, so a
//! request wakes no other thread (docs/decisions/0008-lanes.md).

use std::{
    cell::Cell,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

static COUNT: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(0) };
}

/// Where connections are kept apart: the lanes, and everything beside them.
pub fn places() -> usize {
    *COUNT + 1
}

/// The place of this thread; 0 beside the lanes.
pub fn place() -> usize {
    PLACE.get()
}

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
        let handles = (1..places()).filter_map(|place| lane(place, closed.clone())).collect();
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
    let started = thread.spawn(move || {
        PLACE.set(place);
        runtime.block_on(closed.cancelled());
    });
    started.ok().map(|_| handle)
}
