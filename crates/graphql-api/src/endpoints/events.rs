//! GraphQL over server-sent events, in the distinct connections mode of
//! <https://github.com/enisdenjo/graphql-sse>: one operation per request, its answers as `next`, then `complete`.

use super::graphql_http::{Asked, request_of};
use crate::{
    engine::Engine,
    refusal::Refusal,
    websocket::{Frame, operation},
};
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::StreamExt;
use graphql::{Kind, Request};
use http::HeaderMap;
use std::{convert::Infallible, sync::Arc, time::Duration};
use time::OffsetDateTime;

/// Comments in between keep proxies from closing what is quiet.
const KEEP_ALIVE: Duration = Duration::from_secs(12);

pub async fn posted(engine: Arc<Engine>, headers: HeaderMap, body: &[u8]) -> Response {
    let asked = serde_json::from_slice(body).map_err(|error| Refusal::new("invalid-json", "$", error.to_string()));
    match asked.and_then(|asked| request_of(asked, false)) {
        Ok(request) => stream(engine, headers, request, true).await,
        Err(refusal) => refused(&refusal),
    }
}

/// By URL, as browsers' `EventSource` asks: nothing is changed.
pub async fn asked(engine: Arc<Engine>, headers: HeaderMap, asked: Asked) -> Response {
    match request_of(asked, false) {
        Ok(request) => stream(engine, headers, request, false).await,
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    (refusal.status, axum::Json(refusal.error.response())).into_response()
}

async fn stream(engine: Arc<Engine>, headers: HeaderMap, request: Request, writes: bool) -> Response {
    let caller = match engine.auth.session(&headers, None).await {
        Ok(caller) => caller,
        Err(refusal) => return refused(&refusal),
    };
    if !writes && engine.kind(&request, &caller.session) == Ok(Kind::Mutation) {
        let message = "mutations must be sent with POST";
        return refused(&Refusal::new("validation-failed", "$", message));
    }
    let left = caller.expires_at.map(|at| at - OffsetDateTime::now_utc());
    let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
    let closing = engine.closing.clone();
    let ends = async move {
        let expired = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = closing.cancelled() => {}
            () = expired => {}
        }
    };
    let frames = operation(engine, caller, headers, String::new(), Ok(request));
    let events = frames.filter_map(|frame| std::future::ready(event(frame)));
    let events = events.map(Ok::<_, Infallible>).take_until(Box::pin(ends));
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

fn event(frame: Frame) -> Option<Event> {
    match frame {
        Frame::Next(_, text) => Some(Event::default().event("next").data(text)),
        Frame::Failed(_, error) => Some(Event::default().event("next").data(error.response().to_string())),
        // An event without data is none for a browser.
        Frame::Complete(_) => Some(Event::default().event("complete").data(" ")),
        _ => None,
    }
}
