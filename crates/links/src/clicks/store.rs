//! A batch of clicks into PostgreSQL, with everything that is counted of them, in one transaction.

use super::{Click, ClickHouse, KnownClick, partitions, rollup::Rollup};
use deadpool_postgres::GenericClient;
use foundation::{Result, Uuid};
use postgres_chassis::{Pool, translate};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};
use time::OffsetDateTime;

/// Where the clicks themselves are kept. The counts are PostgreSQL's in any case, as is knowing which click was counted.
pub enum Sink {
    Postgres,
    ClickHouse(Box<ClickHouse>),
}

/// Answers those that were new. Clicks on links deleted meanwhile go with them.
pub async fn insert(pool: &Pool, sink: &Sink, batch: Vec<KnownClick>) -> Result<Vec<KnownClick>> {
    let told = |error| translate("copying clicks", error);
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    if let Sink::Postgres = sink {
        partitions::make(&transaction, batch.iter().map(|known| known.click.time())).await?;
    }
    let owners = lock_links(&transaction, &batch).await?;
    let mut batch = batch;
    batch.retain_mut(|known| match owners.get(&known.click.link_id) {
        Some(owner) => {
            known.owner = *owner;
            true
        }
        None => false,
    });
    let mut fresh = match sink {
        Sink::Postgres => insert_rows(&transaction, &batch).await?,
        Sink::ClickHouse(clickhouse) => {
            let fresh = note_ids(&transaction, &batch).await?;
            // Before the commit: what is not there yet is not counted. Whoever dies in between sends it again, and it is there once.
            let new: Vec<KnownClick> = batch
                .iter()
                .filter(|known| fresh.contains(&known.click.id))
                .cloned()
                .collect();
            if !new.is_empty() {
                clickhouse.insert(&new).await?;
            }
            fresh
        }
    };
    // Taken out, so that one that is twice in the batch counts once.
    batch.retain(|known| fresh.remove(&known.click.id));
    if !batch.is_empty() {
        let mut rollup = Rollup::default();
        batch.iter().for_each(|known| rollup.add(known));
        let counted = rollup.links.keys().copied().collect::<Vec<_>>();
        rollup.write(&transaction).await?;
        crate::analytics::hooks::enqueue(&transaction, &batch, &counted).await?;
    }
    transaction.commit().await.map_err(told)?;
    Ok(batch)
}

/// In one order, so that two copies never wait for each other in a circle; and the links cannot go meanwhile.
async fn lock_links(client: &impl GenericClient, batch: &[KnownClick]) -> Result<HashMap<Uuid, Uuid>> {
    let mut links: Vec<Uuid> = batch.iter().map(|known| known.click.link_id).collect();
    links.sort_unstable();
    links.dedup();
    let rows = client
        .query(
            "select id, coalesce(organization_id, user_id) from links.links where id = any($1) order by id for no key update",
            &[&links],
        )
        .await
        .map_err(|error| translate("locking the links of clicks", error))?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get::<_, Option<Uuid>>(1).unwrap_or_default()))
        .collect())
}

/// Which of them were not counted before.
async fn note_ids(client: &impl GenericClient, batch: &[KnownClick]) -> Result<HashSet<Uuid>> {
    let ids: Vec<Uuid> = batch.iter().map(|known| known.click.id).collect();
    let rows = client
        .query(
            "insert into links.click_ids (id) select distinct unnest($1::uuid[]) on conflict (id) do nothing returning id",
            &[&ids],
        )
        .await
        .map_err(|error| translate("noting clicks", error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn insert_rows(client: &impl GenericClient, batch: &[KnownClick]) -> Result<HashSet<Uuid>> {
    fn column<'a, T>(batch: &'a [KnownClick], value: impl Fn(&'a KnownClick) -> T) -> Vec<T> {
        batch.iter().map(value).collect()
    }
    let ids: Vec<Uuid> = column(batch, |known| known.click.id);
    let links: Vec<Uuid> = column(batch, |known| known.click.link_id);
    let ips: Vec<Option<IpAddr>> = column(batch, |known| known.click.ip);
    let agents: Vec<Option<&str>> = column(batch, |known| known.click.user_agent.as_deref());
    let referers: Vec<Option<&str>> = column(batch, |known| known.click.referer.as_deref());
    let countries: Vec<Option<&str>> = column(batch, |known| known.click.country.as_deref());
    let times: Vec<OffsetDateTime> = column(batch, |known| Click::time(&known.click));
    let visitors: Vec<Option<i64>> = column(batch, |known| known.click.visitor);
    let hosts: Vec<Option<&str>> = column(batch, |known| known.referrer_host.as_deref());
    let classes: Vec<&str> = column(batch, |known| known.referrer_class);
    let browsers: Vec<Option<&str>> = column(batch, |known| known.browser.as_deref());
    let systems: Vec<Option<&str>> = column(batch, |known| known.os.as_deref());
    let devices: Vec<&str> = column(batch, |known| known.device);
    let languages: Vec<Option<&str>> = column(batch, |known| known.click.language.as_deref());
    let [sources, mediums, campaigns] = [0, 1, 2].map(|place| column(batch, |known| known.utm(place)));
    let reasons: Vec<Option<&str>> = column(batch, |known| known.bot_reason);
    let variants: Vec<Option<i16>> = column(batch, |known| known.click.variant);
    let rows = client
        .query(
            "insert into links.clicks (id, link_id, ip_address, user_agent, referer, country, clicked_at, visitor, referrer_host,
                 referrer_class, browser, os, device, language, utm_source, utm_medium, utm_campaign, bot_reason, variant, bot)
             select click.*, click.bot_reason is not null from unnest($1::uuid[], $2::uuid[], $3::inet[], $4::text[], $5::text[],
                 $6::text[], $7::timestamptz[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
                 $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::smallint[])
                 as click (id, link_id, ip_address, user_agent, referer, country, clicked_at, visitor, referrer_host,
                 referrer_class, browser, os, device, language, utm_source, utm_medium, utm_campaign, bot_reason, variant)
             on conflict (id, clicked_at) do nothing returning id",
            &[
                &ids, &links, &ips, &agents, &referers, &countries, &times, &visitors, &hosts, &classes, &browsers, &systems,
                &devices, &languages, &sources, &mediums, &campaigns, &reasons, &variants,
            ],
        )
        .await
        .map_err(|error| translate("inserting clicks", error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
