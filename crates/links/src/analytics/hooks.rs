//! Webhooks of clicks: queued in the clicks' own transaction, called until they are heard.

use crate::{Links, clicks::KnownClick, fetch};
use deadpool_postgres::GenericClient;
use foundation::{Result, Uuid, new_id};
use postgres_chassis::translate;
use serde_json::{Value, json};
use std::time::Duration;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);
const BATCH: i64 = 50;
const ATTEMPTS: i32 = 12;

/// Each click for hooks without a threshold; one call when a link first reaches the threshold.
pub async fn enqueue(client: &impl GenericClient, clicks: &[KnownClick], links: &[Uuid]) -> Result<()> {
    let told = |error| translate("queueing calls of click hooks", error);
    let hooks = client
        .query(
            "select id, link_id, threshold from links.click_hooks where link_id = any($1) and (threshold is null or fired_at is null)",
            &[&links],
        )
        .await
        .map_err(told)?;
    for hook in &hooks {
        let (id, link, threshold): (Uuid, Uuid, Option<i32>) = (hook.get(0), hook.get(1), hook.get(2));
        let bodies: Vec<Value> = match threshold {
            None => clicks
                .iter()
                .filter(|known| known.click.link_id == link)
                .map(body)
                .collect(),
            Some(threshold) => {
                let reached = client
                    .query_opt(
                        "update links.click_hooks h set fired_at = now() from links.links l
                         where h.id = $1 and l.id = h.link_id and h.fired_at is null and l.clicks - l.bot_clicks >= $2
                         returning l.clicks, l.bot_clicks",
                        &[&id, &threshold],
                    )
                    .await
                    .map_err(told)?;
                reached
                    .map(|row| {
                        let (clicks, bots): (i32, i32) = (row.get(0), row.get(1));
                        json!({ "type": "link.threshold", "link_id": link, "threshold": threshold, "clicks": clicks, "bots": bots })
                    })
                    .into_iter()
                    .collect()
            }
        };
        let ids: Vec<Uuid> = bodies.iter().map(|_| new_id()).collect();
        client
            .execute(
                "insert into links.hook_calls (id, hook_id, body) select call.id, $1, call.body
                 from unnest($2::uuid[], $3::jsonb[]) as call (id, body)",
                &[&id, &ids, &bodies],
            )
            .await
            .map_err(told)?;
    }
    Ok(())
}

/// A click as hooks and the live stream tell it.
pub fn body(known: &KnownClick) -> Value {
    json!({
        "type": "link.clicked",
        "id": known.click.id,
        "link_id": known.click.link_id,
        "clicked_at": known.click.time().format(&Rfc3339).unwrap_or_default(),
        "country": known.click.country,
        "referrer_host": known.referrer_host,
        "referrer_class": known.referrer_class,
        "browser": known.browser,
        "os": known.os,
        "device": known.device,
        "language": known.click.language,
        "utm_source": known.utm(0),
        "utm_medium": known.utm(1),
        "utm_campaign": known.utm(2),
        "variant": known.click.variant,
        "bot": known.bot_reason.is_some(),
        "bot_reason": known.bot_reason,
    })
}

pub async fn call_until(links: Links, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = call_due(&links).await {
            tracing::warn!(cause = %error.chain(), "calls of click hooks wait");
        }
    }
}

/// Claimed calls are put off first: whoever dies in between leaves them for a later turn, under the same id.
async fn call_due(links: &Links) -> Result<()> {
    let told = |error| translate("calling click hooks", error);
    let client = links.pool.client().await?;
    let due = client
        .query(
            "update links.hook_calls c set attempts = attempts + 1, due_at = now() + make_interval(secs => 10 * 2 ^ least(attempts, 12))
             from links.click_hooks h where h.id = c.hook_id and c.id in
                 (select id from links.hook_calls where due_at <= now() order by due_at limit $1 for update skip locked)
             returning c.id, c.body, c.attempts, h.url",
            &[&BATCH],
        )
        .await
        .map_err(told)?;
    drop(client);
    for call in due {
        let (id, body, attempts, url): (Uuid, Value, i32, String) =
            (call.get(0), call.get(1), call.get(2), call.get(3));
        let heard = fetch::post(&links.fetch, &url, id, body.to_string()).await;
        if let Err(why) = &heard {
            tracing::warn!(call = %id, attempts, why, "a click hook was not heard");
        }
        if heard.is_ok() || attempts >= ATTEMPTS {
            let client = links.pool.client().await?;
            client
                .execute("delete from links.hook_calls where id = $1", &[&id])
                .await
                .map_err(told)?;
        }
    }
    Ok(())
}
