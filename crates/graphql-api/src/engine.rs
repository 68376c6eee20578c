//! The running engine: the state everybody reads, and the one place it is changed.

use crate::{
    Settings,
    auth::Auth,
    catalog_store::{CHANNEL, CatalogStore},
    limits::Rates,
    live::{self, Hub, Live},
    state::State,
    triggers,
};
use arc_swap::ArcSwap;
use foundation::{Result, new_id};
use metadata::{Metadata, Source};
use postgres_chassis::{Signal, listen, translate};
use serde_json::json;
use std::sync::{Arc, PoisonError};
use telemetry::{client::Client, metrics::Metrics};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use webhooks::{Deliveries, Plan};

pub struct Engine {
    pub settings: Settings,
    pub store: CatalogStore,
    pub auth: Auth,
    state: ArcSwap<State>,
    /// This copy's, by which it knows its own notifications.
    pub name: String,
    /// Held by whoever changes metadata.
    pub changing: Mutex<()>,
    changed: watch::Sender<u64>,
    pub live: Live,
    /// What callers asked in the last minute.
    pub rates: Rates,
    /// For the hub, which takes it when it starts.
    asked: std::sync::Mutex<Option<live::Asked>>,
    /// WebSockets end when this is cancelled.
    pub closing: CancellationToken,
    pub deliveries: Arc<Deliveries>,
    pub plans: watch::Sender<Arc<Plan>>,
    pub client: Client,
    /// Counts what was asked of and answered by asynchronous actions here.
    pub actions: watch::Sender<u64>,
}

impl Engine {
    /// # Errors
    /// The metadata database cannot be used.
    pub async fn open(
        settings: Settings,
        store: CatalogStore,
        client: Client,
        metrics: &Metrics,
    ) -> Result<Arc<Engine>> {
        store.prepare().await?;
        prepare_schedule(&store).await?;
        let (mut metadata, mut version) = store.load(&settings.initial).await?;
        if add_default(&settings, &mut metadata) {
            let saving = store.save(&metadata, version).await?;
            saving.commit().await?;
            version += 1;
        }
        let state = State::build(&settings, &client, metadata, version, None, true).await;
        for one in &state.inconsistent {
            tracing::warn!(object = one.name, "{}", one.reason);
        }
        triggers::install_all(&settings, &state).await;
        let (live, asked) = live::channel();
        Ok(Arc::new(Engine {
            deliveries: Deliveries::new(settings.webhooks.clone(), client.clone(), metrics),
            client: client.clone(),
            actions: watch::Sender::new(0),
            plans: watch::Sender::new(Arc::new(triggers::plan(&settings, &state))),
            auth: Auth::new(settings.auth.clone(), settings.verifier.clone(), client),
            settings,
            store,
            state: ArcSwap::from_pointee(state),
            name: new_id().to_string(),
            changing: Mutex::new(()),
            changed: watch::Sender::new(0),
            live,
            rates: Rates::default(),
            asked: std::sync::Mutex::new(Some(asked)),
            closing: CancellationToken::new(),
        }))
    }

    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    pub fn set(&self, state: State) {
        self.replan(&state);
        self.state.store(Arc::new(state));
        self.changed.send_modify(|version| *version += 1);
    }

    /// Told after every new state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Answers subscriptions until `stop`.
    pub async fn serve_subscriptions(self: Arc<Self>, stop: CancellationToken) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(asked) = asked {
            Hub::new(self, asked).run(stop).await;
        }
    }

    /// Reads metadata and databases again.
    pub async fn reload(&self, fresh: bool) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (metadata, version) = self.store.load(&self.settings.initial).await?;
        let known = self.state();
        self.set(State::build(&self.settings, &self.client, metadata, version, Some(&known), fresh).await);
        Ok(())
    }
}

async fn prepare_schedule(store: &CatalogStore) -> Result<()> {
    let failed = |error| translate("making the queues of scheduled events", error);
    let mut client = store.pool().client().await?;
    let transaction = client.transaction().await.map_err(failed)?;
    webhooks::prepare_schedule(&*transaction, store.schema()).await?;
    crate::actions::prepare(&*transaction, store.schema()).await?;
    transaction.commit().await.map_err(failed)
}

/// A server started with a database URL has a source `default` from the start.
fn add_default(settings: &Settings, metadata: &mut Metadata) -> bool {
    let Some(variable) = &settings.default_source else {
        return false;
    };
    if metadata.source("default").is_some() {
        return false;
    }
    metadata.sources.push(Source {
        name: "default".to_owned(),
        kind: "postgres".to_owned(),
        configuration: json!({"connection_info": {
            "database_url": {"from_env": variable}, "isolation_level": "read-committed", "use_prepared_statements": true}}),
        ..Source::default()
    });
    true
}

impl Engine {
    /// Another copy saved metadata: read it too.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let (signals, mut heard) = mpsc::channel(64);
        let listening = listen(self.store.pool().url().clone(), vec![CHANNEL.to_owned()], signals);
        let following = async {
            while let Some(signal) = heard.recv().await {
                let current = self.state().resource_version;
                let caught_up = match signal {
                    // What was saved while nobody listened is unknown.
                    Signal::Connected => self.catch_up().await,
                    Signal::Notification { payload, .. } => match payload.parse::<i32>() {
                        Ok(saved) if saved > current => self.catch_up().await,
                        Ok(_) => Ok(()),
                        Err(_) if payload == self.name => Ok(()),
                        Err(_) => self.reload(true).await,
                    },
                };
                if let Err(error) = caught_up {
                    tracing::warn!(cause = %error.chain(), "metadata could not be read again");
                }
            }
        };
        tokio::select! {
            () = listening => {}
            () = following => {}
            () = stop.cancelled() => {}
        }
    }

    async fn catch_up(&self) -> Result<()> {
        let (_, version) = self.store.load(&self.settings.initial).await?;
        match version == self.state().resource_version {
            true => Ok(()),
            // Tables that are new in metadata are new in the database too.
            false => self.reload(true).await,
        }
    }
}
