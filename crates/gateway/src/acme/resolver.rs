//! One resolver at work: its account, its orders.

use super::{
    account::AccountKey,
    certificate,
    challenge::{Challenges, Kind},
    client::{Client, Registration},
    dns::{Dns, Environment},
    http::Http,
    names::Wanted,
    order::{self, Prover},
    store::{Account, Kept, Store},
};
use crate::settings::resolver::{Challenge, Resolver};
use ::http::Uri;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// An order that is not through by then is given up; less than a lease lasts.
const LONGEST: Duration = Duration::from_secs(9 * 60);

pub struct Standing {
    pub settings: Resolver,
    pub ready: Result<Ready, String>,
}

pub struct Ready {
    pub store: Store,
    dns: Option<Dns>,
    client: Mutex<Option<Arc<Client>>>,
}

impl Ready {
    pub fn open(settings: &Resolver, store: Store, environment: &Environment) -> Result<Self, String> {
        let dns = match &settings.challenge {
            Challenge::Dns(challenge) => Some(Dns::open(challenge, environment)?),
            _ => None,
        };
        // Said now rather than at the first order.
        Http::new(&settings.authorities, settings.server_name.clone())?;
        Ok(Self {
            store,
            dns,
            client: Mutex::default(),
        })
    }
}

impl Standing {
    /// Orders if nobody else does, keeps what comes of it, and says how it went.
    pub async fn order(&self, challenges: &Challenges, wanted: &Wanted, old: Option<Kept>) {
        let Ok(ready) = &self.ready else { return };
        let (resolver, domains) = (&self.settings.name, &wanted.names);
        match ready.store.claim(resolver, domains).await {
            Ok(true) => {}
            // Another copy is at it; its word or the next look tells what came of it.
            Ok(false) => return tokio::time::sleep(Duration::from_secs(2)).await,
            Err(error) => {
                tracing::error!(resolver, ?domains, error, "a certificate cannot be ordered");
                return tokio::time::sleep(Duration::from_secs(30)).await;
            }
        }
        let issued = match tokio::time::timeout(LONGEST, self.issue(ready, challenges, wanted, old)).await {
            Ok(issued) => issued,
            Err(_) => Err(format!("the order was not through after {LONGEST:?}")),
        };
        match &issued {
            Ok(true) => tracing::info!(resolver, ?domains, "a certificate was issued"),
            Ok(false) => {}
            Err(error) => tracing::error!(resolver, ?domains, error, "a certificate was not issued"),
        }
        if let Err(error) = ready.store.release(resolver, domains, issued.err().as_deref()).await {
            tracing::error!(resolver, ?domains, error, "the end of an order was not written down");
        }
    }

    /// `false` if somebody else was faster.
    async fn issue(
        &self,
        ready: &Ready,
        challenges: &Challenges,
        wanted: &Wanted,
        old: Option<Kept>,
    ) -> Result<bool, String> {
        let resolver = &self.settings.name;
        let kept = ready.store.certificates(resolver).await?;
        if super::find(&kept, wanted) != old.as_ref() {
            return Ok(false);
        }
        let prover = match (&self.settings.challenge, &ready.dns) {
            (Challenge::Dns(_), Some(dns)) => Prover::Dns(dns),
            _ if wanted.names.iter().any(|name| name.starts_with("*.")) => {
                return Err(
                    "a wildcard needs a DNS challenge; give the resolver a dnsChallenge or name the hosts".into(),
                );
            }
            (Challenge::TlsAlpn, _) => Prover::Listener(Kind::Alpn, challenges),
            _ => Prover::Listener(Kind::Http, challenges),
        };
        let client = self.client(ready).await?;
        let order = order::Wanted {
            names: &wanted.names,
            key_type: self.settings.key_type,
            preferred_chain: &self.settings.preferred_chain,
            profile: &self.settings.profile,
            replaces: old.and_then(|old| certificate::identifier(&old.chain)),
        };
        let (chain, key) = match order::obtain(&client, &order, &prover).await {
            Err(error) if error.contains("accountDoesNotExist") => {
                ready.store.forget_account(resolver).await?;
                *ready.client.lock().await = None;
                return Err(format!("{error}; the next try registers another account"));
            }
            issued => issued?,
        };
        let kept = Kept {
            resolver: resolver.clone(),
            names: wanted.names.clone(),
            chain,
            key,
        };
        ready.store.keep(&kept).await.map(|()| true)
    }

    /// The account that is kept, if it is this authority's; else a new one.
    async fn client(&self, ready: &Ready) -> Result<Arc<Client>, String> {
        let mut held = ready.client.lock().await;
        if let Some(client) = &*held {
            return Ok(client.clone());
        }
        let name = &self.settings.name;
        let known = ready.store.account(name).await?.filter(|account| self.is_ours(account));
        let client = match known {
            Some(account) => self.open(&account.key, Some(account.url)).await?,
            None => {
                ready.store.forget_account(name).await?;
                let key = tokio::task::spawn_blocking(AccountKey::generate).await;
                let key = key.map_err(|error| error.to_string())??;
                let made = self.open(key.pkcs1(), None).await?;
                let account = Account {
                    email: self.settings.email.clone(),
                    url: made.account().to_owned(),
                    key: key.pkcs1().to_vec(),
                };
                let counts = ready.store.keep_account(name, account).await?;
                if counts.url == made.account() {
                    made
                } else {
                    self.open(&counts.key, Some(counts.url)).await?
                }
            }
        };
        Ok(held.insert(Arc::new(client)).clone())
    }

    async fn open(&self, key: &[u8], known: Option<String>) -> Result<Client, String> {
        let http = Http::new(&self.settings.authorities, self.settings.server_name.clone())?;
        let external = self.settings.external.as_ref();
        let registration = Registration {
            server: &self.settings.server,
            email: &self.settings.email,
            external: external.map(|external| (external.kid.as_str(), external.hmac.as_str())),
            known,
        };
        Client::open(http, AccountKey::from_pkcs1(key)?, &registration).await
    }

    /// As in Traefik: by the host of the account's URL.
    fn is_ours(&self, account: &Account) -> bool {
        let host = |url: &str| url.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned());
        let ours = host(&account.url) == host(&self.settings.server);
        if !ours {
            tracing::warn!(
                resolver = self.settings.name,
                "the account that is kept is another authority's; a new one is made"
            );
        }
        ours
    }

    /// When the authority would like a certificate renewed, with the certificate's identifier; the same moment for every copy.
    pub async fn suggested(&self, kept: &Kept) -> Option<(String, i64)> {
        let ready = self.ready.as_ref().ok()?;
        let id = certificate::identifier(&kept.chain)?;
        // Nothing is registered just to ask.
        ready.store.account(&self.settings.name).await.ok()??;
        let client = self.client(ready).await.ok()?;
        let (start, end) = client.suggested_window(&id).await?;
        Some((id.clone(), certificate::within(&id, &start, &end)?))
    }
}
