//! Removes what crashes and clients left behind, and the objects of assets that are gone.

use crate::{Media, assets::store, presign};
use foundation::Result;
use objects::ObjectKey;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(30);

pub async fn run(media: Media, stop: CancellationToken) {
    loop {
        if let Err(error) = sweep(&media).await {
            tracing::warn!(cause = %error.chain(), "media was not swept");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn sweep(media: &Media) -> Result<()> {
    let client = media.pool.client().await?;
    for (id, presigned) in store::left_behind(&client).await? {
        let staged = presign::staging_key(id);
        store::remove(&client, id, presigned.then_some(staged.as_str())).await?;
        media.swept.inc();
    }
    let due = store::due_removals(&client).await?;
    drop(client);
    for key in due {
        remove_object(media, &key).await;
        media.swept.inc();
    }
    Ok(())
}

/// Removes one whose removal is noted; where that fails, it stays noted.
pub async fn remove_object(media: &Media, key: &str) {
    let removed = async {
        match ObjectKey::parse(key) {
            Ok(parsed) => media.store.delete(&parsed).await?,
            // The store never had such a key.
            Err(_) => tracing::warn!(key, "a removal names no valid key"),
        }
        let client = media.pool.client().await?;
        store::removed(&client, key).await
    };
    if let Err(error) = removed.await {
        tracing::warn!(key, cause = %error.chain(), "an object could not be removed; it will be tried again");
    }
}
