//! A body on its way to the client, collected beside it until its end or until it is too long.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

pub struct Keeping<F> {
    body: Body,
    most: usize,
    /// With what to do when it has come whole; `None` once it cannot.
    kept: Option<(BytesMut, F)>,
}

impl<F: FnOnce(Bytes)> Keeping<F> {
    pub fn new(body: Body, most: usize, finish: F) -> Self {
        let mut keeping = Self {
            body,
            most,
            kept: Some((BytesMut::new(), finish)),
        };
        if keeping.body.is_end_stream() {
            keeping.finish();
        }
        keeping
    }

    fn finish(&mut self) {
        if let Some((bytes, finish)) = self.kept.take() {
            finish(bytes.freeze());
        }
    }
}

impl<F: FnOnce(Bytes) + Unpin> http_body::Body for Keeping<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let most = self.most;
                let whole = match (frame.data_ref(), &mut self.kept) {
                    (Some(data), Some((bytes, _))) if bytes.len() + data.len() <= most => {
                        bytes.extend_from_slice(data);
                        true
                    }
                    // Too long, or with trailers, which a kept answer would lack.
                    _ => false,
                };
                if !whole {
                    self.kept = None;
                } else if self.body.is_end_stream() {
                    self.finish();
                }
            }
            Some(Err(_)) => self.kept = None,
            None => self.finish(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
