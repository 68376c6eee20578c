//! One HTTP/1.1 connection to a server, attended by the request that uses it: no task of its own, no queue, no waking between two.
//! A head is written from the request as it stands, so the request is still whole when the server turns out to be gone.

mod answer;
mod chunked;
mod head;
mod outgoing;

use super::pool::Lease;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use head::Head;
use http::{Method, Request, Response, StatusCode};
use outgoing::Outgoing;
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

pub type Wire = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What is read at once at first; more while a body keeps filling it.
const FIRST_READ: usize = 8 * 1024;
const LARGEST_READ: usize = 64 * 1024;

pub struct Connection {
    wire: Wire,
    /// Read and not yet understood.
    incoming: BytesMut,
    outgoing: Outgoing,
    next_read: usize,
}

/// Why there is no answer.
pub struct Broken {
    pub cause: io::Error,
    /// If nothing of its body was taken.
    pub request: Option<Request<Body>>,
    /// The client's body ended early, which is not the server's doing.
    pub by_client: bool,
}

/// A connection after a protocol switch, and what the server has said on it already. Taken once.
#[derive(Clone)]
pub struct Switched(Arc<Mutex<Option<(Wire, Bytes)>>>);

impl Switched {
    pub fn take(&self) -> Option<(Wire, Bytes)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Connection {
    pub fn new(wire: Wire) -> Self {
        Self {
            wire,
            incoming: BytesMut::new(),
            outgoing: Outgoing::default(),
            next_read: FIRST_READ,
        }
    }

    /// Whether the server has neither closed nor said anything unasked. Costs no system call while it has not.
    pub fn is_alive(&mut self) -> bool {
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.wire)
            .poll_read(&mut context, &mut buffer)
            .is_pending()
    }

    /// Sends a request. With the end of the answer's body the connection ends its lease, if it can serve another.
    ///
    /// # Errors
    /// See [`Broken`].
    pub async fn send(mut self, request: Request<Body>, lease: Lease) -> Result<Response<Body>, Box<Broken>> {
        let (parts, body) = request.into_parts();
        self.outgoing.begin(&parts, body);
        match poll_fn(|cx| self.poll_head(cx, &parts.method)).await {
            Ok(head) => Ok(self.answer(head, lease)),
            Err(cause) => {
                let by_client = self.outgoing.is_broken_by_client();
                let body = self.outgoing.untouched_body();
                Err(Box::new(Broken {
                    cause,
                    request: body.map(|body| Request::from_parts(parts, body)),
                    by_client,
                }))
            }
        }
    }

    fn answer(mut self, head: Head, lease: Lease) -> Response<Body> {
        let mut response = head.response;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let said = self.incoming.split().freeze();
            let switched = Switched(Arc::new(Mutex::new(Some((self.wire, said)))));
            response.extensions_mut().insert(switched);
            return response.map(|()| Body::empty());
        }
        response.map(|()| answer::body(self, head.framing, head.keeps, lease))
    }

    /// Sends on and waits for the head of the answer, which may come before all is sent.
    fn poll_head(&mut self, cx: &mut Context<'_>, method: &Method) -> Poll<io::Result<Head>> {
        let sent = self.outgoing.poll_send(cx, &mut self.wire);
        // A server may refuse a body, answer and close: then its answer counts, not that the rest could not be sent.
        let unsent = match sent {
            Poll::Ready(Err(error)) if self.outgoing.is_broken_by_client() => return Poll::Ready(Err(error)),
            Poll::Ready(Err(error)) => Some(error),
            _ => None,
        };
        loop {
            if !self.incoming.is_empty()
                && let Some(head) = head::parse(&mut self.incoming, method, self.outgoing.switches)?
            {
                return Poll::Ready(Ok(head));
            }
            let ended = match ready!(self.poll_read(cx)) {
                Ok(0) => io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed before it answered"),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Poll::Ready(Err(unsent.unwrap_or(ended)));
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let wanted = self.next_read;
        self.incoming.reserve(wanted);
        let read = ready!(tokio_util::io::poll_read_buf(
            Pin::new(&mut self.wire),
            cx,
            &mut self.incoming
        ))?;
        if read >= wanted {
            self.next_read = (wanted * 2).min(LARGEST_READ);
        } else if read < wanted / 4 {
            self.next_read = (wanted / 2).max(FIRST_READ);
        }
        Poll::Ready(Ok(read))
    }
}
