//! What is known of a server's well-being: what the active check found, how long it is set aside after a failure, how many
//! requests it works on, how fast it has answered.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

pub struct Live {
    born: Instant,
    healthy: AtomicBool,
    /// Milliseconds since `born`.
    aside_until: AtomicU64,
    pub in_flight: AtomicUsize,
    /// Microseconds, exponentially weighted.
    latency: AtomicU64,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            healthy: AtomicBool::new(true),
            aside_until: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            latency: AtomicU64::new(0),
        }
    }
}

impl Live {
    pub fn set_healthy(&self, healthy: bool) -> bool {
        self.healthy.swap(healthy, Relaxed) != healthy
    }

    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    pub fn is_aside(&self) -> bool {
        let until = self.aside_until.load(Relaxed);
        until != 0 && until > self.now()
    }

    /// Others are asked first for this long.
    pub fn set_aside(&self, for_how_long: Duration) {
        self.aside_until.store(self.now() + millis(for_how_long), Relaxed);
    }

    pub fn recovered(&self) {
        if self.aside_until.load(Relaxed) != 0 {
            self.aside_until.store(0, Relaxed);
        }
    }

    pub fn answered(&self, after: Duration) {
        let sample = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let before = self.latency.load(Relaxed);
        let next = if before == 0 { sample } else { (before * 7 + sample) / 8 };
        self.latency.store(next, Relaxed);
    }

    /// Expected wait: latency times the requests it would stand behind.
    pub fn cost(&self) -> u64 {
        let queue = u64::try_from(self.in_flight.load(Relaxed))
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        self.latency.load(Relaxed).max(1).saturating_mul(queue)
    }

    fn now(&self) -> u64 {
        millis(self.born.elapsed()) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
