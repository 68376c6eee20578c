//! `/v1/query`, `/v2/query`, `/v1/metadata`: commands as JSON.

use crate::{commands, engine::Engine, refusal::Refusal};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use serde_json::Value;
use std::sync::Arc;

pub async fn posted(State(engine): State<Arc<Engine>>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&engine, &headers, &body).await {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => refusal.into_query_response(),
    }
}

async fn answer(engine: &Engine, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let caller = engine.auth.session(headers, None).await?;
    let body: Value =
        serde_json::from_slice(body).map_err(|error| Refusal::new("invalid-json", "$", error.to_string()))?;
    commands::run(engine, &caller.session, &body).await
}
