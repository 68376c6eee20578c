//! The click pipeline: a line in a local segment file before the visitor is sent on, copied to PostgreSQL in batches.

mod click;
mod clickhouse;
mod known;
mod partitions;
mod rollup;
mod segment;
mod sketch;
mod store;
mod writer;

pub use click::Click;
pub use clickhouse::ClickHouse;
pub use known::KnownClick;
pub use partitions::keep_partitions;
pub use segment::Segments;
pub use sketch::Sketch;
pub use store::Sink;
pub use writer::write_until;

use foundation::{Error, Result};
use std::{path::Path, sync::Arc, time::Duration};
use telemetry::metrics::{Counter, Metrics};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Against power loss; the death of this process alone loses nothing.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Listeners of the live stream that fall further behind miss clicks and are told so.
const LIVE: usize = 4096;

/// Where handlers leave clicks; the writer takes them from there.
pub struct Clicks {
    pub(crate) segments: Segments,
    recorded: Counter,
    lost: Counter,
    pub(crate) written: Counter,
    pub(crate) live: broadcast::Sender<Arc<KnownClick>>,
    pub(crate) sink: Sink,
}

impl Clicks {
    /// `most`: bytes the segments may take.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn open(directory: &Path, most: u64, sink: Sink, metrics: &Metrics) -> Result<Self> {
        let segments = Segments::open(directory, most).map_err(|error| {
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
            live: broadcast::Sender::new(LIVE),
            sink,
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

    /// For links whose every click matters more than its visitor's time: it is on the disk when this returns.
    ///
    /// # Errors
    /// It is not, and the visitor should come again.
    pub async fn record_durably(self: &Arc<Self>, click: &Click) -> Result<()> {
        let (clicks, line) = (self.clone(), click.to_line());
        let written = tokio::task::spawn_blocking(move || {
            clicks.segments.append(&line)?;
            clicks.segments.sync()
        });
        let told = |error: std::io::Error| {
            self.lost.inc();
            Error::unavailable(
                "CLICK_NOT_RECORDED",
                "This visit could not be recorded; try again in a moment",
            )
            .caused_by(error)
        };
        written
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(told)?;
        self.recorded.inc();
        Ok(())
    }

    /// Syncs what is not yet copied, until `stop`.
    pub async fn sync_until(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(SYNC_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let clicks = self.clone();
            let synced = tokio::task::spawn_blocking(move || clicks.segments.sync()).await;
            if let Ok(Err(error)) = synced {
                tracing::error!(%error, "the click segment could not be synced");
            }
        }
    }
}
