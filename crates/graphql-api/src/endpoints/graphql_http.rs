//! GraphQL over HTTP: `/v1/graphql`, where the answer is 200 whether it holds data or errors, and its first version
//! `/v1alpha1/graphql`, where errors have their status.

use crate::{
    answer::Answered,
    auth::Authenticated,
    engine::Engine,
    refusal::Refusal,
    websocket::{self, Dialect},
};
use axum::{
    body::Bytes,
    extract::{
        Query, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse, Response},
};
use graphql::{GraphqlError, Request};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Value>,
    extensions: Option<Value>,
}

pub async fn posted(State(engine): State<Arc<Engine>>, headers: HeaderMap, body: Bytes) -> Response {
    told(of_body(&engine, &headers, &body, false).await)
}

pub async fn posted_first_version(State(engine): State<Arc<Engine>>, headers: HeaderMap, body: Bytes) -> Response {
    match of_body(&engine, &headers, &body, false).await {
        Ok(answer) => told(Ok(answer)),
        Err(refusal) => written(refusal.status, refusal.error.response().to_string()),
    }
}

pub async fn posted_relay(State(engine): State<Arc<Engine>>, headers: HeaderMap, body: Bytes) -> Response {
    told(of_body(&engine, &headers, &body, true).await)
}

/// A WebSocket's beginning, or a query in the URL.
pub async fn got(
    State(engine): State<Arc<Engine>>,
    asked: Query<Asked>,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match socket {
        Ok(socket) => websocket::upgrade(engine, headers, socket, Dialect::default()),
        Err(_) => self::asked(State(engine), asked, headers).await,
    }
}

/// Relay's subscriptions, and nothing by URL.
pub async fn got_relay(State(engine): State<Arc<Engine>>, headers: HeaderMap, socket: WebSocketUpgrade) -> Response {
    websocket::upgrade(engine, headers, socket, Dialect::Relay)
}

pub async fn got_first_version(
    State(engine): State<Arc<Engine>>,
    headers: HeaderMap,
    socket: WebSocketUpgrade,
) -> Response {
    websocket::upgrade(engine, headers, socket, Dialect::FirstVersion)
}

/// Queries only: a link must not change anything. Variables are JSON text.
async fn asked(State(engine): State<Arc<Engine>>, Query(mut asked): Query<Asked>, headers: HeaderMap) -> Response {
    if let Some(Value::String(text)) = &asked.variables {
        asked.variables = serde_json::from_str(text).ok();
    }
    let answer = async {
        let caller = engine.auth.session(&headers, None).await?;
        of_one(&engine, &headers, &caller, asked, READING).await
    };
    told(answer.await)
}

/// One request, or a list of them, answered in order.
async fn of_body(engine: &Engine, headers: &HeaderMap, body: &[u8], relay: bool) -> Result<Answered, Refusal> {
    let wrong = |error: serde_json::Error| Refusal::new("invalid-json", "$", error.to_string());
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        let asked = serde_json::from_slice(body).map_err(wrong)?;
        let caller = engine.auth.session(headers, None).await?;
        return of_one(engine, headers, &caller, asked, Use { writes: true, relay }).await;
    }
    let list: Vec<Asked> = serde_json::from_slice(body).map_err(wrong)?;
    let caller = engine.auth.session(headers, None).await?;
    engine.admit_batch(list.len(), &caller.session.role)?;
    let (mut answers, mut cookies) = (Vec::with_capacity(list.len()), Vec::new());
    for asked in list {
        let answer = of_one(engine, headers, &caller, asked, Use { writes: true, relay }).await;
        answers.push(match answer {
            Ok(answer) => {
                cookies.extend(answer.cookies);
                answer.data
            }
            Err(refusal) => refusal.error.response().to_string(),
        });
    }
    let data = format!("[{}]", answers.join(","));
    Ok(Answered { data, cookies })
}

/// How a request may be answered.
#[derive(Clone, Copy)]
struct Use {
    /// May change something.
    writes: bool,
    /// Against Relay's schema.
    relay: bool,
}

const READING: Use = Use {
    writes: false,
    relay: false,
};

async fn of_one(
    engine: &Engine,
    headers: &HeaderMap,
    caller: &Authenticated,
    asked: Asked,
    way: Use,
) -> Result<Answered, Refusal> {
    if asked
        .extensions
        .as_ref()
        .is_some_and(|extensions| extensions.get("persistedQuery").is_some())
    {
        let message = "Automatic Persisted Queries is not enabled";
        return Err(Refusal::new("not-supported", "$", message));
    }
    let Some(query) = asked.query else {
        return Err(Refusal::new("parse-failed", "$", "the key 'query' was not present"));
    };
    let variables = match asked.variables {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(variables)) => variables,
        Some(_) => {
            return Err(Refusal::new(
                "parse-failed",
                "$.variables",
                "variables must be an object",
            ));
        }
    };
    let request = Request {
        query,
        operation_name: asked.operation_name,
        variables,
        relay: way.relay,
    };
    engine.admit(&request, &caller.session, headers)?;
    let answer = engine.answer(&request, &caller.session, headers, way.writes).await;
    let answer = answer.map_err(|error| match caller.session.role.as_str() {
        "admin" => error,
        // What the database said in full is for administrators.
        _ => GraphqlError {
            internal: None,
            ..error
        },
    })?;
    Ok(Answered {
        data: format!("{{\"data\":{}}}", answer.data),
        cookies: answer.cookies,
    })
}

/// 200, whether it holds data or errors.
fn told(answer: Result<Answered, Refusal>) -> Response {
    let answer = answer.unwrap_or_else(|refusal| Answered {
        data: refusal.error.response().to_string(),
        cookies: Vec::new(),
    });
    answer.into_response()
}

fn written(status: StatusCode, text: String) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, kind, text).into_response()
}
