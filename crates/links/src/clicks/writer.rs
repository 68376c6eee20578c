//! Copies closed segments to PostgreSQL. A segment goes when its last batch is committed; a batch that is repeated after a
//! crash finds its clicks there already and counts none of them twice.

use super::{Click, Clicks, KnownClick, Sink, store};
use foundation::{Error, Result};
use postgres_chassis::Pool;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const BATCH: usize = 2_000;
/// How long the last clicks may take when we stop; what is left waits in its segment for the next start.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Runs until `stop`, then copies what is left.
pub async fn write_until(clicks: Arc<Clicks>, pool: Pool, stop: CancellationToken) {
    let mut pause = prepare(&clicks, &stop).await;
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => break,
        }
        pause = match copy_all(&clicks, &pool).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(cause = %error.chain(), "clicks wait in their segments");
                if let Err(error) = clicks.segments.sync() {
                    tracing::error!(%error, "the click segment could not be synced");
                }
                (pause * 2).min(LONGEST_PAUSE)
            }
        };
    }
    match tokio::time::timeout(LAST_CHANCE, copy_all(&clicks, &pool)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(cause = %error.chain(), "the last clicks stay in their segments"),
        Err(_) => tracing::warn!("the last clicks stay in their segments: the database is slow"),
    }
}

/// Another store's table, before the first click goes there.
async fn prepare(clicks: &Clicks, stop: &CancellationToken) -> Duration {
    if let Sink::ClickHouse(clickhouse) = &clicks.sink {
        while let Err(error) = clickhouse.prepare().await {
            tracing::warn!(cause = %error.chain(), "clicks wait: ClickHouse is not ready");
            tokio::select! {
                () = tokio::time::sleep(LONGEST_PAUSE) => {}
                () = stop.cancelled() => break,
            }
        }
    }
    EVERY
}

async fn copy_all(clicks: &Clicks, pool: &Pool) -> Result<()> {
    let told = |error| Error::internal("click segments", error);
    // While earlier segments wait for the database, one growing file is better than many small ones.
    if clicks.segments.closed().map_err(told)?.is_empty() {
        clicks.segments.rotate().await.map_err(told)?;
    }
    for path in clicks.segments.closed().map_err(told)? {
        copy(clicks, pool, &path).await?;
        clicks.segments.remove(&path).map_err(told)?;
    }
    Ok(())
}

async fn copy(clicks: &Clicks, pool: &Pool, path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|error| Error::internal("opening a click segment", error))?;
    let mut batch = Vec::with_capacity(BATCH);
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| Error::internal("reading a click segment", error))?;
        match Click::from_line(&line) {
            Ok(click) => batch.push(KnownClick::read(click)),
            Err(_) if line.is_empty() => {}
            // Only a line cut off by a power cut or a full disk, whose visitor was never answered for it.
            Err(error) => tracing::warn!(segment = %path.display(), %error, "a torn click line was left out"),
        }
        if batch.len() == BATCH {
            insert(clicks, pool, std::mem::take(&mut batch)).await?;
        }
    }
    if !batch.is_empty() {
        insert(clicks, pool, batch).await?;
    }
    Ok(())
}

async fn insert(clicks: &Clicks, pool: &Pool, batch: Vec<KnownClick>) -> Result<()> {
    let fresh = store::insert(pool, &clicks.sink, batch).await?;
    clicks.written.inc_by(fresh.len() as u64);
    if clicks.live.receiver_count() > 0 {
        for known in fresh {
            // Nobody listening any more is no mistake.
            let _ = clicks.live.send(Arc::new(known));
        }
    }
    Ok(())
}
