//! Subscribers of one statement, and one round of asking for all of them.

use super::{Event, multiplex::multiplexed};
use crate::answer::{Answers, spliced, told};
use graphql::{GraphqlError, Plan, Request, Session};
use postgres_chassis::Pool;
use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::mpsc;
use tokio_postgres::types::{ToSql, Type};

/// Subscribers in one statement at most.
const BATCH: usize = 100;

/// The same for all subscribers of a cohort.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub source: String,
    pub sql: String,
    /// How the answer is put together.
    roots: String,
}

impl Key {
    pub fn of(plan: &Plan) -> Option<Key> {
        let statement = plan.statements.first()?;
        Some(Key {
            source: statement.source.clone(),
            sql: statement.sql.clone(),
            roots: format!("{:?}", plan.roots),
        })
    }
}

pub struct Subscriber {
    pub request: Request,
    pub session: Session,
    pub params: Vec<Option<String>>,
    pub events: mpsc::Sender<Event>,
    pub missed: Arc<AtomicBool>,
    /// What was sent last.
    pub sent: Option<u64>,
}

pub struct Cohort {
    pub plan: Arc<Plan>,
    pub subscribers: HashMap<u64, Subscriber>,
    /// Told by triggers; empty: asked again every second.
    pub watched: BTreeSet<String>,
    pub running: bool,
    /// Something changed since the last round began.
    pub dirty: bool,
    /// The log's position of the last round, where it is asked again every second.
    pub position: Option<String>,
}

/// One subscriber's part of a round.
pub struct Part {
    pub id: u64,
    pub params: Vec<Option<String>>,
}

/// What a round found for one subscriber.
pub struct Found {
    pub id: u64,
    pub text: Arc<str>,
    /// A stream's next position; `None` where it has no new rows.
    pub cursor: Option<Vec<Option<String>>>,
}

impl Cohort {
    pub fn new(plan: Arc<Plan>) -> Self {
        Cohort {
            plan,
            subscribers: HashMap::new(),
            watched: BTreeSet::new(),
            running: false,
            dirty: true,
            position: None,
        }
    }

    /// Who is asked for in a round: who has room for an answer.
    pub fn parts(&mut self) -> Vec<Part> {
        let mut parts = Vec::with_capacity(self.subscribers.len());
        for (id, subscriber) in &self.subscribers {
            if self.plan.stream.is_some() && subscriber.events.capacity() == 0 {
                // The reader says when it has room again; its stream stands still until then.
                subscriber.missed.store(true, Ordering::Relaxed);
                continue;
            }
            parts.push(Part {
                id: *id,
                params: subscriber.params.clone(),
            });
        }
        parts
    }

    /// Hands answers out; says whether a stream has more to ask for.
    pub fn hand_out(&mut self, found: Vec<Found>) -> bool {
        let mut more = false;
        for one in found {
            let Some(subscriber) = self.subscribers.get_mut(&one.id) else {
                continue;
            };
            if let Some(places) = &self.plan.stream {
                let Some(cursor) = one.cursor else { continue };
                for (place, value) in places.iter().zip(cursor) {
                    subscriber.params[*place] = value;
                }
                more = true;
                // There was room when the round began, and only we fill it.
                let _ = subscriber.events.try_send(Event::Data(one.text));
                continue;
            }
            let mut hasher = DefaultHasher::new();
            one.text.hash(&mut hasher);
            let hash = Some(hasher.finish());
            if subscriber.sent == hash {
                continue;
            }
            match subscriber.events.try_send(Event::Data(one.text)) {
                Ok(()) => subscriber.sent = hash,
                Err(_) => subscriber.missed.store(true, Ordering::Relaxed),
            }
        }
        more
    }
}

/// Asks for all parts, a batch a statement.
pub async fn ask(pool: Pool, plan: Arc<Plan>, parts: Vec<Part>) -> Result<Vec<Found>, GraphqlError> {
    let Some(statement) = plan.statements.first() else {
        let text: Arc<str> = spliced(&plan, &Answers::of(&|_, _| "null".to_owned())).into();
        let each = parts.into_iter().map(|part| Found {
            id: part.id,
            text: text.clone(),
            cursor: None,
        });
        return Ok(each.collect());
    };
    let client = pool
        .client()
        .await
        .map_err(|error| crate::answer::unavailable(&error))?;
    let sql = multiplexed(&statement.sql, statement.params.len());
    let mut found = Vec::with_capacity(parts.len());
    for batch in parts.chunks(BATCH) {
        let mut columns: Vec<Vec<Option<String>>> = (0..statement.params.len())
            .map(|place| batch.iter().map(|part| part.params[place].clone()).collect())
            .collect();
        columns.push(batch.iter().map(|part| Some(part.id.to_string())).collect());
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = columns
            .iter()
            .map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY))
            .collect();
        let rows = client.query_typed(&sql, &typed).await;
        for row in rows.map_err(|error| told(&error, &statement.path, false))? {
            let cell = |_: usize, column: usize| row.get::<_, Option<&str>>(column + 1).unwrap_or("null").to_owned();
            let cursor = match &plan.stream {
                Some(_) => row.get::<_, Option<&str>>(2).and_then(positions),
                None => None,
            };
            found.push(Found {
                id: row.get::<_, &str>(0).parse().unwrap_or_default(),
                text: spliced(&plan, &Answers::of(&cell)).into(),
                cursor,
            });
        }
    }
    Ok(found)
}

/// A JSON list of texts.
fn positions(text: &str) -> Option<Vec<Option<String>>> {
    serde_json::from_str(text).ok()
}
