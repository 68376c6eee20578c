//! The body of an answer, read from the connection as the client takes it. What is left of the request is sent on beside it.

use super::{Connection, chunked::Chunked, head::Framing};
use crate::service::pool::Lease;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The body; one that is there whole already lets the connection go at once.
pub fn body(mut connection: Connection, framing: Framing, keeps: bool, lease: Lease) -> Body {
    if let Framing::Length(length) = framing
        && let Ok(length) = usize::try_from(length)
        && connection.incoming.len() >= length
        && connection.outgoing.is_done()
    {
        let whole = connection.incoming.split_to(length).freeze();
        give_back(connection, keeps, lease);
        return Body::from(whole);
    }
    let left = match framing {
        Framing::Length(left) => Left::Length(left),
        Framing::Chunked => Left::Chunked(Chunked::default()),
        Framing::Close => Left::Close,
    };
    Body::new(Answer {
        lent: Some((connection, lease)),
        left,
        keeps,
        broken: None,
    })
}

/// Whoever sent more than an answer, or got less than a request, is not asked again.
fn give_back(connection: Connection, keeps: bool, lease: Lease) {
    if keeps && connection.incoming.is_empty() && connection.outgoing.is_done() {
        lease.end(connection);
    }
}

struct Answer {
    lent: Option<(Connection, Lease)>,
    left: Left,
    keeps: bool,
    /// Told in a moment: what came before it is to be sent first.
    broken: Option<io::Error>,
}

enum Left {
    Length(u64),
    Chunked(Chunked),
    Close,
}

impl Left {
    /// The next frame that is there; `Some(None)` when there will be none.
    fn next(&mut self, connection: &mut Connection) -> io::Result<Option<Option<Frame<Bytes>>>> {
        let incoming = &mut connection.incoming;
        Ok(match self {
            Self::Length(0) => Some(None),
            Self::Length(_) | Self::Close if incoming.is_empty() => None,
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(incoming.len());
                *left -= taken as u64;
                Some(Some(Frame::data(incoming.split_to(taken).freeze())))
            }
            Self::Close => Some(Some(Frame::data(incoming.split().freeze()))),
            Self::Chunked(state) => match state.decode(incoming)? {
                None if *state == Chunked::Over => Some(None),
                frame => frame.map(Some),
            },
        })
    }

    fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::Over))
    }
}

impl Answer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some((connection, _)) = &mut self.lent else {
            return Poll::Ready(None);
        };
        // That the rest of the request cannot be sent does not spoil an answer that comes.
        let _ = connection.outgoing.poll_send(cx, &mut connection.wire);
        loop {
            if let Some(found) = self.left.next(connection)? {
                return Poll::Ready(found.map(Ok));
            }
            if ready!(connection.poll_read(cx))? == 0 {
                return Poll::Ready(match self.left {
                    Left::Close => None,
                    _ => Some(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the server closed in the middle of its answer",
                    ))),
                });
            }
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(error) = self.broken.take() {
            self.lent = None;
            return Poll::Ready(Some(Err(error)));
        }
        let frame = match ready!(self.poll(cx)) {
            Some(Err(error)) => {
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            frame => frame,
        };
        if (frame.is_none() || self.left.is_over())
            && let Some((connection, lease)) = self.lent.take()
        {
            give_back(connection, self.keeps, lease);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.lent.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            Left::Length(left) => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}
