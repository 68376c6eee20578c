//! inFlightReq: so many requests of one source at once; a request ends when its answer has been sent whole.

use super::{Flow, Note, limit::Source};
use crate::{answer, exchange::Exchange};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use foundation::{Error, Kind};
use http::Request;
use http_body::{Body as _, Frame, SizeHint};
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

pub struct InFlight {
    pub amount: u64,
    pub source: Source,
    pub counts: Arc<Counts>,
}

#[derive(Default)]
pub struct Counts(Mutex<HashMap<String, u64>>);

/// One place taken; given back when dropped.
pub struct Held {
    counts: Arc<Counts>,
    key: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

impl InFlight {
    pub fn request(&self, place: usize, request: &Request<Body>, exchange: &mut Exchange) -> Flow {
        let (key, _) = self.source.key(request.headers(), exchange);
        let taken = {
            let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(key.clone()).or_default();
            let free = *count < self.amount;
            *count += u64::from(free);
            free
        };
        if taken {
            let counts = self.counts.clone();
            exchange.notes.push((place, Note::InFlight(Held { counts, key })));
            return Flow::On;
        }
        let error = Error::new(
            Kind::TooMany,
            "TOO_MANY_IN_FLIGHT",
            "Too many of your requests are being served already",
        );
        Flow::Answer(answer::problem(&error, exchange))
    }
}

pub fn response(place: usize, response: Response, exchange: &mut Exchange) -> Response {
    match exchange.take_note(place) {
        Some(Note::InFlight(held)) => response.map(|body| {
            if body.is_end_stream() {
                body
            } else {
                Body::new(Holding { body, _held: held })
            }
        }),
        _ => response,
    }
}

/// A body that holds the place until it has been sent.
struct Holding {
    body: Body,
    _held: Held,
}

impl http_body::Body for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
