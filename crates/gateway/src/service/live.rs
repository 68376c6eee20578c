//! What is known of a server's well-being: what the active check found, how long it is set aside after a failure, how many
//! requests it works on, how fast it has answered.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
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
    /// The same, but a slow answer counts at once and is forgotten slowly (Finagle's peak EWMA).
    peak: AtomicU64,
    /// Milliseconds since `born`: out until then, after too many failures.
    out_until: AtomicU64,
    /// When it failed lately, oldest first.
    failures: Mutex<VecDeque<u64>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            healthy: AtomicBool::new(true),
            aside_until: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            latency: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            out_until: AtomicU64::new(0),
            failures: Mutex::default(),
        }
    }
}

impl Live {
    pub fn set_healthy(&self, healthy: bool) -> bool {
        self.healthy.swap(healthy, Relaxed) != healthy
    }

    pub fn is_healthy(&self) -> bool {
        let out_until = self.out_until.load(Relaxed);
        self.healthy.load(Relaxed) && (out_until == 0 || out_until <= self.now())
    }

    /// Counts a failure; `most` of them within the window take the server out for as long. Answers whether they did.
    pub fn failed(&self, window: Duration, most: usize) -> bool {
        let now = self.now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        while failures.front().is_some_and(|at| at + millis(window) < now) {
            failures.pop_front();
        }
        failures.push_back(now);
        let out = failures.len() >= most;
        if out {
            failures.clear();
            self.out_until.store(now + millis(window), Relaxed);
        }
        out
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
        let peak = self.peak.load(Relaxed);
        let next = if sample > peak {
            sample
        } else {
            (peak * 15 + sample) / 16
        };
        self.peak.store(next, Relaxed);
    }

    /// As [`Live::cost`], by the worst of late.
    pub fn peak_cost(&self) -> u64 {
        self.queue().saturating_mul(self.peak.load(Relaxed).max(1))
    }

    /// Expected wait: latency times the requests it would stand behind.
    pub fn cost(&self) -> u64 {
        self.queue().saturating_mul(self.latency.load(Relaxed).max(1))
    }

    fn queue(&self) -> u64 {
        let in_flight = u64::try_from(self.in_flight.load(Relaxed)).unwrap_or(u64::MAX);
        in_flight.saturating_add(1)
    }

    fn now(&self) -> u64 {
        millis(self.born.elapsed()) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
