//! The paths. A GraphQL answer is 200 whether it holds data or errors, as Hasura's is.

use super::{Endpoint, auth};
use ::graphql::{GraphqlError, Request};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub fn router(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route("/v1/links/graphql", get(asked).post(posted))
        .route("/v1/links/v1/graphql", get(asked).post(posted))
        .route(
            "/v1/links/v1/version",
            get(async || Json(json!({"server_type": "ce", "version": "v2.48.0"}))),
        )
        .route("/v1/links/healthz", get(healthz))
        .with_state(endpoint)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Value>,
}

async fn posted(State(endpoint): State<Arc<Endpoint>>, headers: HeaderMap, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(asked) => respond(&endpoint, &headers, asked, true).await,
        Err(error) => written(
            &GraphqlError::new("invalid-json", "$", error.to_string())
                .response()
                .to_string(),
        ),
    }
}

/// Queries only: a link must not change anything. Variables are JSON text.
async fn asked(State(endpoint): State<Arc<Endpoint>>, Query(mut asked): Query<Asked>, headers: HeaderMap) -> Response {
    if let Some(Value::String(text)) = &asked.variables {
        asked.variables = serde_json::from_str(text).ok();
    }
    respond(&endpoint, &headers, asked, false).await
}

async fn respond(endpoint: &Endpoint, headers: &HeaderMap, asked: Asked, writes: bool) -> Response {
    match answer(endpoint, headers, asked, writes).await {
        Ok(data) => written(&format!("{{\"data\":{data}}}")),
        Err(error) => written(&error.response().to_string()),
    }
}

async fn answer(endpoint: &Endpoint, headers: &HeaderMap, asked: Asked, writes: bool) -> Result<String, GraphqlError> {
    let session = auth::session(headers, &endpoint.verifier, &endpoint.settings)?;
    let Some(query) = asked.query else {
        return Err(GraphqlError::new(
            "parse-failed",
            "$",
            "the key 'query' was not present",
        ));
    };
    let variables = match asked.variables {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(variables)) => variables,
        Some(_) => {
            return Err(GraphqlError::new(
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
    };
    let answer = endpoint.answer(&request, &session, writes).await;
    answer.map_err(|error| match session.role.as_str() {
        "admin" => error,
        // What the database said in full is for administrators.
        _ => GraphqlError {
            internal: None,
            ..error
        },
    })
}

fn written(text: &str) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
        text.to_owned(),
    )
        .into_response()
}

async fn healthz(State(endpoint): State<Arc<Endpoint>>) -> Response {
    match endpoint.pool.ping().await {
        Ok(()) => "OK".into_response(),
        Err(_) => (http::StatusCode::INTERNAL_SERVER_ERROR, "ERROR").into_response(),
    }
}
