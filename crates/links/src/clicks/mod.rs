//! The click pipeline: a line in a local segment file before the visitor is sent on, copied to PostgreSQL in batches.

mod click;
mod segment;
mod writer;

pub use click::{Click, Visitor};
pub use segment::Segments;
pub use writer::write_until;

use foundation::{Error, Result};
use std::path::Path;
use telemetry::metrics::{Counter, Metrics};

/// Where handlers leave clicks; the writer takes them from there.
pub struct Clicks {
    pub(crate) segments: Segments,
    recorded: Counter,
    lost: Counter,
    pub(crate) written: Counter,
}

impl Clicks {
    /// # Errors
    /// The directory cannot be made or written.
    pub fn open(directory: &Path, metrics: &Metrics) -> Result<Self> {
        let segments = Segments::open(directory).map_err(|error| {
            let message = format!("The click directory {} cannot be used: {error}", directory.display());
            Error::new(foundation::Kind::Internal, "CLICK_DIRECTORY", message).caused_by(error)
        })?;
        let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        Ok(Self {
            segments,
            recorded: counter("portico_clicks_recorded", "Clicks written to a local segment"),
            lost: counter(
                "portico_clicks_lost",
                "Clicks that could not be written to a local segment",
            ),
            written: counter("portico_clicks_written", "Clicks copied to PostgreSQL"),
        })
    }

    /// When the disk is full the visitor is still sent on; the loss is counted and logged.
    pub fn record(&self, click: &Click) {
        match self.segments.append(&click.to_line()) {
            Ok(()) => drop(self.recorded.inc()),
            Err(error) => {
                self.lost.inc();
                tracing::error!(%error, "a click could not be written down");
            }
        }
    }
}
