//! Removes the files no row refers to, and what crashes left half written.

use super::{Local, objects::lock_number};
use foundation::Result;
use postgres_chassis::translate;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(600);
/// Younger files may belong to a put that is about to write its row; the lock is what makes it safe, this makes it cheap.
const AGE: Duration = Duration::from_secs(600);
/// A body that takes longer than this to arrive is given up.
const INCOMING_AGE: Duration = Duration::from_secs(24 * 3600);

pub async fn run(local: Local, stop: CancellationToken) {
    loop {
        match sweep(&local).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "files nothing refers to were removed"),
            Err(error) => tracing::warn!(cause = %error.chain(), "the object store was not swept"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn sweep(local: &Local) -> Result<usize> {
    let failed = |error| crate::error::disk("sweeping", error);
    let client = local.pool.client().await?;
    client
        .execute(
            "delete from objects.uploads where created_at < now() - interval '7 days'",
            &[],
        )
        .await
        .map_err(|error| translate("sweeping", error))?;
    drop(client);
    let mut removed = local.files.forget_incoming(INCOMING_AGE).await.map_err(failed)?;
    for hash in local.files.older_than(AGE).await.map_err(failed)? {
        removed += usize::from(remove_if_unreferenced(local, &hash).await?);
    }
    Ok(removed)
}

async fn remove_if_unreferenced(local: &Local, hash: &blake3::Hash) -> Result<bool> {
    let told = |error| translate("sweeping", error);
    let mut client = local.pool.client().await?;
    let bytes = hash.as_bytes().as_slice();
    let referenced = "select exists (select from objects.objects where blake3 = $1)
                          or exists (select from objects.parts where blake3 = $1)";
    let row = client.query_one(referenced, &[&bytes]).await.map_err(told)?;
    if row.get(0) {
        return Ok(false);
    }
    let transaction = client.transaction().await.map_err(told)?;
    let locked = transaction
        .query_one("select pg_try_advisory_xact_lock($1)", &[&lock_number(hash)])
        .await
        .map_err(told)?;
    if !locked.get::<_, bool>(0) {
        return Ok(false);
    }
    // Again, now that no put can be between its file and its row.
    let row = transaction.query_one(referenced, &[&bytes]).await.map_err(told)?;
    let gone = !row.get::<_, bool>(0) && local.files.remove(hash).await.is_ok();
    transaction.commit().await.map_err(told)?;
    Ok(gone)
}
