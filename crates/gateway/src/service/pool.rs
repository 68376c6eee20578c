//! Kept connections to one server: many of HTTP/1.1, or one of HTTP/2. hyper drives each; which one a request takes is decided here,
//! which is all a reverse proxy needs of a client.

use super::h2;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// How servers are reached.
#[derive(Clone)]
pub struct Transport {
    pub dial_timeout: Duration,
    /// Zero waits for ever.
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    pub most_idle: usize,
    pub tls: Arc<rustls::ClientConfig>,
    /// What tells `tls` from others.
    pub tls_key: String,
    pub server_name: Option<String>,
    /// Whether a server that offers HTTP/2 in its TLS handshake is spoken to in it.
    pub http2: bool,
}

impl std::fmt::Debug for Transport {
    /// What tells one transport from another, as a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let times = (self.dial_timeout, self.header_timeout, self.idle_timeout);
        write!(
            f,
            "{times:?} {} {:?} {} {}",
            self.most_idle, self.server_name, self.http2, self.tls_key
        )
    }
}

pub struct Pool {
    /// `host:port`
    address: String,
    speaks: Speaks,
    transport: Transport,
    idle: Mutex<VecDeque<Idle>>,
    h2: h2::Connection,
}

/// What is spoken with a server.
pub enum Speaks {
    Http1,
    /// HTTP/2 in plain text, without asking (`h2c`).
    Http2,
    /// TLS, and in it what both sides want. The name is the one to demand of the certificate.
    Tls(rustls_pki_types::ServerName<'static>),
}

enum Dialled {
    Http1(SendRequest<Body>),
    Http2(hyper::client::conn::http2::SendRequest<Body>),
}

struct Idle {
    sender: SendRequest<Body>,
    since: Instant,
}

/// Why there is no answer, and the request if it can be sent again.
pub struct Failure {
    pub kind: FailureKind,
    pub cause: String,
    pub request: Option<Request<Body>>,
    /// It happened on a kept connection, which the server may have been closing: no sign of its health.
    pub kept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection came about; the server has seen nothing.
    Connect,
    /// The connection ended before an answer.
    Broken,
    /// No answer in time.
    Timeout,
}

impl Pool {
    pub fn new(address: String, speaks: Speaks, transport: Transport) -> Self {
        Self {
            address,
            speaks,
            transport,
            idle: Mutex::default(),
            h2: h2::Connection::default(),
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends over a kept connection or a new one.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send(self: &Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let mut request = request;
        // A protocol switch needs a connection of its own, which HTTP/2 has none to give.
        let switches = request.headers().contains_key(http::header::UPGRADE);
        if let Some(sender) = self.h2.get().filter(|_| !switches) {
            match self.over_h2(sender, request).await {
                Err(Failure {
                    kind: FailureKind::Broken,
                    request: Some(again),
                    ..
                }) => request = again,
                done => return done.map_err(|failure| Failure { kept: true, ..failure }),
            }
        }
        while let Some(sender) = self.kept() {
            match self.over(sender, request).await {
                // A kept connection the server had closed in the meantime is no failure of the server.
                Err(Failure {
                    kind: FailureKind::Broken,
                    request: Some(again),
                    ..
                }) => request = again,
                done => return done.map_err(|failure| Failure { kept: true, ..failure }),
            }
        }
        match self.connect(switches).await {
            Ok(Dialled::Http1(sender)) => self.over(sender, request).await,
            Ok(Dialled::Http2(sender)) => {
                self.h2.set(&sender);
                self.over_h2(sender, request).await
            }
            Err(error) => Err(Failure {
                kind: FailureKind::Connect,
                cause: error.to_string(),
                request: Some(request),
                kept: false,
            }),
        }
    }

    async fn over(
        self: &Arc<Self>,
        mut sender: SendRequest<Body>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        let sent = sender.try_send_request(request);
        let response = self.in_time(sent).await?;
        Ok(self.watch(response, sender))
    }

    async fn over_h2(
        &self,
        mut sender: hyper::client::conn::http2::SendRequest<Body>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        let secure = matches!(self.speaks, Speaks::Tls(_));
        let sent = sender.try_send_request(h2::in_form(request, secure, &self.address));
        match self.in_time(sent).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(failure) => Err(Failure {
                request: failure.request.map(h2::out_of_form),
                ..failure
            }),
        }
    }

    async fn in_time(
        &self,
        sent: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>>,
    ) -> Result<Response<Incoming>, Failure> {
        let limit = self.transport.header_timeout;
        let answer = match limit.is_zero() {
            true => Ok(sent.await),
            false => tokio::time::timeout(limit, sent).await,
        };
        match answer {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(mut failed)) => Err(Failure {
                kind: FailureKind::Broken,
                request: failed.take_message(),
                cause: cause(failed.error()),
                kept: false,
            }),
            Err(_) => Err(Failure {
                kind: FailureKind::Timeout,
                cause: format!("no answer within {limit:?}"),
                request: None,
                kept: false,
            }),
        }
    }

    /// The connection comes back when the body has been read to its end.
    fn watch(self: &Arc<Self>, response: Response<Incoming>, sender: SendRequest<Body>) -> Response<Body> {
        if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            return response.map(Body::new);
        }
        let lease = Some((sender, self.clone()));
        response.map(|body| {
            let mut body = Returning { body, lease };
            if body.body.is_end_stream() {
                body.give_back();
                return Body::empty();
            }
            Body::new(body)
        })
    }

    fn kept(&self) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = None;
        let found = loop {
            let Some(Idle { mut sender, since }) = idle.pop_back() else {
                break None;
            };
            if since.elapsed() > self.transport.idle_timeout {
                // Older ones lie below.
                idle.clear();
                break None;
            }
            match poll_once(&mut sender) {
                Poll::Ready(true) => break Some(sender),
                Poll::Ready(false) => {}
                Poll::Pending => {
                    busy = Some(Idle { sender, since });
                    break None;
                }
            }
        };
        idle.extend(busy);
        found
    }

    fn keep(&self, sender: SendRequest<Body>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle
            .front()
            .is_some_and(|oldest| oldest.since.elapsed() > self.transport.idle_timeout)
            || idle.len() >= self.transport.most_idle
        {
            idle.pop_front();
        }
        idle.push_back(Idle {
            sender,
            since: Instant::now(),
        });
    }

    async fn connect(&self, switches: bool) -> io::Result<Dialled> {
        let dial = async {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            match &self.speaks {
                Speaks::Http2 if !switches => h2::handshake(TokioIo::new(stream)).await.map(Dialled::Http2),
                Speaks::Http1 | Speaks::Http2 => handshake(TokioIo::new(stream)).await.map(Dialled::Http1),
                Speaks::Tls(name) => {
                    let stream = self.secure(stream, name, switches).await?;
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        return h2::handshake(TokioIo::new(stream)).await.map(Dialled::Http2);
                    }
                    handshake(TokioIo::new(stream)).await.map(Dialled::Http1)
                }
            }
        };
        match tokio::time::timeout(self.transport.dial_timeout, dial).await {
            Ok(done) => done,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "connecting took too long")),
        }
    }
}

impl Pool {
    async fn secure(
        &self,
        stream: TcpStream,
        name: &rustls_pki_types::ServerName<'static>,
        switches: bool,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut tls = self.transport.tls.clone();
        if self.transport.http2 && !switches {
            let mut offering = (*tls).clone();
            offering.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            tls = Arc::new(offering);
        }
        let connector = tokio_rustls::TlsConnector::from(tls);
        connector.connect(name.clone(), stream).await
    }
}

async fn handshake<T>(io: T) -> io::Result<SendRequest<Body>>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new().handshake(io).await.map_err(io::Error::other)?;
    // Ends with the connection: when the sender is dropped, or the server closes.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a server ended early");
        }
    });
    Ok(sender)
}

/// Whether the connection takes a request now; `false` when it is dead.
fn poll_once(sender: &mut SendRequest<Body>) -> Poll<bool> {
    if sender.is_ready() {
        return Poll::Ready(true);
    }
    if sender.is_closed() {
        return Poll::Ready(false);
    }
    Poll::Pending
}

fn cause(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// A body that gives its connection back at its end.
struct Returning {
    body: Incoming,
    lease: Option<(SendRequest<Body>, Arc<Pool>)>,
}

impl Returning {
    fn give_back(&mut self) {
        if let Some((sender, pool)) = self.lease.take() {
            pool.keep(sender);
        }
    }
}

impl http_body::Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.give_back(),
            Some(Ok(_)) if self.body.is_end_stream() => self.give_back(),
            Some(Ok(_)) => {}
            Some(Err(_)) => self.lease = None,
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
