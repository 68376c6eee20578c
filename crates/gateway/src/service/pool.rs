//! Kept connections to one server, on each lane: many of HTTP/1.1, or one of HTTP/2. Which one a request takes is decided here.

use super::{
    h1::{self, Wire},
    h2,
};
use crate::listener::lanes;
use axum::body::Body;
use http::{Request, Response};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioIo;
use std::{
    collections::VecDeque,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::net::TcpStream;
use tokio_util::either::Either;

/// How often kept connections are looked at: what a server has closed should not wait for the next request to be let go.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const SWEEP_AT_MOST_EVERY: Duration = Duration::from_millis(100);

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
    /// By the thread that attends them: a request wakes no other thread for its server's sake.
    kept: Box<[Kept]>,
}

#[derive(Default)]
struct Kept {
    idle: Mutex<Idle>,
    h2: h2::Connection,
}

#[derive(Default)]
struct Idle {
    /// The latest last, each with when it was first seen here.
    connections: VecDeque<(h1::Connection, Option<Instant>)>,
    swept: bool,
}

/// A connection on loan: it comes back to where it is attended.
pub struct Lease {
    pool: Arc<Pool>,
    place: usize,
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
    Http1(h1::Connection),
    Http2(SendRequest<Body>),
}

/// Why there is no answer.
pub struct Failure {
    pub kind: FailureKind,
    pub cause: String,
    /// If it is whole.
    pub request: Option<Request<Body>>,
    /// The server may have seen the request: only what does no harm twice may be sent again.
    pub sent: bool,
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
    /// The client's body ended early: no fault of the server.
    Client,
}

impl Pool {
    pub fn new(address: String, speaks: Speaks, transport: Transport) -> Self {
        Self {
            address,
            speaks,
            transport,
            kept: (0..lanes::places()).map(|_| Kept::default()).collect(),
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn may_speak_h2(&self) -> bool {
        match self.speaks {
            Speaks::Http1 => false,
            Speaks::Http2 => true,
            Speaks::Tls(_) => self.transport.http2,
        }
    }

    /// Sends over a kept connection or a new one.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send(self: &Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let mut request = request;
        let place = lanes::place();
        let here = &self.kept[place];
        // A protocol switch needs a connection of its own, which HTTP/2 has none to give.
        let switches = request.headers().contains_key(http::header::UPGRADE);
        if let Some(sender) = here.h2.get().filter(|_| !switches) {
            match Box::pin(self.over_h2(sender, request)).await {
                Err(Failure {
                    kind: FailureKind::Broken,
                    request: Some(again),
                    ..
                }) => request = again,
                done => return done.map_err(|failure| Failure { kept: true, ..failure }),
            }
        }
        let kept = here.take();
        let is_kept = kept.is_some();
        let connection = match kept {
            Some(connection) => connection,
            // Boxed: what is rare must not make room in every request.
            None => match Box::pin(self.connect(switches)).await {
                Ok(Dialled::Http1(connection)) => connection,
                Ok(Dialled::Http2(sender)) => {
                    here.h2.set(&sender);
                    return Box::pin(self.over_h2(sender, request)).await;
                }
                Err(error) => {
                    return Err(Failure {
                        kind: FailureKind::Connect,
                        cause: error.to_string(),
                        request: Some(request),
                        sent: false,
                        kept: false,
                    });
                }
            },
        };
        let answer = self.over_h1(connection, place, request).await;
        answer.map_err(|failure| Failure {
            kept: is_kept,
            ..failure
        })
    }

    async fn over_h1(
        self: &Arc<Self>,
        connection: h1::Connection,
        place: usize,
        request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        let lease = Lease {
            pool: self.clone(),
            place,
        };
        let answer = pin!(connection.send(request, lease));
        let broken = match self.in_time(answer).await? {
            Ok(response) => return Ok(response),
            Err(broken) => broken,
        };
        Err(Failure {
            kind: match broken.by_client {
                true => FailureKind::Client,
                false => FailureKind::Broken,
            },
            cause: broken.cause.to_string(),
            request: broken.request,
            sent: true,
            kept: false,
        })
    }

    async fn over_h2(&self, mut sender: SendRequest<Body>, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let secure = matches!(self.speaks, Speaks::Tls(_));
        let sent = pin!(sender.try_send_request(h2::in_form(request, secure, &self.address)));
        match self.in_time(sent).await? {
            Ok(response) => Ok(response.map(Body::new)),
            Err(mut failed) => {
                let unsent = failed.take_message();
                Err(Failure {
                    kind: FailureKind::Broken,
                    cause: cause(failed.error()),
                    sent: unsent.is_none(),
                    request: unsent.map(h2::out_of_form),
                    kept: false,
                })
            }
        }
    }

    async fn in_time<T>(&self, answer: Pin<&mut impl Future<Output = T>>) -> Result<T, Failure> {
        let limit = self.transport.header_timeout;
        if limit.is_zero() {
            return Ok(answer.await);
        }
        tokio::time::timeout(limit, answer).await.map_err(|_| Failure {
            kind: FailureKind::Timeout,
            cause: format!("no answer within {limit:?}"),
            request: None,
            sent: true,
            kept: false,
        })
    }

    async fn connect(&self, switches: bool) -> io::Result<Dialled> {
        let dial = async {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            match &self.speaks {
                Speaks::Http2 if !switches => h2::handshake(TokioIo::new(stream)).await.map(Dialled::Http2),
                Speaks::Http1 | Speaks::Http2 => Ok(http1(Either::Left(stream))),
                Speaks::Tls(name) => {
                    let stream = self.secure(stream, name, switches).await?;
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        return h2::handshake(TokioIo::new(stream)).await.map(Dialled::Http2);
                    }
                    Ok(http1(Either::Right(Box::new(stream))))
                }
            }
        };
        match tokio::time::timeout(self.transport.dial_timeout, dial).await {
            Ok(done) => done,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "connecting took too long")),
        }
    }
}

impl Lease {
    /// The connection can serve another request.
    pub fn end(self, connection: h1::Connection) {
        let Self { pool, place } = self;
        let most = pool.transport.most_idle.div_ceil(pool.kept.len() - 1);
        if most == 0 {
            return;
        }
        let mut idle = pool.kept[place].idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.connections.len() >= most {
            idle.connections.pop_front();
        }
        idle.connections.push_back((connection, None));
        if !std::mem::replace(&mut idle.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&pool), place, pool.transport.idle_timeout));
        }
    }
}

impl Kept {
    /// The one used last, so that those not needed grow old.
    fn take(&self) -> Option<h1::Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((mut connection, _)) = idle.connections.pop_back() {
            if connection.is_alive() {
                return Some(connection);
            }
        }
        None
    }
}

/// Lets go what a server has closed or nobody has used for long, as long as anything is kept.
async fn sweep(pool: Weak<Pool>, place: usize, longest: Duration) {
    let pause = SWEEP_EVERY.min(longest / 4).max(SWEEP_AT_MOST_EVERY);
    loop {
        tokio::time::sleep(pause).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.kept[place].idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.connections.retain_mut(|(connection, seen)| {
            let since = seen.get_or_insert_with(Instant::now);
            since.elapsed() <= longest && connection.is_alive()
        });
        if idle.connections.is_empty() {
            idle.swept = false;
            return;
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

fn http1(wire: Wire) -> Dialled {
    Dialled::Http1(h1::Connection::new(wire))
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
