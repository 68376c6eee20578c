//! How many retries a service may cost: a fifth of its requests, and a few in reserve, so that a failing service is not asked more by
//! the very requests it fails (the retry budget of Finagle and linkerd).

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// What a request earns, and a retry costs, in thousandths.
const EARNED: i64 = 200;
const COST: i64 = 1000;
/// Ten retries without a request before them, and no more saved up than a hundred.
const RESERVE: i64 = 10 * COST;
const MOST: i64 = 100 * COST;

#[derive(Debug)]
pub struct Budget(AtomicI64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicI64::new(RESERVE))
    }
}

impl Budget {
    pub fn earn(&self) {
        // Two at once may save up a little more than the most; that is no harm.
        if self.0.load(Relaxed) < MOST {
            self.0.fetch_add(EARNED, Relaxed);
        }
    }

    /// Whether a retry can be afforded; then it is paid for.
    pub fn spend(&self) -> bool {
        let paid = self
            .0
            .fetch_update(Relaxed, Relaxed, |left| (left >= COST).then_some(left - COST));
        paid.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_fifth_of_the_requests() {
        let budget = Budget::default();
        while budget.spend() {}
        let mut retries = 0;
        for _ in 0..1000 {
            budget.earn();
            retries += usize::from(budget.spend());
        }
        assert_eq!(retries, 200);
    }
}
