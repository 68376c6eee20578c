//! Months of clicks: made before they are needed, dropped when the operator does not want them any more.

use deadpool_postgres::GenericClient;
use foundation::Result;
use postgres_chassis::{Pool, translate};
use std::{collections::BTreeSet, time::Duration};
use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(6 * 3600);

/// The months of these clicks; one that is there is left alone.
pub async fn make(client: &impl GenericClient, times: impl Iterator<Item = OffsetDateTime>) -> Result<()> {
    let months: BTreeSet<Date> = times.filter_map(|at| at.date().replace_day(1).ok()).collect();
    let months: Vec<Date> = months.into_iter().collect();
    client
        .execute(
            "select links.make_click_partition(month) from unnest($1::date[]) month
             where to_regclass('links.clicks_' || to_char(month, 'YYYY_MM')) is null",
            &[&months],
        )
        .await
        .map_err(|error| translate("making a month of clicks", error))?;
    Ok(())
}

/// Makes the next month and drops what is older than `days`, until `stop`.
pub async fn keep_partitions(pool: Pool, days: Option<u32>, stop: CancellationToken) {
    loop {
        let pause = match tend(&pool, days).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(cause = %error.chain(), "the months of clicks could not be tended");
                Duration::from_secs(30)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn tend(pool: &Pool, days: Option<u32>) -> Result<()> {
    let told = |error| translate("tending the months of clicks", error);
    let client = pool.client().await?;
    let next = OffsetDateTime::now_utc() + Duration::from_secs(32 * 86400);
    make(&client, [next].into_iter()).await?;
    // A segment is repeated within moments of a crash; a month is for disks that come back.
    client
        .execute(
            "delete from links.click_ids where noted_at < now() - interval '31 days'",
            &[],
        )
        .await
        .map_err(told)?;
    if let Some(days) = days {
        let before = OffsetDateTime::now_utc() - Duration::from_secs(u64::from(days) * 86400);
        let row = client
            .query_one("select links.drop_clicks_before($1)", &[&before])
            .await
            .map_err(told)?;
        let gone: i32 = row.get(0);
        if gone > 0 {
            tracing::info!(months = gone, "months of clicks were dropped");
        }
    }
    Ok(())
}
