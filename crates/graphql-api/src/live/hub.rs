//! The task that owns all cohorts: hears of changes, asks, hands out.

use super::{
    Ask, Asked, Event, Wanted,
    changes::{self, CHANNEL},
    cohort::{Cohort, Found, Key, Part, Subscriber, ask},
};
use crate::engine::Engine;
use foundation::Result;
use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use graphql::{GraphqlError, Kind, Request, Session};
use postgres_chassis::{Pool, Signal, listen};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// How often is asked what cannot tell.
const POLL: Duration = Duration::from_secs(1);
/// Rounds at the same time; each holds a connection.
const ROUNDS: usize = 4;

/// What is under way for the hub.
enum Done {
    /// With the generation of plans it was begun in.
    Round(u64, Key, Result<Vec<Found>, GraphqlError>),
    /// The tables whose triggers tell, or none.
    Watched(Key, BTreeSet<String>),
    Position(String, Option<String>),
}

pub struct Hub {
    engine: Arc<Engine>,
    asked: mpsc::UnboundedReceiver<Ask>,
    cohorts: HashMap<Key, Cohort>,
    places: HashMap<u64, Key>,
    pending: FuturesUnordered<BoxFuture<'static, Done>>,
    rounds: usize,
    /// Counts how often everything was planned again.
    generation: u64,
    listening: HashSet<String>,
    told: mpsc::Sender<(String, Signal)>,
    hear: mpsc::Receiver<(String, Signal)>,
    listeners: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Hub {
    pub fn new(engine: Arc<Engine>, Asked(asked): Asked) -> Self {
        let (told, hear) = mpsc::channel(256);
        Hub {
            engine,
            asked,
            cohorts: HashMap::new(),
            places: HashMap::new(),
            pending: FuturesUnordered::new(),
            rounds: 0,
            generation: 0,
            listening: HashSet::new(),
            told,
            hear,
            listeners: FuturesUnordered::new(),
        }
    }

    pub async fn run(mut self, stop: CancellationToken) {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut states = self.engine.changes();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ask = self.asked.recv() => match ask {
                    Some(Ask::Subscribe(wanted)) => self.join(*wanted),
                    Some(Ask::Leave(id)) => self.leave(id),
                    Some(Ask::Drained(id)) => self.wake_one(id),
                    None => return,
                },
                Some((source, signal)) = self.hear.recv() => self.hear(&source, &signal),
                Some(done) = self.pending.next(), if !self.pending.is_empty() => self.done(done),
                Some(()) = self.listeners.next(), if !self.listeners.is_empty() => {}
                _ = poll.tick() => self.poll(),
                changed = states.changed() => match changed {
                    Ok(()) => self.plan_again(),
                    Err(_) => return,
                },
            }
            self.begin_rounds();
        }
    }

    fn pool(&self, source: &str) -> Option<Pool> {
        self.engine
            .state()
            .sources
            .get(source)
            .map(|connected| connected.pool.clone())
    }

    fn join(&mut self, wanted: Wanted) {
        let Wanted {
            id,
            request,
            session,
            events,
            missed,
        } = wanted;
        let subscriber = Subscriber {
            request,
            session,
            params: Vec::new(),
            events,
            missed,
            sent: None,
        };
        self.place(id, subscriber);
    }

    fn place(&mut self, id: u64, mut subscriber: Subscriber) {
        let state = self.engine.state();
        let plan = match state.schema.plan(&subscriber.request, &subscriber.session) {
            Ok(plan) if plan.kind == Kind::Subscription => plan,
            Ok(_) => return,
            Err(error) => return drop(subscriber.events.try_send(Event::Failed(error))),
        };
        if plan.statements.len() > 1 {
            let message = "a subscription is about one source only";
            let error = GraphqlError::new("not-supported", "$", message);
            return drop(subscriber.events.try_send(Event::Failed(error)));
        }
        let Some(key) = Key::of(&plan) else {
            // Nothing of it comes from a database: it is answered once.
            let text = crate::answer::spliced(&plan, &crate::answer::Answers::of(&|_, _| "null".to_owned()));
            return drop(subscriber.events.try_send(Event::Data(text.into())));
        };
        subscriber.params = plan.statements[0].params.clone();
        self.places.insert(id, key.clone());
        let params = subscriber.params.clone();
        match self.cohorts.get_mut(&key) {
            Some(cohort) => {
                cohort.dirty = true;
                cohort.subscribers.insert(id, subscriber);
            }
            None => {
                let mut cohort = Cohort::new(Arc::new(plan));
                cohort.subscribers.insert(id, subscriber);
                self.cohorts.insert(key.clone(), cohort);
                self.begin_watching(key, params);
            }
        }
    }

    fn leave(&mut self, id: u64) {
        let Some(key) = self.places.remove(&id) else { return };
        if let Some(cohort) = self.cohorts.get_mut(&key) {
            cohort.subscribers.remove(&id);
            if cohort.subscribers.is_empty() && !cohort.running {
                self.cohorts.remove(&key);
            }
        }
    }

    fn wake_one(&mut self, id: u64) {
        if let Some(cohort) = self.places.get(&id).and_then(|key| self.cohorts.get_mut(key)) {
            cohort.dirty = true;
        }
    }

    /// Learns what the statement reads and has those tables tell us.
    fn begin_watching(&mut self, key: Key, params: Vec<Option<String>>) {
        let Some(pool) = self.pool(&key.source) else { return };
        self.listen(&key.source, &pool);
        let watching = async move {
            let watched = match changes::reads(&pool, &key.sql, &params).await {
                Ok(reads) if !reads.opaque => changes::watch(&pool, &reads).await,
                Ok(_) => Ok(BTreeSet::new()),
                Err(error) => Err(error),
            };
            let watched = watched.unwrap_or_else(|error| {
                tracing::info!(cause = %error.chain(), "a subscription is asked again every second: its tables cannot tell");
                BTreeSet::new()
            });
            Done::Watched(key, watched)
        };
        self.pending.push(watching.boxed());
    }

    fn listen(&mut self, source: &str, pool: &Pool) {
        if !self.listening.insert(source.to_owned()) {
            return;
        }
        let (signals, mut heard) = mpsc::channel(64);
        let listening = listen(pool.url().clone(), vec![CHANNEL.to_owned()], signals);
        let (told, source) = (self.told.clone(), source.to_owned());
        let forwarding = async move {
            while let Some(signal) = heard.recv().await {
                if told.send((source.clone(), signal)).await.is_err() {
                    return;
                }
            }
        };
        let both = async move {
            tokio::select! {
                () = listening => {}
                () = forwarding => {}
            }
        };
        self.listeners.push(both.boxed());
    }

    fn hear(&mut self, source: &str, signal: &Signal) {
        for (_, cohort) in self.cohorts.iter_mut().filter(|(key, _)| key.source == source) {
            cohort.dirty |= match signal {
                // What changed while nobody listened is unknown.
                Signal::Connected => true,
                Signal::Notification { payload, .. } => cohort.watched.contains(payload),
            };
        }
    }

    /// Cohorts nobody tells about are asked again, where their database wrote something.
    fn poll(&mut self) {
        let silent = |cohort: &&Cohort| cohort.watched.is_empty() && !cohort.running;
        let mut sources: Vec<String> = Vec::new();
        for (key, _) in self.cohorts.iter().filter(|(_, cohort)| silent(cohort)) {
            if !sources.contains(&key.source) {
                sources.push(key.source.clone());
            }
        }
        for source in sources {
            if let Some(pool) = self.pool(&source) {
                let asking = async move { Done::Position(source, changes::position(&pool).await.ok()) };
                self.pending.push(asking.boxed());
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Watched(key, watched) => {
                if let Some(cohort) = self.cohorts.get_mut(&key) {
                    cohort.watched = watched;
                    // A change between the first round and the trigger was told to nobody.
                    cohort.dirty = true;
                }
            }
            Done::Position(source, position) => {
                let cohorts = self.cohorts.iter_mut().filter(|(key, _)| key.source == source);
                for (_, cohort) in cohorts.filter(|(_, cohort)| cohort.watched.is_empty()) {
                    if position.is_none() || cohort.position != position {
                        cohort.position.clone_from(&position);
                        cohort.dirty = true;
                    }
                }
            }
            Done::Round(generation, key, found) => {
                self.rounds -= 1;
                // Begun before everything was planned again: a new round asks from the same position.
                if generation == self.generation {
                    self.end_round(&key, found);
                }
            }
        }
    }

    fn end_round(&mut self, key: &Key, found: Result<Vec<Found>, GraphqlError>) {
        let Some(cohort) = self.cohorts.get_mut(key) else {
            return;
        };
        cohort.running = false;
        match found {
            Ok(found) => cohort.dirty |= cohort.hand_out(found),
            Err(error) => {
                for (id, subscriber) in cohort.subscribers.drain() {
                    self.places.remove(&id);
                    // Who has no room sees the end of the stream.
                    let _ = subscriber.events.try_send(Event::Failed(error.clone()));
                }
            }
        }
        if cohort.subscribers.is_empty() {
            self.cohorts.remove(key);
        }
    }

    fn begin_rounds(&mut self) {
        let mut begun: Vec<(Key, Arc<graphql::Plan>, Vec<Part>)> = Vec::new();
        for (key, cohort) in &mut self.cohorts {
            if self.rounds + begun.len() >= ROUNDS {
                break;
            }
            if !cohort.dirty || cohort.running {
                continue;
            }
            cohort.dirty = false;
            let parts = cohort.parts();
            if !parts.is_empty() {
                cohort.running = true;
                begun.push((key.clone(), cohort.plan.clone(), parts));
            }
        }
        for (key, plan, parts) in begun {
            self.rounds += 1;
            let (pool, generation) = (self.pool(&key.source), self.generation);
            let round = async move {
                let found = match pool {
                    Some(pool) => ask(pool, plan, parts).await,
                    None => Err(GraphqlError::new("unexpected", "$", "the source is gone")),
                };
                Done::Round(generation, key, found)
            };
            self.pending.push(round.boxed());
        }
    }

    /// Metadata or tables changed: what was asked may mean another statement now.
    fn plan_again(&mut self) {
        self.generation += 1;
        let known = std::mem::take(&mut self.cohorts);
        self.places.clear();
        self.listening.clear();
        self.listeners.clear();
        for (key, cohort) in known {
            for (id, subscriber) in cohort.subscribers {
                let params = subscriber.params.clone();
                self.place(id, subscriber);
                // A stream whose statement stayed the same goes on from where it was.
                if cohort.plan.stream.is_some() && self.places.get(&id) == Some(&key) {
                    let placed = self
                        .cohorts
                        .get_mut(&key)
                        .and_then(|cohort| cohort.subscribers.get_mut(&id));
                    placed.into_iter().for_each(|placed| placed.params.clone_from(&params));
                }
            }
        }
    }
}

impl Engine {
    /// What a request is, without running it.
    pub fn kind(&self, request: &Request, session: &Session) -> Result<Kind, GraphqlError> {
        self.state().schema.kind(request, session)
    }
}
