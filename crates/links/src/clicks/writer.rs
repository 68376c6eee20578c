//! Copies closed segments to PostgreSQL. A segment goes when its last batch is committed; a batch that is repeated after a
//! crash finds its clicks there already and counts none of them twice.

use super::{Click, Clicks};
use deadpool_postgres::GenericClient;
use foundation::{Error, Result, Uuid};
use postgres_chassis::{Pool, translate};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const BATCH: usize = 2_000;
/// How long the last clicks may take when we stop; what is left waits in its segment for the next start.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Runs until `stop`, then copies what is left.
pub async fn write_until(clicks: Arc<Clicks>, pool: Pool, stop: CancellationToken) {
    let mut pause = EVERY;
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

async fn copy_all(clicks: &Clicks, pool: &Pool) -> Result<()> {
    let told = |error| Error::internal("click segments", error);
    // While earlier segments wait for the database, one growing file is better than many small ones.
    if clicks.segments.closed().map_err(told)?.is_empty() {
        clicks.segments.rotate().await.map_err(told)?;
    }
    for path in clicks.segments.closed().map_err(told)? {
        copy(clicks, pool, &path).await?;
        fs::remove_file(&path).map_err(told)?;
    }
    Ok(())
}

async fn copy(clicks: &Clicks, pool: &Pool, path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|error| Error::internal("opening a click segment", error))?;
    let mut batch = Vec::with_capacity(BATCH);
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| Error::internal("reading a click segment", error))?;
        match serde_json::from_slice::<Click>(&line) {
            Ok(click) => batch.push(click),
            Err(_) if line.is_empty() => {}
            // Only a line cut off by a power cut or a full disk, whose visitor was never answered for it.
            Err(error) => tracing::warn!(segment = %path.display(), %error, "a torn click line was left out"),
        }
        if batch.len() == BATCH {
            insert(clicks, pool, &batch).await?;
            batch.clear();
        }
    }
    if !batch.is_empty() {
        insert(clicks, pool, &batch).await?;
    }
    Ok(())
}

async fn insert(clicks: &Clicks, pool: &Pool, batch: &[Click]) -> Result<()> {
    let told = |error| translate("copying clicks", error);
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    let fresh = insert_rows(&transaction, batch).await?;
    count(&transaction, &fresh).await?;
    transaction.commit().await.map_err(told)?;
    clicks.written.inc_by(fresh.values().map(|count| *count as u64).sum());
    Ok(())
}

/// Answers how many clicks were new, by link. Clicks on links deleted meanwhile go with them.
async fn insert_rows(client: &impl GenericClient, batch: &[Click]) -> Result<BTreeMap<Uuid, i32>> {
    let told = |error| translate("inserting clicks", error);
    let mut links: Vec<Uuid> = batch.iter().map(|click| click.link_id).collect();
    links.sort_unstable();
    links.dedup();
    // In one order, so that two copies never wait for each other in a circle; and the links cannot go meanwhile.
    client
        .execute(
            "select id from links.links where id = any($1) order by id for no key update",
            &[&links],
        )
        .await
        .map_err(told)?;
    let ids: Vec<Uuid> = batch.iter().map(|click| click.id).collect();
    let link_ids: Vec<Uuid> = batch.iter().map(|click| click.link_id).collect();
    let ips: Vec<Option<IpAddr>> = batch.iter().map(|click| click.ip).collect();
    let agents: Vec<Option<&str>> = batch.iter().map(|click| click.user_agent.as_deref()).collect();
    let referers: Vec<Option<&str>> = batch.iter().map(|click| click.referer.as_deref()).collect();
    let countries: Vec<Option<&str>> = batch.iter().map(|click| click.country.as_deref()).collect();
    let times: Vec<OffsetDateTime> = batch.iter().map(Click::time).collect();
    let rows = client
        .query(
            "insert into links.clicks (id, link_id, ip_address, user_agent, referer, country, clicked_at)
             select click.* from unnest($1::uuid[], $2::uuid[], $3::inet[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
                 as click (id, link_id, ip_address, user_agent, referer, country, clicked_at)
             where exists (select from links.links where links.id = click.link_id)
             on conflict (id) do nothing returning link_id",
            &[&ids, &link_ids, &ips, &agents, &referers, &countries, &times],
        )
        .await
        .map_err(told)?;
    let mut fresh = BTreeMap::new();
    for row in rows {
        *fresh.entry(row.get(0)).or_default() += 1;
    }
    Ok(fresh)
}

async fn count(client: &impl GenericClient, fresh: &BTreeMap<Uuid, i32>) -> Result<()> {
    let ids: Vec<Uuid> = fresh.keys().copied().collect();
    let counts: Vec<i32> = fresh.values().copied().collect();
    client
        .execute(
            "update links.links set clicks = clicks + fresh.count
             from unnest($1::uuid[], $2::int[]) as fresh (id, count) where links.id = fresh.id",
            &[&ids, &counts],
        )
        .await
        .map_err(|error| translate("counting clicks", error))?;
    Ok(())
}
