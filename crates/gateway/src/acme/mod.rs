//! ACME: the provider of certificates routers ask a resolver for (docs/decisions/0011-tls-edge.md).

mod account;
mod certificate;
pub mod challenge;
mod client;
mod dns;
mod http;
pub mod names;
mod order;
mod resolver;
mod show;
pub mod store;

use crate::{
    gateway::Control,
    listener::tls,
    model::{Certificate, Dynamic, Tls},
    settings::resolver::{Resolver, Storage},
};
use challenge::Challenges;
pub use dns::Environment;
use foundation::OffsetDateTime;
use names::Wanted;
use postgres_chassis::{DatabaseUrl, Signal, listen};
use resolver::{Ready, Standing};
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{CHANNEL, File, Kept, Postgres, Store};
use tokio::{sync::mpsc, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// The provider's name.
pub const PROVIDER: &str = "acme";
/// Looked at anew at least this often, in case a word from another copy was lost.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often the authority is asked when it would like certificates renewed.
const ASK_EVERY: Duration = Duration::from_secs(6 * 3600);

pub struct Acme {
    resolvers: Vec<Standing>,
    pub challenges: Challenges,
    database: Option<Arc<Postgres>>,
    /// When to renew by the authority's wish, by the certificate's identifier; Unix seconds.
    suggested: Mutex<HashMap<String, i64>>,
    changed: watch::Sender<u64>,
}

impl Acme {
    /// A resolver that cannot work says why and stands still; the others go on, as in Traefik.
    pub fn open(resolvers: &[Resolver], database: Option<&DatabaseUrl>, environment: &Environment) -> Self {
        let opened = database.map(|url| Postgres::open(url).map(Arc::new));
        let mut files: HashMap<PathBuf, Result<Arc<File>, String>> = HashMap::new();
        let mut store = |storage: &Storage| match storage {
            Storage::File(path) => {
                let file = files
                    .entry(path.clone())
                    .or_insert_with(|| File::open(path).map(Arc::new));
                file.clone().map(Store::File)
            }
            Storage::Postgres(set) => match &opened {
                Some(Ok(database)) => Ok(Store::Postgres(database.clone(), set.clone())),
                Some(Err(error)) => Err(error.clone()),
                None => Err("the storage 'postgres' needs DATABASE_URL".into()),
            },
        };
        let standing = resolvers.iter().map(|settings| {
            let ready = store(&settings.storage).and_then(|store| Ready::open(settings, store, environment));
            if let Err(error) = &ready {
                tracing::error!(resolver = settings.name, error, "a certificate resolver cannot be used");
            }
            Standing {
                settings: settings.clone(),
                ready,
            }
        });
        let resolvers: Vec<Standing> = standing.collect();
        let shared = |standing: &Standing| {
            matches!(
                &standing.ready,
                Ok(Ready {
                    store: Store::Postgres(..),
                    ..
                })
            )
        };
        let database = opened.and_then(Result::ok).filter(|_| resolvers.iter().any(shared));
        Self {
            resolvers,
            challenges: Challenges::shared(database.clone()),
            database,
            suggested: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    pub fn is_used(&self) -> bool {
        !self.resolvers.is_empty()
    }

    /// Every certificate that is kept, of every resolver.
    async fn kept(&self) -> Result<Vec<Kept>, String> {
        let mut all = Vec::new();
        for standing in &self.resolvers {
            if let Ok(ready) = &standing.ready {
                all.extend(ready.store.certificates(&standing.settings.name).await?);
            }
        }
        Ok(all)
    }

    /// What is kept, as configuration.
    pub async fn configuration(&self) -> Result<Dynamic, String> {
        Ok(configuration(&self.kept().await?))
    }

    /// Orders and renews until `stop`.
    pub async fn run(self: Arc<Self>, control: Arc<Control>, stop: CancellationToken) {
        let working = async {
            tokio::join!(self.clone().keep_up(control), self.ask(), self.hear());
        };
        tokio::select! {
            () = working => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep_up(self: Arc<Self>, control: Arc<Control>) {
        let (mut applied, mut changed) = (control.applied(), self.changed.subscribe());
        let mut running = JoinSet::new();
        let mut busy: HashSet<Wanted> = HashSet::new();
        let mut last: Vec<Kept> = Vec::new();
        loop {
            match self.kept().await {
                Ok(kept) => last = kept,
                // What is in force stays in force.
                Err(error) => tracing::warn!(error, "the certificates that are kept cannot be read"),
            }
            control.apply(PROVIDER, configuration(&last));
            let wanted = control.wanted();
            let mut wait = LOOK_EVERY;
            for one in &wanted {
                let Some(place) = self.place(&one.resolver) else {
                    continue;
                };
                let due = self.due(place, one, &last).await;
                match due {
                    Some(seconds) if seconds > 0 => {
                        wait = wait.min(Duration::from_secs(seconds.unsigned_abs()));
                    }
                    Some(_) if busy.insert(one.clone()) => {
                        let (acme, one) = (self.clone(), one.clone());
                        let old = find(&last, &one).cloned();
                        running.spawn(async move {
                            acme.resolvers[place].order(&acme.challenges, &one, old).await;
                            one
                        });
                    }
                    _ => {}
                }
            }
            control.show_certificates(show::all(&self.resolvers, &wanted, &last).await);
            tokio::select! {
                _ = applied.changed() => {}
                _ = changed.changed() => {}
                Some(done) = running.join_next() => {
                    if let Ok(one) = done {
                        busy.remove(&one);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn place(&self, resolver: &str) -> Option<usize> {
        self.resolvers
            .iter()
            .position(|standing| standing.settings.name == resolver)
    }

    /// In how many seconds to order: nought or less is now, `None` never as things stand.
    async fn due(&self, place: usize, wanted: &Wanted, kept: &[Kept]) -> Option<i64> {
        let standing = &self.resolvers[place];
        let ready = standing.ready.as_ref().ok()?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let renewal = match find(kept, wanted) {
            Some(certificate) => self.renewal(certificate, standing.settings.duration_hours)? - now,
            None if !wanted.explicit && self.all_covered(wanted, kept, now) => return None,
            None => 0,
        };
        if renewal > 0 {
            return Some(renewal);
        }
        let attempt = ready.store.attempt(&wanted.resolver, &wanted.names).await;
        Some((attempt.next_try - now).max(renewal))
    }

    fn renewal(&self, certificate: &Kept, duration_hours: Option<u64>) -> Option<i64> {
        let planned = certificate::renewal_time(certificate::validity(&certificate.chain)?, duration_hours);
        let suggested = self.suggested.lock().unwrap_or_else(PoisonError::into_inner);
        let id = certificate::identifier(&certificate.chain);
        Some(id.and_then(|id| suggested.get(&id).copied()).unwrap_or(planned))
    }

    /// Whether certificates that are kept and still good are good for all the names.
    fn all_covered(&self, wanted: &Wanted, kept: &[Kept], now: i64) -> bool {
        let good = |kept: &&Kept| certificate::validity(&kept.chain).is_some_and(|(_, until)| until > now);
        let good: Vec<&Kept> = kept.iter().filter(good).collect();
        let mut names = wanted.names.iter();
        names.all(|name| good.iter().any(|kept| names::covers(&kept.names, name)))
    }

    /// Asks authorities when they would like certificates renewed.
    async fn ask(&self) {
        loop {
            for standing in &self.resolvers {
                let Ok(ready) = &standing.ready else { continue };
                let kept = ready
                    .store
                    .certificates(&standing.settings.name)
                    .await
                    .unwrap_or_default();
                for certificate in &kept {
                    if let Some((id, at)) = standing.suggested(certificate).await {
                        self.suggested
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .insert(id, at);
                        self.changed.send_modify(|number| *number += 1);
                    }
                }
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Hears from other copies.
    async fn hear(&self) {
        let Some(database) = &self.database else {
            return std::future::pending().await;
        };
        let (signals, mut heard) = mpsc::channel::<Signal>(16);
        let hearing = async {
            while heard.recv().await.is_some() {
                self.changed.send_modify(|number| *number += 1);
            }
        };
        tokio::join!(
            listen(database.url().clone(), vec![CHANNEL.to_owned()], signals),
            hearing
        );
    }
}

/// The certificate for exactly these names.
fn find<'a>(kept: &'a [Kept], wanted: &Wanted) -> Option<&'a Kept> {
    kept.iter().find(|kept| {
        kept.resolver == wanted.resolver
            && kept.names.len() == wanted.names.len()
            && wanted.names.iter().all(|name| kept.names.contains(name))
    })
}

fn configuration(kept: &[Kept]) -> Dynamic {
    let usable = |kept: &&Kept| match tls::certified(kept.chain.as_bytes(), kept.key.as_bytes()) {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(resolver = kept.resolver, domains = ?kept.names, error, "a kept certificate cannot be used");
            false
        }
    };
    let certificate = |kept: &Kept| Certificate {
        cert_file: Some(kept.chain.clone()),
        key_file: Some(kept.key.clone()),
        stores: None,
    };
    let certificates: Vec<Certificate> = kept.iter().filter(usable).map(certificate).collect();
    Dynamic {
        tls: (!certificates.is_empty()).then(|| Tls {
            certificates: Some(certificates),
            ..Tls::default()
        }),
        http: None,
    }
}
