//! GraphQL over HTTP: `/v1/graphql`, where the answer is 200 whether it holds data or errors, and its first version
//! `/v1alpha1/graphql`, where errors have their status.

use super::events;
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
use graphql::Request;
use http::{HeaderMap, HeaderValue, StatusCode, header};
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
    match Form::of(&headers) {
        Form::Events => events::posted(engine, headers, &body).await,
        form => told(of_body(&engine, &headers, &body, false).await, form),
    }
}

pub async fn posted_first_version(State(engine): State<Arc<Engine>>, headers: HeaderMap, body: Bytes) -> Response {
    match of_body(&engine, &headers, &body, false).await {
        Ok(answer) => told(Ok(answer), Form::Json),
        Err(refusal) => written(refusal.status, refusal.error.response().to_string()),
    }
}

pub async fn posted_relay(State(engine): State<Arc<Engine>>, headers: HeaderMap, body: Bytes) -> Response {
    told(of_body(&engine, &headers, &body, true).await, Form::of(&headers))
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
    let form = Form::of(&headers);
    if form == Form::Events {
        return events::asked(engine, headers, asked).await;
    }
    let answer = async {
        let caller = engine.auth.session(&headers, None).await?;
        of_one(&engine, &headers, &caller, asked, READING).await
    };
    told(answer.await, form)
}

/// How the caller wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As Hasura: 200 whatever it says.
    Json,
    /// `application/graphql-response+json`: the status says whether the request was one.
    Response,
    /// `text/event-stream`.
    Events,
}

impl Form {
    /// The first of ours that is accepted.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut kinds = accepted.flat_map(|value| value.split(','));
        let form = kinds.find_map(|kind| match kind.split(';').next().unwrap_or_default().trim() {
            "application/graphql-response+json" => Some(Form::Response),
            "text/event-stream" => Some(Form::Events),
            "application/json" | "*/*" | "application/*" => Some(Form::Json),
            _ => None,
        });
        form.unwrap_or(Form::Json)
    }
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
    let request = request_of(asked, way.relay)?;
    engine.admit(&request, &caller.session, headers)?;
    let answer = engine.answer(&request, &caller.session, headers, way.writes).await;
    let answer = answer?;
    Ok(Answered {
        data: format!("{{\"data\":{}}}", answer.data),
        cookies: answer.cookies,
    })
}

/// # Errors
/// It is no request.
pub fn request_of(asked: Asked, relay: bool) -> Result<Request, Refusal> {
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
    Ok(Request {
        query,
        operation_name: asked.operation_name,
        variables,
        relay,
    })
}

fn told(answer: Result<Answered, Refusal>, form: Form) -> Response {
    let (status, answer) = match answer {
        Ok(answer) => (StatusCode::OK, answer),
        Err(refusal) => (
            match form {
                Form::Response => refusal.status,
                _ => StatusCode::OK,
            },
            Answered {
                data: refusal.error.response().to_string(),
                cookies: Vec::new(),
            },
        ),
    };
    let mut response = answer.into_response();
    *response.status_mut() = status;
    if form == Form::Response {
        let kind = HeaderValue::from_static("application/graphql-response+json; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn written(status: StatusCode, text: String) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, kind, text).into_response()
}
