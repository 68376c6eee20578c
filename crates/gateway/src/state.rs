//! What outlives a configuration: rate buckets, breakers, server health, connection pools. Kept by name, looked up while a
//! snapshot is built, dropped when no snapshot uses it.

use crate::{
    listener::tls::upstream::Wish,
    middleware::{breaker::Breaker, cache::Store, jwt::Remembered, limit::Buckets, limit_redis::Shared},
    service::{budget::Budget, live::Live, pool::Pool},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use telemetry::client::Client;

#[derive(Default)]
pub struct State {
    buckets: Kept<Buckets>,
    shared_limits: Kept<Shared>,
    breakers: Kept<Breaker>,
    in_flight: Kept<crate::middleware::in_flight::Counts>,
    live: Kept<Live>,
    budgets: Kept<Budget>,
    pools: Kept<Pool>,
    tokens: Kept<Remembered>,
    caches: Kept<Store>,
    client: OnceLock<Client>,
    /// How servers are spoken to over TLS. Made once each; the roots of the web are many.
    client_tls: Kept<rustls::ClientConfig>,
}

struct Kept<T>(Mutex<HashMap<String, Arc<T>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    fn get(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(key.to_owned()).or_insert_with(|| Arc::new(make())).clone()
    }

    fn sweep(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, value| Arc::strong_count(value) > 1);
    }
}

impl State {
    /// The connection to one Redis.
    ///
    /// # Errors
    /// The URL is none.
    pub fn shared_limits(&self, url: &str) -> Result<Arc<Shared>, String> {
        let opened = Shared::open(url)?;
        Ok(self.shared_limits.get(url, || opened))
    }

    pub fn buckets(&self, middleware: &str) -> Arc<Buckets> {
        self.buckets.get(middleware, Buckets::default)
    }

    /// The key holds the options too: another expression is another breaker.
    pub fn breaker(&self, key: &str, make: impl FnOnce() -> Breaker) -> Arc<Breaker> {
        self.breakers.get(key, make)
    }

    pub fn in_flight(&self, middleware: &str) -> Arc<crate::middleware::in_flight::Counts> {
        self.in_flight.get(middleware, Default::default)
    }

    /// A server as one service sees it.
    pub fn live(&self, service: &str, url: &str) -> Arc<Live> {
        self.live.get(&format!("{service} {url}"), Live::default)
    }

    pub fn budget(&self, service: &str) -> Arc<Budget> {
        self.budgets.get(service, Budget::default)
    }

    /// Connections to one address over one transport; services share them.
    pub fn pool(&self, key: &str, make: impl FnOnce() -> Pool) -> Arc<Pool> {
        self.pools.get(key, make)
    }

    /// Keys and the tokens they verified. The key holds the options: other options are other keys.
    pub fn tokens(&self, key: &str, make: impl FnOnce(Client) -> Remembered) -> Arc<Remembered> {
        let client = self.client.get_or_init(Client::new).clone();
        self.tokens.get(key, || make(client))
    }

    /// Another size is another cache.
    pub fn cache(&self, middleware: &str, bytes: u64) -> Arc<Store> {
        self.caches.get(&format!("{middleware} {bytes}"), || Store::new(bytes))
    }

    /// # Errors
    /// What was wished for cannot be built.
    pub fn client_tls(&self, wish: &Wish) -> Result<Arc<rustls::ClientConfig>, String> {
        let key = wish.key();
        let mut kept = self.client_tls.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&key) {
            return Ok(known.clone());
        }
        let made = wish.build()?;
        kept.insert(key, made.clone());
        Ok(made)
    }

    /// Forgets what the configuration before used and the one in force does not.
    pub fn sweep(&self) {
        self.buckets.sweep();
        self.shared_limits.sweep();
        self.breakers.sweep();
        self.in_flight.sweep();
        self.live.sweep();
        self.budgets.sweep();
        self.pools.sweep();
        self.tokens.sweep();
        self.caches.sweep();
        self.client_tls.sweep();
    }
}
