//! The answers kept: by URL, a few of each for what they vary by, together never above a number of bytes; and who is fetching what.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_cache_semantics::CachePolicy;
use quick_cache::{Weighter, sync::Cache};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio_util::sync::CancellationToken;

/// A URL that varies by more than this is kept in its newest forms only.
const MOST_FORMS: usize = 8;

pub struct Stored {
    pub policy: CachePolicy,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// When it was asked for, or validated last.
    pub made: SystemTime,
    /// As the answer's `Vary` wants it: two answers with the same are forms of one request.
    pub form: String,
}

impl Stored {
    pub fn new(policy: CachePolicy, status: StatusCode, headers: HeaderMap, request: &HeaderMap, body: Bytes) -> Self {
        let names = headers
            .get_all(header::VARY)
            .iter()
            .filter_map(|names| names.to_str().ok());
        let names = names
            .flat_map(|names| names.split(','))
            .map(|name| name.trim().to_ascii_lowercase());
        let value = |name: &str| {
            request
                .get_all(name)
                .iter()
                .map(|value| format!("{value:?}"))
                .collect::<String>()
        };
        let form = names
            .map(|name| format!("{name}: {}", value(&name)))
            .collect::<Vec<_>>()
            .join("\n");
        Self {
            policy,
            status,
            headers,
            body,
            made: SystemTime::now(),
            form,
        }
    }
}

type Forms = Arc<Vec<Arc<Stored>>>;

pub struct Store {
    kept: Cache<String, Forms, Bytewise>,
    fetching: Mutex<HashMap<String, CancellationToken>>,
}

#[derive(Clone)]
struct Bytewise;

impl Weighter<String, Forms> for Bytewise {
    fn weight(&self, key: &String, forms: &Forms) -> u64 {
        // The heads of request and answer are kept too; two kilobytes are what they usually come to.
        let bytes: usize = forms.iter().map(|stored| stored.body.len() + 2048).sum();
        (bytes + key.len()) as u64
    }
}

/// Held by who fetches; dropping it wakes who waits.
pub struct Fetching {
    store: Arc<Store>,
    key: String,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let mut fetching = self.store.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = fetching.remove(&self.key) {
            done.cancel();
        }
    }
}

impl Store {
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 16_384).unwrap_or(1024).clamp(64, 1 << 20);
        Self {
            kept: Cache::with_weighter(items, bytes, Bytewise),
            fetching: Mutex::default(),
        }
    }

    pub fn of(&self, key: &str) -> Forms {
        self.kept.get(key).unwrap_or_default()
    }

    /// In place of the form for the same request, else beside the others.
    pub fn put(&self, key: &str, stored: Arc<Stored>) {
        let mut forms: Vec<Arc<Stored>> = self
            .of(key)
            .iter()
            .filter(|known| known.form != stored.form)
            .cloned()
            .collect();
        forms.insert(0, stored);
        forms.truncate(MOST_FORMS);
        self.kept.insert(key.to_owned(), Arc::new(forms));
    }

    pub fn forget(&self, key: &str) {
        self.kept.remove(key);
    }

    /// To be the one who fetches; otherwise what is cancelled when the other has done it.
    pub fn fetch(self: &Arc<Self>, key: &str) -> Result<Fetching, CancellationToken> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = fetching.get(key) {
            return Err(waiting.clone());
        }
        fetching.insert(key.to_owned(), CancellationToken::new());
        Ok(Fetching {
            store: self.clone(),
            key: key.to_owned(),
        })
    }
}

impl Stored {
    /// RFC 5861: while the server fails, an answer may be used for so long after it became stale.
    pub fn may_serve_on_error(&self, now: SystemTime) -> bool {
        let lines = self.headers.get_all(header::CACHE_CONTROL).iter();
        let directives = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','));
        let seconds = directives
            .filter_map(|part| part.trim().strip_prefix("stale-if-error="))
            .find_map(|seconds| seconds.trim_matches('"').parse().ok());
        let Some(seconds) = seconds else { return false };
        let fresh_for = self.policy.time_to_live(self.made);
        now.duration_since(self.made)
            .is_ok_and(|kept| kept <= fresh_for + Duration::from_secs(seconds))
    }
}
