//! Slugs in memory, the unknown ones too. The database tells which to forget; while it is away, what is known still works.

use super::Slug;
use foundation::{Result, Uuid};
use http::HeaderValue;
use postgres_chassis::{DatabaseUrl, Pool, Signal, listen, translate};
use quick_cache::sync::Cache;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const CHANNEL: &str = "portico_links";
/// About 20 MB when full of long targets; most are short.
const REMEMBERED: usize = 100_000;

#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    pub id: Uuid,
    /// The target, ready to be sent.
    pub location: HeaderValue,
}

pub struct Lookup {
    pool: Pool,
    known: Cache<String, Option<Arc<Link>>>,
    /// Counts what was forgotten: an answer that was on its way meanwhile may be stale and is not remembered.
    forgotten: AtomicU64,
}

impl Lookup {
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            known: Cache::new(REMEMBERED),
            forgotten: AtomicU64::new(0),
        }
    }

    /// The link of this name, if it is in memory.
    pub fn known(&self, slug: &Slug) -> Option<Arc<Link>> {
        self.known.get(slug.as_str()).flatten()
    }

    /// The active link of this name. Many askers of an unknown slug cause one query.
    pub async fn find(&self, slug: &Slug) -> Result<Option<Arc<Link>>> {
        let guard = match self.known.get_value_or_guard_async(slug.as_str()).await {
            Ok(link) => return Ok(link),
            Err(guard) => guard,
        };
        let before = self.forgotten.load(Ordering::Acquire);
        let link = self.load(slug).await?;
        if before == self.forgotten.load(Ordering::Acquire) {
            // It fails only when the entry was removed meanwhile, which is what we want then.
            let _ = guard.insert(link.clone());
        }
        Ok(link)
    }

    async fn load(&self, slug: &Slug) -> Result<Option<Arc<Link>>> {
        let told = |error| translate("looking up a link", error);
        let client = self.pool.client().await?;
        let statement = client
            .prepare_cached("select id, target_url from links.links where slug = $1 and is_active")
            .await
            .map_err(told)?;
        let row = client.query_opt(&statement, &[&slug.as_str()]).await.map_err(told)?;
        Ok(row.and_then(|row| {
            let (id, target): (Uuid, String) = (row.get(0), row.get(1));
            let location = location(&target);
            if location.is_none() {
                tracing::warn!(link = %id, "the link's target is no http(s) URL; it is treated as missing");
            }
            location.map(|location| Arc::new(Link { id, location }))
        }))
    }

    fn forget(&self, slugs: &str) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        if slugs == "*" {
            self.known.clear();
        } else {
            for slug in slugs.split(',') {
                self.known.remove(slug);
            }
        }
    }

    /// Follows the database's notifications until `stop`.
    pub async fn keep_fresh(self: Arc<Self>, url: DatabaseUrl, stop: CancellationToken) {
        let (signals, mut heard) = mpsc::channel(64);
        let listening = listen(url, vec![CHANNEL.to_owned()], signals);
        let following = async {
            while let Some(signal) = heard.recv().await {
                match signal {
                    // What changed while nobody listened is unknown.
                    Signal::Connected => self.forget("*"),
                    Signal::Notification { payload, .. } => self.forget(&payload),
                }
            }
        };
        tokio::select! {
            () = listening => {}
            () = following => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Only http and https leave the house, whatever an old row says; the URL parser also escapes what a header cannot carry.
fn location(target: &str) -> Option<HeaderValue> {
    let url = url::Url::parse(target).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return None;
    }
    HeaderValue::from_str(url.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_a_location() {
        assert_eq!(
            location("https://example.org/a?b#c").unwrap(),
            "https://example.org/a?b#c"
        );
        assert_eq!(
            location("https://example.org/ä b").unwrap(),
            "https://example.org/%C3%A4%20b"
        );
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.org",
            "/x",
            "",
            "http://",
            "ftp://a/b",
        ] {
            assert_eq!(location(bad), None, "{bad}");
        }
        assert_eq!(
            location("https://a/\r\nSet-Cookie: x=y").unwrap(),
            "https://a/Set-Cookie:%20x=y"
        );
    }
}
