//! Metric handles, made once and passed in, and their text exposition (OpenMetrics 1.0, which Prometheus scrapes).

use prometheus_client::{encoding::text, registry::Registry};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

pub use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelSetEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Metric,
};

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds; wide enough for a cached redirect and a slow upload, few enough to be cheap.
pub const DURATION_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Registers a handle under its full name. Counters get the suffix `_total` on exposition.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.lock().register(name, help, metric.clone());
        metric
    }

    /// A histogram of seconds over [`DURATION_BUCKETS`].
    pub fn duration(&self, name: &str, help: &str) -> Histogram {
        self.register(name, help, Histogram::new(DURATION_BUCKETS))
    }

    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.lock())?;
        Ok(out)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        // A panic while registering leaves the registry whole: entries are pushed, never edited.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_counter_is_exposed_with_its_help() {
        let metrics = Metrics::default();
        let requests: Counter = metrics.register("portico_requests", "Requests served", Counter::default());
        requests.inc();
        let text = metrics.render().expect("render");
        assert!(text.contains("# HELP portico_requests Requests served"), "{text}");
        assert!(text.contains("portico_requests_total 1"), "{text}");
    }
}
