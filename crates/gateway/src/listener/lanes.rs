//! Where connections are attended: one thread per core, each with a runtime of its own. A connection stays on its lane, so a
//! request wakes no other thread (docs/decisions/0008-lanes.md). A lane that has more to do than it can says so, and what comes
//! then is refused at once instead of waiting its turn.

use std::{
    cell::Cell,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

static COUNT: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(0) };
    static OVERLOADED: Cell<bool> = const { Cell::new(false) };
}

/// How often a lane looks how late it is: as late as a request that is ready waits.
const BEAT: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_millis(250);
/// A single long computation is no overload; so many late beats in a row are.
const LATE_BEATS: u32 = 4;

/// Where connections are kept apart: the lanes, and everything beside them.
pub fn places() -> usize {
    *COUNT + 1
}

/// The place of this thread; 0 beside the lanes.
pub fn place() -> usize {
    PLACE.get()
}

/// Whether this lane has been late for a while.
pub fn is_overloaded() -> bool {
    OVERLOADED.get()
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
        runtime.spawn(watch());
        runtime.block_on(closed.cancelled());
    });
    started.ok().map(|_| handle)
}

/// Runs for as long as the lane does.
async fn watch() {
    let mut late_beats = 0;
    let mut began: Option<Instant> = None;
    loop {
        let due = Instant::now() + BEAT;
        tokio::time::sleep_until(due).await;
        late_beats = if due.elapsed() > LATE { late_beats + 1 } else { 0 };
        match (late_beats, began) {
            (0, Some(since)) => {
                began = None;
                OVERLOADED.set(false);
                tracing::warn!(
                    lane = place(),
                    seconds = since.elapsed().as_secs_f64(),
                    "requests are taken again"
                );
            }
            (LATE_BEATS.., None) => {
                began = Some(Instant::now());
                OVERLOADED.set(true);
                tracing::warn!(
                    lane = place(),
                    "there is more to do than can be done; requests are refused"
                );
            }
            _ => {}
        }
    }
}
