//! Actions: root fields answered by webhooks (docs/decisions/0010). What the plan says is asked is asked here, and the rows
//! that belong to the answer are read.

mod handler;
mod later;
mod validation;

pub use handler::{forwarded, hooks};
pub use later::{ACTION_TABLES, prepare};

use crate::{engine::Engine, live::multiplexed, session, state::State};
use graphql::{Answer, Call, GraphqlError, Session, Way};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use std::sync::Arc;
use tokio_postgres::types::{ToSql, Type};

/// Who asks, and what came with it.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    pub session: &'a Session,
    pub headers: &'a HeaderMap,
    /// The document, for the webhook.
    pub query: &'a str,
}

/// What one call gave.
#[derive(Debug, Default)]
pub struct Done {
    pub text: String,
    /// `Set-Cookie`, for the caller.
    pub cookies: Vec<HeaderValue>,
}

impl Engine {
    pub async fn call(&self, state: &State, call: &Call, asking: Asking<'_>) -> Result<Done, GraphqlError> {
        match &call.way {
            Way::Later(input) => {
                let id = self.enqueue(call, input, asking).await?;
                Ok(Done {
                    text: Value::from(id).to_string(),
                    cookies: Vec::new(),
                })
            }
            Way::Result(id) => {
                let found = self.result(call, id, asking.session).await?;
                let text = match found {
                    Some(value) => written(state, &call.answer, &value).await?,
                    None => "null".to_owned(),
                };
                let cookies = Vec::new();
                Ok(Done { text, cookies })
            }
            Way::Now(input) => {
                let variables = session::variables(asking.session);
                let input = Value::Object(input.clone());
                let asked = handler::Asked {
                    name: &call.name,
                    id: None,
                    input: &input,
                    session: &variables,
                    headers: asking.headers.iter().filter_map(handler::forwarded).collect(),
                    query: asking.query,
                };
                let (value, cookies) = self.ask_handler(state, &asked).await?;
                state.schema.check_action(&call.name, &value)?;
                let text = written(state, &call.answer, &value).await?;
                Ok(Done { text, cookies })
            }
        }
    }
}

/// The answer in the selected shape, with the rows that belong to it.
async fn written(state: &State, answer: &Answer, value: &Value) -> Result<String, GraphqlError> {
    let keys = answer.keys(value);
    let mut joined = Vec::with_capacity(keys.len());
    for (join, sets) in answer.joins.iter().zip(keys) {
        joined.push(match sets.is_empty() {
            true => Vec::new(),
            false => rows(state, &join.statement, &sets).await?,
        });
    }
    Ok(answer.text(value, joined))
}

/// One statement for all objects: each is a row of keys.
async fn rows(
    state: &State,
    statement: &graphql::Statement,
    sets: &[Vec<Option<String>>],
) -> Result<Vec<String>, GraphqlError> {
    let pool = crate::answer::pool(state, &statement.source)?;
    let client = pool
        .client()
        .await
        .map_err(|error| crate::answer::unavailable(&error))?;
    let given = statement.params.iter().enumerate();
    let mut columns: Vec<Vec<Option<String>>> = given
        .map(|(place, constant)| {
            let of = |set: &Vec<Option<String>>| set.get(place).unwrap_or(constant).clone();
            sets.iter().map(of).collect()
        })
        .collect();
    columns.push((0..sets.len()).map(|place| Some(place.to_string())).collect());
    let params: Vec<(&(dyn ToSql + Sync), Type)> = columns
        .iter()
        .map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY))
        .collect();
    let sql = multiplexed(&statement.sql, statement.params.len());
    let found = client.query_typed(&sql, &params).await;
    let found = found.map_err(|error| crate::answer::told(&error, &statement.path, false))?;
    let mut cells = vec!["null".to_owned(); sets.len()];
    for row in found {
        let place: usize = row.get::<_, &str>(0).parse().unwrap_or_default();
        if let (Some(cell), Some(text)) = (cells.get_mut(place), row.get::<_, Option<String>>(1)) {
            *cell = text;
        }
    }
    Ok(cells)
}

/// Handlers by their action's name; what cannot be called is inconsistent and not here.
pub type Hooks = Arc<std::collections::HashMap<String, webhooks::Hook>>;
