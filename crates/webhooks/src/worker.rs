//! Empties the queues: takes what is due, calls, writes down. A queue is attended by one task, woken by NOTIFY or in its
//! interval; all queues share the number of calls at the same time.

use crate::{
    Settings,
    call::{Call, Outcome},
    hook::Hook,
    queue::{Kind, Next, Queue, Taken},
    schedule::replenish,
};
use foundation::Result;
use metadata::CronTrigger;
use postgres_chassis::{Signal, listen};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};
use telemetry::{
    client::Client,
    metrics::{Counter, EncodeLabelSet, Family, Histogram, LabelSetEncoder, Metrics},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Told by the triggers of tables.
const CHANNEL: &str = "portico_events";
const RENEWED_EVERY: Duration = Duration::from_secs(15);
const PLANNED_EVERY: Duration = Duration::from_secs(60);
/// What is being called when we stop has so long to end.
const LAST_CALLS: Duration = Duration::from_secs(10);

/// A queue and who is called for what.
pub struct Attended {
    /// The same name is the same queue, before and after a change of metadata.
    pub name: String,
    pub queue: Queue,
    pub schema: &'static str,
    /// By the trigger's name. What is not here waits.
    pub hooks: BTreeMap<String, Hook>,
    pub crons: Vec<CronTrigger>,
}

#[derive(Default)]
pub struct Plan(pub Vec<Arc<Attended>>);

#[derive(PartialEq)]
enum Took {
    /// What was due.
    All,
    /// As much as fits; there may be more.
    ABatch,
    /// Nothing: too many calls run.
    NoRoom,
}

pub struct Deliveries {
    settings: Settings,
    client: Client,
    room: Arc<Semaphore>,
    calls: Family<Labels, Counter>,
    seconds: Histogram,
    waited: Histogram,
    woken: watch::Sender<()>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    queue: &'static str,
    trigger: String,
    outcome: &'static str,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::result::Result<(), std::fmt::Error> {
        [
            ("queue", self.queue),
            ("trigger", &*self.trigger),
            ("outcome", self.outcome),
        ]
        .encode(encoder)
    }
}

impl Deliveries {
    pub fn new(settings: Settings, client: Client, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Deliveries {
            room: Arc::new(Semaphore::new(settings.concurrent.max(1))),
            settings,
            client,
            calls: metrics.register(
                "portico_webhook_calls",
                "Calls of webhooks, by queue, trigger and outcome",
                Family::default(),
            ),
            seconds: metrics.duration("portico_webhook_call_seconds", "How long calls of webhooks took"),
            woken: watch::Sender::new(()),
            waited: metrics.duration(
                "portico_webhook_queue_seconds",
                "How long events were due before their call",
            ),
        })
    }

    /// Something new may be due at once.
    pub fn wake(&self) {
        self.woken.send_replace(());
    }

    /// Attends the queues of the newest plan until `stop`.
    pub async fn run(self: Arc<Self>, mut plans: watch::Receiver<Arc<Plan>>, stop: CancellationToken) {
        if self.settings.interval.is_zero() {
            return;
        }
        let mut attending: HashMap<String, (CancellationToken, watch::Sender<Arc<Attended>>)> = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            let plan = plans.borrow_and_update().clone();
            attending.retain(|name, (done, _)| {
                let kept = plan.0.iter().any(|attended| attended.name == *name);
                if !kept {
                    done.cancel();
                }
                kept
            });
            for attended in &plan.0 {
                match attending.get(&attended.name) {
                    Some((_, changed)) => drop(changed.send_replace(attended.clone())),
                    None => {
                        let (done, changed) = (stop.child_token(), watch::Sender::new(attended.clone()));
                        tasks.spawn(self.clone().attend(changed.subscribe(), done.clone()));
                        attending.insert(attended.name.clone(), (done, changed));
                    }
                }
            }
            tokio::select! {
                changed = plans.changed() => if changed.is_err() { break },
                () = stop.cancelled() => break,
            }
        }
        attending.values().for_each(|(done, _)| done.cancel());
        while tasks.join_next().await.is_some() {}
    }

    async fn attend(self: Arc<Self>, mut newest: watch::Receiver<Arc<Attended>>, stop: CancellationToken) {
        let first = newest.borrow_and_update().clone();
        let (signals, mut heard) = mpsc::channel(16);
        let mut listening = std::pin::pin!(async {
            match first.queue.kind {
                Kind::Table => listen(first.queue.pool.url().clone(), vec![CHANNEL.to_owned()], signals).await,
                Kind::Cron | Kind::OneOff => std::future::pending().await,
            }
        });
        let mut attended = first.clone();
        let mut look = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        let (mut renew, mut plan) = (ticks(RENEWED_EVERY), ticks(PLANNED_EVERY));
        let mut woken = self.woken.subscribe();
        let mut running: JoinSet<String> = JoinSet::new();
        let mut ids: HashSet<String> = HashSet::new();
        // There was more than could be taken.
        let mut hungry = false;
        let mut due;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = &mut listening => due = true,
                signal = heard.recv() => due = matches!(signal, Some(Signal::Connected | Signal::Notification { .. })),
                () = &mut look => due = true,
                woken = woken.changed() => due = woken.is_ok(),
                changed = newest.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    attended = newest.borrow_and_update().clone();
                    due = true;
                }
                Some(done) = running.join_next() => {
                    if let Ok(id) = done {
                        ids.remove(&id);
                    }
                    // A failed one has another time now.
                    let clock = attended.queue.kind != Kind::Table;
                    due = clock || hungry && running.len() * 2 <= self.settings.concurrent;
                }
                _ = renew.tick() => {
                    let held: Vec<String> = ids.iter().cloned().collect();
                    if !held.is_empty() {
                        told(attended.queue.renew(&held).await);
                    }
                    due = false;
                }
                _ = plan.tick() => {
                    told(attended.replenish().await);
                    due = false;
                }
            }
            if !due {
                continue;
            }
            while due {
                let took = self.take(&attended, &mut running, &mut ids).await;
                hungry = took != Took::All;
                due = took == Took::ABatch;
            }
            let pause = attended.queue.pause(self.settings.interval).await;
            look.as_mut().reset(tokio::time::Instant::now() + pause);
        }
        self.finish(&attended, running, ids).await;
    }

    /// Begins calls for what is due.
    async fn take(
        self: &Arc<Self>,
        attended: &Arc<Attended>,
        running: &mut JoinSet<String>,
        ids: &mut HashSet<String>,
    ) -> Took {
        let triggers: Vec<String> = attended.hooks.keys().cloned().collect();
        if triggers.is_empty() && attended.queue.kind != Kind::OneOff {
            return Took::All;
        }
        let permits = std::iter::from_fn(|| self.room.clone().try_acquire_owned().ok());
        let permits: Vec<OwnedSemaphorePermit> = permits.take(self.settings.batch.max(1)).collect();
        if permits.is_empty() {
            return Took::NoRoom;
        }
        let taken = match attended.queue.take(&triggers, permits.len()).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(queue = attended.name, cause = %error.chain(), "events could not be taken");
                return Took::All;
            }
        };
        let took = match taken.len() == permits.len() {
            true => Took::ABatch,
            false => Took::All,
        };
        for (event, permit) in taken.into_iter().zip(permits) {
            ids.insert(event.id.clone());
            running.spawn(self.clone().deliver(attended.clone(), event, permit));
        }
        took
    }

    async fn deliver(self: Arc<Self>, attended: Arc<Attended>, event: Taken, permit: OwnedSemaphorePermit) -> String {
        let (outcome, next) = self.call(&attended, &event).await;
        drop(permit);
        let word = match next {
            Next::Done => "delivered",
            Next::Again(_) => "retry",
            Next::GivenUp => "error",
            Next::Dead => "dead",
        };
        if !matches!(next, Next::Done) {
            let status = outcome.as_ref().map_or(0, |outcome| outcome.status);
            tracing::warn!(
                event = event.id,
                trigger = event.trigger,
                status,
                outcome = word,
                "a webhook was not called well"
            );
        }
        let labels = Labels {
            queue: attended.queue.kind.word(),
            trigger: event.trigger.clone(),
            outcome: word,
        };
        self.calls.get_or_create(&labels).inc();
        // Without it the event is called again when its lease has run out: at least once.
        told(attended.queue.record(&event, outcome.as_ref(), &next).await);
        event.id
    }

    async fn call(&self, attended: &Attended, event: &Taken) -> (Option<Outcome>, Next) {
        let hook = match &event.own {
            None => attended
                .hooks
                .get(&event.trigger)
                .cloned()
                .ok_or_else(|| "its trigger is gone".to_owned()),
            Some((webhook, headers, retry)) => {
                Hook::of_row(webhook, headers.clone(), retry.clone(), &self.settings.environment)
            }
        };
        let hook = match hook {
            Ok(hook) => hook,
            Err(message) => return (Some(Outcome::failed("null".to_owned(), message)), Next::GivenUp),
        };
        if event.tries == 0 && hook.retry.tolerance.is_some_and(|most| event.late > most) {
            return (None, Next::Dead);
        }
        self.waited.observe(event.late.as_secs_f64());
        let body = attended.body(event, &hook);
        let call = Call {
            hook: &hook,
            id: &event.id,
            body: &body,
            headers: &[],
            session: event.session.as_ref(),
            trace: event.trace.clone(),
        };
        let began = Instant::now();
        let outcome = call.make(&self.client, &self.settings.secrets).await;
        self.seconds.observe(began.elapsed().as_secs_f64());
        let tried = u32::try_from(event.tries).unwrap_or(0);
        let next = match (outcome.delivered, outcome.retry_after) {
            (true, _) => Next::Done,
            (false, Some(pause)) => Next::Again(pause),
            (false, None) if tried < hook.retry.most => Next::Again(hook.retry.interval),
            (false, None) => Next::GivenUp,
        };
        (Some(outcome), next)
    }

    /// Calls that run may end; what did not is given back.
    async fn finish(&self, attended: &Attended, mut running: JoinSet<String>, mut ids: HashSet<String>) {
        let ending = async {
            while let Some(done) = running.join_next().await {
                if let Ok(id) = done {
                    ids.remove(&id);
                }
            }
        };
        let _in_time = tokio::time::timeout(LAST_CALLS, ending).await;
        running.shutdown().await;
        let left: Vec<String> = ids.into_iter().collect();
        if !left.is_empty() {
            told(attended.queue.release(&left).await);
        }
    }
}

impl Attended {
    async fn replenish(&self) -> Result<()> {
        match self.crons.is_empty() {
            true => Ok(()),
            false => replenish(&**self.queue.pool.client().await?, self.schema, &self.crons).await,
        }
    }

    /// What the event tells, with what its trigger says.
    fn body(&self, event: &Taken, hook: &Hook) -> String {
        let told = event.told.clone();
        let told = match self.queue.kind {
            Kind::Table => {
                let info = json!({"max_retries": hook.retry.most, "current_retry": event.tries});
                told.with("delivery_info", &info)
            }
            Kind::Cron => {
                let trigger = self.crons.iter().find(|trigger| trigger.name == event.trigger);
                told.with("payload", &trigger.and_then(|trigger| trigger.payload.as_ref()))
                    .with("comment", &trigger.and_then(|trigger| trigger.comment.as_ref()))
            }
            Kind::OneOff => told,
        };
        told.text()
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn told(done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(cause = %error.chain(), "the queue of webhooks could not be written");
    }
}
