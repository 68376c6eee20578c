//! Counts beside the clicks, kept in their transaction: dashboards read these instead of counting.

use super::{KnownClick, Sketch, known::DIMENSIONS};
use deadpool_postgres::GenericClient;
use foundation::{Result, Uuid};
use postgres_chassis::translate;
use std::{
    collections::{BTreeMap, HashMap},
    hash::{Hash, Hasher},
};
use time::{Date, OffsetDateTime, Time};

/// (clicks with bots, bots)
type Counts = (i32, i32);

/// Clicks that are alike in everything that is counted: most of a batch is.
struct Kind<'a> {
    owner: Uuid,
    link: Uuid,
    minute: OffsetDateTime,
    texts: [&'a str; DIMENSIONS.len() - 1],
    variant: Option<i16>,
}

impl PartialEq for Kind<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Most have no value of most dimensions, and comparing nothing costs as much as comparing a little.
        let same = |(a, b): (&&str, &&str)| a.len() == b.len() && (a.is_empty() || a == b);
        (self.link, self.minute, self.variant, self.owner) == (other.link, other.minute, other.variant, other.owner)
            && self.texts.iter().zip(&other.texts).all(same)
    }
}

impl Eq for Kind<'_> {}

impl Hash for Kind<'_> {
    /// By what tells most of them apart.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.link, self.minute.unix_timestamp(), self.variant).hash(state);
        self.texts
            .iter()
            .filter(|text| !text.is_empty())
            .for_each(|text| text.hash(state));
    }
}

/// Sorted by key, so that two copies write in one order and never wait for each other in a circle.
#[derive(Default)]
pub struct Rollup<'a> {
    pub links: BTreeMap<Uuid, Counts>,
    kinds: HashMap<Kind<'a>, Counts>,
    minutes: BTreeMap<(Uuid, OffsetDateTime), Counts>,
    owner_hours: BTreeMap<(Uuid, OffsetDateTime, usize, String), Counts>,
    link_hours: BTreeMap<(Uuid, OffsetDateTime), (Counts, Sketch)>,
    link_days: BTreeMap<(Uuid, Date, usize, String), Counts>,
}

impl<'a> Rollup<'a> {
    pub fn add(&mut self, known: &'a KnownClick) {
        let bot = i32::from(known.bot_reason.is_some());
        let more = |counts: &mut Counts| *counts = (counts.0 + 1, counts.1 + bot);
        let at = known.click.time();
        let minute = at.replace_time(Time::from_hms(at.hour(), at.minute(), 0).unwrap_or(Time::MIDNIGHT));
        let hour = at.replace_time(Time::from_hms(at.hour(), 0, 0).unwrap_or(Time::MIDNIGHT));
        let link = known.click.link_id;
        more(self.links.entry(link).or_default());
        let (counts, sketch) = self.link_hours.entry((link, hour)).or_default();
        more(counts);
        // Machines are no visitors.
        if let (Some(visitor), 0) = (known.click.visitor, bot) {
            sketch.add(visitor);
        }
        let kind = Kind {
            owner: known.owner,
            link,
            minute,
            texts: known.texts(),
            variant: known.click.variant,
        };
        more(self.kinds.entry(kind).or_default());
    }

    /// From kinds of clicks to what is counted of them.
    fn spread(&mut self) {
        for (kind, counts) in std::mem::take(&mut self.kinds) {
            let more = |sum: &mut Counts| *sum = (sum.0 + counts.0, sum.1 + counts.1);
            let hour = kind.minute.replace_minute(0).unwrap_or(kind.minute);
            let day = kind.minute.date();
            more(self.minutes.entry((kind.owner, kind.minute)).or_default());
            let variant = kind.variant.map(|variant| variant.to_string()).unwrap_or_default();
            let texts = kind.texts.into_iter().map(str::to_owned);
            for (dimension, value) in texts.chain([variant]).enumerate() {
                let of_owner = (kind.owner, hour, dimension, value.clone());
                more(self.owner_hours.entry(of_owner).or_default());
                more(self.link_days.entry((kind.link, day, dimension, value)).or_default());
            }
        }
    }

    /// Inside the transaction of the clicks, whose links are locked.
    pub async fn write(mut self, client: &impl GenericClient) -> Result<()> {
        self.spread();
        self.write_links(client).await?;
        self.write_minutes(client).await?;
        self.write_owner_hours(client).await?;
        self.write_link_hours(client).await?;
        self.write_link_days(client).await
    }

    async fn write_links(&self, client: &impl GenericClient) -> Result<()> {
        let ids: Vec<Uuid> = self.links.keys().copied().collect();
        let (clicks, bots): (Vec<i32>, Vec<i32>) = self.links.values().copied().unzip();
        client
            .execute(
                "update links.links set clicks = links.clicks + fresh.clicks, bot_clicks = links.bot_clicks + fresh.bots
                 from unnest($1::uuid[], $2::int[], $3::int[]) as fresh (id, clicks, bots) where links.id = fresh.id",
                &[&ids, &clicks, &bots],
            )
            .await
            .map_err(|error| translate("counting clicks", error))?;
        Ok(())
    }

    async fn write_minutes(&self, client: &impl GenericClient) -> Result<()> {
        let (owners, minutes): (Vec<Uuid>, Vec<OffsetDateTime>) = self.minutes.keys().copied().unzip();
        let (clicks, bots): (Vec<i32>, Vec<i32>) = self.minutes.values().copied().unzip();
        client
            .execute(
                "insert into links.rollup_owner_minutes as old (owner, minute, clicks, bots)
                 select * from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[])
                 on conflict (owner, minute) do update set clicks = old.clicks + excluded.clicks, bots = old.bots + excluded.bots",
                &[&owners, &minutes, &clicks, &bots],
            )
            .await
            .map_err(|error| translate("rolling up minutes", error))?;
        Ok(())
    }

    async fn write_owner_hours(&self, client: &impl GenericClient) -> Result<()> {
        let keys = self.owner_hours.keys();
        let owners: Vec<Uuid> = keys.clone().map(|key| key.0).collect();
        let hours: Vec<OffsetDateTime> = keys.clone().map(|key| key.1).collect();
        let dimensions: Vec<&str> = keys.clone().map(|key| DIMENSIONS[key.2]).collect();
        let values: Vec<&str> = keys.map(|key| key.3.as_str()).collect();
        let (clicks, bots): (Vec<i32>, Vec<i32>) = self.owner_hours.values().copied().unzip();
        client
            .execute(
                "insert into links.rollup_owner_hours as old (owner, hour, dimension, value, clicks, bots)
                 select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::int[], $6::int[])
                 on conflict (owner, hour, dimension, value)
                     do update set clicks = old.clicks + excluded.clicks, bots = old.bots + excluded.bots",
                &[&owners, &hours, &dimensions, &values, &clicks, &bots],
            )
            .await
            .map_err(|error| translate("rolling up an owner's hours", error))?;
        Ok(())
    }

    /// Sketches are merged here: their rows belong to links that are locked, so nobody changes them meanwhile.
    async fn write_link_hours(&self, client: &impl GenericClient) -> Result<()> {
        let (links, hours): (Vec<Uuid>, Vec<OffsetDateTime>) = self.link_hours.keys().copied().unzip();
        let told = |error| translate("rolling up a link's hours", error);
        let rows = client
            .query(
                "select link_id, hour, visitors from links.rollup_link_hours
                 where (link_id, hour) in (select * from unnest($1::uuid[], $2::timestamptz[]))",
                &[&links, &hours],
            )
            .await
            .map_err(told)?;
        let mut merged: BTreeMap<(Uuid, OffsetDateTime), Sketch> = self
            .link_hours
            .iter()
            .map(|(key, (_, sketch))| (*key, sketch.clone()))
            .collect();
        for row in rows {
            if let Some(sketch) = merged.get_mut(&(row.get(0), row.get(1))) {
                sketch.merge(&Sketch::from_bytes(row.get(2)));
            }
        }
        let (clicks, bots): (Vec<i32>, Vec<i32>) = self.link_hours.values().map(|(counts, _)| *counts).unzip();
        let visitors: Vec<Vec<u8>> = merged.values().map(Sketch::to_bytes).collect();
        client
            .execute(
                "insert into links.rollup_link_hours as old (link_id, hour, clicks, bots, visitors)
                 select * from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::bytea[])
                 on conflict (link_id, hour) do update set clicks = old.clicks + excluded.clicks,
                     bots = old.bots + excluded.bots, visitors = excluded.visitors",
                &[&links, &hours, &clicks, &bots, &visitors],
            )
            .await
            .map_err(told)?;
        Ok(())
    }

    async fn write_link_days(&self, client: &impl GenericClient) -> Result<()> {
        let keys = self.link_days.keys();
        let links: Vec<Uuid> = keys.clone().map(|key| key.0).collect();
        let days: Vec<Date> = keys.clone().map(|key| key.1).collect();
        let dimensions: Vec<&str> = keys.clone().map(|key| DIMENSIONS[key.2]).collect();
        let values: Vec<&str> = keys.map(|key| key.3.as_str()).collect();
        let (clicks, bots): (Vec<i32>, Vec<i32>) = self.link_days.values().copied().unzip();
        client
            .execute(
                "insert into links.rollup_link_days as old (link_id, day, dimension, value, clicks, bots)
                 select * from unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::int[], $6::int[])
                 on conflict (link_id, day, dimension, value)
                     do update set clicks = old.clicks + excluded.clicks, bots = old.bots + excluded.bots",
                &[&links, &days, &dimensions, &values, &clicks, &bots],
            )
            .await
            .map_err(|error| translate("rolling up a link's days", error))?;
        Ok(())
    }
}
