//! Asynchronous actions: rows of a log, asked when somebody has time, whose answers are read by their id.

use super::{Asking, handler};
use crate::{engine::Engine, live::Event, session};
use foundation::Result;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use graphql::{Call, GraphqlError, Request, Session};
use http::HeaderMap;
use postgres_chassis::{quote_ident, translate};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_postgres::GenericClient;
use tokio_util::sync::CancellationToken;

/// The log, in the first schema of `search_path`.
pub const ACTION_TABLES: &str = include_str!("../actions_1.sql");

/// Handlers asked at the same time.
const MOST: usize = 32;
/// What is being asked when we stop has so long to end.
const LAST_CALLS: Duration = Duration::from_secs(10);

/// Makes the log where it is missing, in the caller's transaction.
///
/// # Errors
/// The login may not make it.
pub async fn prepare(client: &impl GenericClient, schema: &str) -> Result<()> {
    let there = "select exists (select from pg_attribute
        where attrelid = to_regclass(quote_ident($1) || '.hdb_action_log') and attname = 'leased_until')";
    let row = client.query_one(there, &[&schema]).await;
    let row = row.map_err(|error| translate("looking for the log of actions", error))?;
    match row.get(0) {
        true => Ok(()),
        false => webhooks::make_tables(client, schema, ACTION_TABLES).await,
    }
}

/// One that waits.
struct Waiting {
    id: String,
    name: String,
    input: Value,
    headers: Value,
    session: Value,
}

impl Engine {
    fn action_log(&self) -> String {
        format!("{}.hdb_action_log", quote_ident(self.store.schema()))
    }

    /// The id to ask for the result with.
    pub(super) async fn enqueue(
        &self,
        call: &Call,
        input: &Map<String, Value>,
        asking: Asking<'_>,
    ) -> std::result::Result<String, GraphqlError> {
        let written = async {
            let client = self.store.pool().client().await?;
            let sql = format!(
                "insert into {} (action_name, input_payload, request_headers, session_variables, status)
                 values ($1, $2, $3, $4, 'created') returning id::text",
                self.action_log()
            );
            let headers = asking.headers.iter().filter_map(handler::forwarded);
            let headers: Map<String, Value> = headers.map(|(name, value)| (name, json!(value))).collect();
            let (input, headers) = (json!(input), json!(headers));
            let variables = session::variables(asking.session);
            let row = client
                .query_one(&sql, &[&call.name, &input, &headers, &variables])
                .await;
            let row = row.map_err(|error| translate("writing an action down", error))?;
            Ok(row.get(0))
        };
        let id = written.await.map_err(|error| crate::answer::unavailable(&error))?;
        self.actions.send_modify(|changes| *changes += 1);
        Ok(id)
    }

    /// `None`: there is none, or it is somebody else's.
    pub(super) async fn result(
        &self,
        call: &Call,
        id: &str,
        session: &Session,
    ) -> std::result::Result<Option<Value>, GraphqlError> {
        let read = async {
            let client = self.store.pool().client().await?;
            let sql = format!(
                "select json_build_object('id', id, 'created_at', created_at, 'errors', errors, 'output', response_payload)::text
                 from {} where id::text = lower($1) and action_name = $2 and ($3 or session_variables = $4)",
                self.action_log()
            );
            let admin = session.role == "admin";
            let row = client
                .query_opt(&sql, &[&id, &call.name, &admin, &session::variables(session)])
                .await;
            row.map_err(|error| translate("reading an action's result", error))
        };
        let row = read.await.map_err(|error| crate::answer::unavailable(&error))?;
        Ok(row.and_then(|row| serde_json::from_str(row.get(0)).ok()))
    }

    /// Asks the handlers of what waits, until `stop`.
    pub async fn serve_actions(self: Arc<Self>, stop: CancellationToken) {
        let interval = self.settings.actions_interval;
        if interval.is_zero() {
            return;
        }
        let (mut changes, mut running) = (self.actions.subscribe(), JoinSet::new());
        loop {
            let any = self
                .state()
                .metadata
                .actions
                .iter()
                .any(|action| action.definition.is_asynchronous());
            let mut taken = 0;
            if any && running.len() < MOST {
                match self.take_actions(MOST - running.len()).await {
                    Ok(waiting) => {
                        taken = waiting.len();
                        for one in waiting {
                            running.spawn(self.clone().perform(one));
                        }
                    }
                    Err(error) => tracing::warn!(cause = %error.chain(), "asynchronous actions could not be read"),
                }
            }
            if taken > 0 {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                _ = changes.changed() => {}
                () = sleep(interval) => {}
                Some(_) = running.join_next(), if !running.is_empty() => {}
            }
        }
        let ending = async { while running.join_next().await.is_some() {} };
        // What does not end keeps its lease, and is asked again when that has run out.
        let _in_time = tokio::time::timeout(LAST_CALLS, ending).await;
    }

    async fn take_actions(&self, most: usize) -> Result<Vec<Waiting>> {
        let state = self.state();
        let longest = state
            .hooks
            .values()
            .map(|hook| hook.retry.timeout)
            .max()
            .unwrap_or_default();
        let lease = (longest + Duration::from_secs(30)).as_secs_f64();
        let client = self.store.pool().client().await?;
        let log = self.action_log();
        let sql = format!(
            "with waiting as (
                 select id from {log} where status = 'created'
                     or status = 'processing' and coalesce(leased_until, now()) <= now()
                 order by created_at limit $1 for update skip locked)
             update {log} log set status = 'processing', leased_until = now() + make_interval(secs => $2)
             from waiting where log.id = waiting.id
             returning log.id::text, action_name, input_payload, request_headers, session_variables"
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = client.query(&sql, &[&most, &lease]).await;
        let rows = rows.map_err(|error| translate("taking asynchronous actions", error))?;
        let waiting = rows.iter().map(|row| Waiting {
            id: row.get(0),
            name: row.get::<_, Option<String>>(1).unwrap_or_default(),
            input: row.get(2),
            headers: row.get(3),
            session: row.get(4),
        });
        Ok(waiting.collect())
    }

    async fn perform(self: Arc<Self>, one: Waiting) {
        let state = self.state();
        let headers = one.headers.as_object().into_iter().flatten();
        let asked = handler::Asked {
            name: &one.name,
            id: Some(&one.id),
            input: &one.input,
            session: &one.session,
            headers: headers
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            query: "",
        };
        let answered = self.ask_handler(&state, &asked).await;
        let answered = answered.and_then(|(value, _)| {
            state.schema.check_action(&one.name, &value)?;
            Ok(value)
        });
        let (status, value, errors) = match answered {
            Ok(value) => ("completed", Some(value), None),
            Err(error) => ("error", None, Some(error.as_query())),
        };
        let written = async {
            let client = self.store.pool().client().await?;
            let sql = format!(
                "update {} set status = $2, response_payload = $3, errors = $4, response_received_at = now(), leased_until = null
                 where id::text = $1",
                self.action_log()
            );
            let done = client.execute(&sql, &[&one.id, &status, &value, &errors]).await;
            done.map_err(|error| translate("writing an action's result", error))
        };
        if let Err(error) = written.await {
            tracing::warn!(action = one.name, cause = %error.chain(), "an action's result could not be written");
        }
        self.actions.send_modify(|changes| *changes += 1);
    }
}

/// A result is looked for at least so often; calls of this copy are heard of at once.
const LOOKED_FOR: Duration = Duration::from_secs(1);

/// A subscription to a result, between two looks.
struct Following {
    engine: Arc<Engine>,
    request: Request,
    session: Session,
    headers: HeaderMap,
    changes: watch::Receiver<u64>,
    last: Option<Arc<str>>,
    failed: bool,
}

impl Engine {
    /// Whether a subscription is to what webhooks answered.
    pub fn asks_for_result(&self, request: &Request, session: &Session) -> bool {
        let state = self.state();
        let mut actions = state.metadata.actions.iter();
        if !actions.any(|action| action.definition.is_asynchronous()) {
            return false;
        }
        let plan = state.schema.plan(request, session);
        plan.is_ok_and(|plan| !plan.calls.is_empty())
    }

    /// The result, whenever it is another.
    pub fn follow_result(
        self: Arc<Self>,
        request: Request,
        session: Session,
        headers: HeaderMap,
    ) -> BoxStream<'static, Event> {
        let following = Following {
            changes: self.actions.subscribe(),
            engine: self,
            request,
            session,
            headers,
            last: None,
            failed: false,
        };
        stream::unfold(following, |mut following| async move {
            let event = following.next().await?;
            Some((event, following))
        })
        .boxed()
    }
}

impl Following {
    async fn next(&mut self) -> Option<Event> {
        if self.failed {
            return None;
        }
        loop {
            let answer = self
                .engine
                .answer(&self.request, &self.session, &self.headers, false)
                .await;
            let data: Arc<str> = match answer {
                Ok(answer) => answer.data.into(),
                Err(error) => {
                    self.failed = true;
                    return Some(Event::Failed(error));
                }
            };
            if self.last.as_ref() != Some(&data) {
                self.last = Some(data.clone());
                return Some(Event::Data(data));
            }
            tokio::select! {
                _ = self.changes.changed() => {}
                () = sleep(LOOKED_FOR) => {}
            }
        }
    }
}
