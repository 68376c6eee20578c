//! Slugs in memory, the unknown ones too. The database tells which to forget; while it is away, what is known still works.

use super::{
    Slug,
    link::{self, Link},
    snapshot::{self, Known},
};
use arc_swap::ArcSwap;
use foundation::{Kind, Result, Uuid};
use postgres_chassis::{DatabaseUrl, Pool, Signal, listen, translate};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const CHANNEL: &str = "portico_links";
/// About 200 MB when full of long targets; most are short.
const REMEMBERED: usize = 1_000_000;
const SNAPSHOT_EVERY: Duration = Duration::from_secs(60);

/// A short host with targets of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Domain {
    pub id: Uuid,
    pub host: String,
    pub root_url: Option<String>,
    pub not_found_url: Option<String>,
    pub expired_url: Option<String>,
    pub case_sensitive: bool,
}

#[derive(Clone)]
pub struct Entry {
    /// Of an older epoch: ask again, and use it only when nobody answers.
    epoch: u64,
    pub link: Option<Arc<Link>>,
}

pub struct Lookup {
    pool: Pool,
    pub(super) known: Cache<String, Entry>,
    pub(super) domains: ArcSwap<HashMap<String, Arc<Domain>>>,
    epoch: AtomicU64,
    /// Counts what was forgotten: an answer that was on its way meanwhile may be stale and is not remembered.
    forgotten: AtomicU64,
    changed: AtomicU64,
    snapshot: PathBuf,
}

impl Lookup {
    pub fn new(pool: Pool, snapshot: PathBuf) -> Self {
        let lookup = Self {
            pool,
            known: Cache::new(REMEMBERED),
            domains: ArcSwap::default(),
            epoch: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            snapshot,
        };
        lookup.warm();
        lookup
    }

    /// What the last process knew serves until the database is heard.
    fn warm(&self) {
        match snapshot::read(&self.snapshot, |known| match known {
            Known::Domain(domain) => {
                let mut domains = HashMap::clone(&self.domains.load());
                domains.insert(domain.host.clone(), Arc::new(domain));
                self.domains.store(Arc::new(domains));
            }
            Known::Link(key, link) => self.known.insert(
                key,
                Entry {
                    epoch: 0,
                    link: Some(Arc::new(link)),
                },
            ),
        }) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "links read from the snapshot"),
            Err(error) => tracing::warn!(%error, "the snapshot of links could not be read; the database will be asked"),
        }
    }

    pub fn domain(&self, host: &str) -> Option<Arc<Domain>> {
        let domains = self.domains.load();
        domains
            .get(host)
            .or_else(|| domains.get(&host.to_ascii_lowercase()))
            .cloned()
    }

    /// The link of this name without a domain, if it is in memory and fresh.
    pub fn at_hand(&self, slug: &Slug) -> Option<Arc<Link>> {
        let entry = self.known.get(slug.as_str())?;
        (entry.epoch == self.epoch.load(Ordering::Acquire)).then_some(entry.link)?
    }

    /// The active link of this name. Many askers of an unknown slug cause one query.
    pub async fn find(&self, domain: Option<&Domain>, slug: &Slug) -> Result<Option<Arc<Link>>> {
        let key = key(domain, slug);
        let epoch = self.epoch.load(Ordering::Acquire);
        let stale = match self.known.get(key.as_ref()) {
            Some(entry) if entry.epoch == epoch => return Ok(entry.link),
            stale => stale,
        };
        if let Some(stale) = stale {
            return match self.load(domain, slug).await {
                Ok(link) => {
                    self.remember(&key, epoch, &link);
                    Ok(link)
                }
                Err(error) if error.kind == Kind::Unavailable => Ok(stale.link),
                Err(error) => Err(error),
            };
        }
        let guard = match self.known.get_value_or_guard_async(key.as_ref()).await {
            Ok(entry) => return Ok(entry.link),
            Err(guard) => guard,
        };
        let before = self.forgotten.load(Ordering::Acquire);
        let link = self.load(domain, slug).await?;
        if before == self.forgotten.load(Ordering::Acquire) {
            // It fails only when the entry was removed meanwhile, which is what we want then.
            let _ = guard.insert(Entry {
                epoch,
                link: link.clone(),
            });
            self.changed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(link)
    }

    fn remember(&self, key: &str, epoch: u64, link: &Option<Arc<Link>>) {
        if epoch == self.epoch.load(Ordering::Acquire) {
            self.known.insert(
                key.to_owned(),
                Entry {
                    epoch,
                    link: link.clone(),
                },
            );
            self.changed.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn load(&self, domain: Option<&Domain>, slug: &Slug) -> Result<Option<Arc<Link>>> {
        let told = |error| translate("looking up a link", error);
        let client = self.pool.client().await?;
        let statement = format!(
            "select {} from links.links l where l.slug = $1 and (l.domain_id is not distinct from $2 or l.domain_id is null)
                 and l.is_active and l.deleted_at is null
                 and not exists (select from links.targets(l.target_url, l.rules, l.variants, l.expired_url) t (target)
                                 where links.is_blocked(t.target))
             order by l.domain_id nulls last limit 1",
            link::REDIRECT_COLUMNS
        );
        let statement = client.prepare_cached(&statement).await.map_err(told)?;
        let id = domain.map(|domain| domain.id);
        let row = client
            .query_opt(&statement, &[&slug.as_str(), &id])
            .await
            .map_err(told)?;
        Ok(row.and_then(|row| {
            let read = link::from_row(&row);
            if read.is_none() {
                tracing::warn!(link = %row.get::<_, Uuid>(0), "the link's target is no http(s) URL; it is treated as missing");
            }
            read.map(Arc::new)
        }))
    }

    fn forget(&self, slugs: &str) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.changed.fetch_add(1, Ordering::Relaxed);
        if slugs == "*" {
            self.epoch.fetch_add(1, Ordering::AcqRel);
            return;
        }
        let domains = self.domains.load();
        for slug in slugs.split(',') {
            self.known.remove(slug);
            for host in domains.keys() {
                self.known.remove(&format!("{host}/{slug}"));
                self.known.remove(&format!("{host}/{}", slug.to_ascii_lowercase()));
            }
        }
    }

    async fn load_domains(&self) {
        let load = async {
            let client = self.pool.client().await?;
            let select = "select id, host, root_url, not_found_url, expired_url, case_sensitive from links.domains";
            client
                .query(select, &[])
                .await
                .map_err(|error| translate("loading domains", error))
        };
        match load.await {
            Ok(rows) => {
                let domains = rows.iter().map(|row| {
                    let domain = Domain {
                        id: row.get(0),
                        host: row.get(1),
                        root_url: row.get(2),
                        not_found_url: row.get(3),
                        expired_url: row.get(4),
                        case_sensitive: row.get(5),
                    };
                    (domain.host.clone(), Arc::new(domain))
                });
                self.domains.store(Arc::new(domains.collect()));
            }
            Err(error) => tracing::warn!(cause = %error.chain(), "the short domains could not be loaded"),
        }
    }

    /// Follows the database's notifications until `stop`, and keeps the snapshot.
    pub async fn keep_fresh(self: Arc<Self>, url: DatabaseUrl, stop: CancellationToken) {
        let (signals, mut heard) = mpsc::channel(64);
        let listening = listen(url, vec![CHANNEL.to_owned()], signals);
        let following = async {
            while let Some(signal) = heard.recv().await {
                // What changed while nobody listened is unknown.
                let forget = match signal {
                    Signal::Connected => "*".to_owned(),
                    Signal::Notification { payload, .. } => payload,
                };
                if forget == "*" {
                    self.load_domains().await;
                }
                self.forget(&forget);
            }
        };
        let saving = async {
            loop {
                tokio::time::sleep(SNAPSHOT_EVERY).await;
                self.save().await;
            }
        };
        tokio::select! {
            () = listening => {}
            () = following => {}
            () = saving => {}
            () = stop.cancelled() => self.save().await,
        }
    }

    async fn save(self: &Arc<Self>) {
        if self.changed.swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        let lookup = self.clone();
        let written = tokio::task::spawn_blocking(move || snapshot::write(&lookup.snapshot, &lookup)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the snapshot of links could not be written");
        }
    }
}

/// No slug has a slash in it, so hosts and slugs do not mix.
fn key<'a>(domain: Option<&Domain>, slug: &'a Slug) -> Cow<'a, str> {
    match domain {
        None => Cow::Borrowed(slug.as_str()),
        Some(domain) => Cow::Owned(format!("{}/{}", domain.host, slug.as_str())),
    }
}
