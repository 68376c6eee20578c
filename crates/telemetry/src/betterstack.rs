//! BetterStack: log lines shipped in batches to its ingesting host, and a heartbeat while the process is well.
//! Off unless its variables are set; a BetterStack that is down costs log copies, never requests.

use crate::client::{Client, full};
use http::{Method, Request, header};
use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    time::Duration,
};

const QUEUE_LINES: usize = 10_000;
const BATCH_LINES: usize = 500;
const SHIP_EVERY: Duration = Duration::from_secs(1);
const BEAT_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct Settings {
    /// `BETTERSTACK_INGESTING_HOST`, a host name or a URL.
    pub ingesting_host: String,
    /// `BETTERSTACK_SOURCE_TOKEN`
    pub source_token: String,
}

/// The queue between the log and [`ship`].
pub fn queue() -> (SyncSender<Vec<u8>>, Receiver<Vec<u8>>) {
    mpsc::sync_channel(QUEUE_LINES)
}

/// Ships batches until the log closes its end. Gathering blocks, so it runs on a blocking thread.
pub async fn ship(settings: Settings, client: Client, mut lines: Receiver<Vec<u8>>) {
    let url = if settings.ingesting_host.contains("://") {
        settings.ingesting_host.clone()
    } else {
        format!("https://{}", settings.ingesting_host)
    };
    loop {
        let gathered = tokio::task::spawn_blocking(move || {
            let batch = gather(&lines);
            (batch, lines)
        });
        let Ok((batch, rest)) = gathered.await else { return };
        lines = rest;
        let Some(batch) = batch else { return };
        if !batch.is_empty() {
            send(&settings, &client, &url, batch).await;
        }
    }
}

fn gather(lines: &Receiver<Vec<u8>>) -> Option<Vec<u8>> {
    let mut batch = Vec::new();
    for _ in 0..BATCH_LINES {
        match lines.recv_timeout(SHIP_EVERY) {
            Ok(line) => batch.extend_from_slice(&line),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) if batch.is_empty() => return None,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Some(batch)
}

async fn send(settings: &Settings, client: &Client, url: &str, batch: Vec<u8>) {
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .header(header::AUTHORIZATION, format!("Bearer {}", settings.source_token))
        .body(full(batch));
    let Ok(request) = request else { return };
    let result = client.fetch(request, Duration::from_secs(10), 64 * 1024).await;
    let refused = match &result {
        Ok(answer) if answer.status().is_success() => return,
        Ok(answer) => answer.status().to_string(),
        Err(error) => error.to_string(),
    };
    // Debug, not warn: a warning would itself be shipped, and fail, and warn.
    tracing::debug!(%refused, "BetterStack did not take a batch of log lines");
}

/// Calls the heartbeat URL every 30 s for as long as it is polled.
pub async fn heartbeat(url: String, client: Client) {
    let mut beats = tokio::time::interval(BEAT_EVERY);
    loop {
        beats.tick().await;
        let Ok(request) = Request::builder().uri(&url).body(full("")) else {
            return;
        };
        if let Err(error) = client.fetch(request, Duration::from_secs(10), 64 * 1024).await {
            tracing::debug!(%error, "the heartbeat was not delivered");
        }
    }
}
