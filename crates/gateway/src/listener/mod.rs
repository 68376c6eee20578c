//! Listeners: accept, tell TLS from plain text, hand each connection to hyper with every limit set by hand, drain on stop.

pub mod guard;
pub mod h3;
pub mod lanes;
mod proxy;
pub mod tls;

use crate::{acme::challenge, forwarded, settings::EntryPoint, shared::Shared};
use axum::{body::Body, response::Response};
use futures_util::future::BoxFuture;
use guard::Guard;
use http::{HeaderValue, Request};
use hyper::{body::Incoming, server::conn::http1, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use lanes::Lanes;
use rustls_pki_types::CertificateDer;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::AtomicU8},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::LazyConfigAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The other side of a connection.
pub struct Peer {
    pub address: SocketAddr,
    /// Which entrypoint it came through.
    pub entry: usize,
    pub tls: bool,
    /// The address as it stands in headers.
    pub ip_text: HeaderValue,
    /// The server name of its TLS handshake, in lower case.
    pub server_name: Option<Box<str>>,
    /// The chain the client showed, its own certificate first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// What [`guard`] found wrong; see [`guard::WRONGS`].
    pub verdict: AtomicU8,
    /// Where a tunnel runs after a protocol switch, so that leaving can wait for it.
    pub tunnels: TaskTracker,
}

/// How HTTP/2 begins.
const PREFACE: &[u8; 14] = b"PRI * HTTP/2.0";

/// How long a kept connection may stay silent after another process has taken the socket.
const LINGER: Duration = Duration::from_secs(3);
/// How long what was begun may last then.
const LONGEST_LEAVE: Duration = Duration::from_secs(3600);

/// The first byte of a TLS handshake record.
const HANDSHAKE: u8 = 0x16;

pub struct Listener {
    pub entry: usize,
    pub socket: TcpListener,
}

impl Listener {
    /// Serves until `stop`, then closes the door and lets requests finish for `drain` at most. Where another process has taken
    /// the socket, connections leave by and by, and what lasts may last.
    pub async fn serve(
        self,
        shared: Arc<Shared>,
        (places, lanes): (Arc<Semaphore>, Arc<Lanes>),
        stop: CancellationToken,
        drain: Duration,
    ) {
        let connections = TaskTracker::new();
        let closing = stop.child_token();
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                break;
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => break,
                () = shared.leaving.cancelled() => break,
            };
            match accepted {
                Ok((stream, address)) => {
                    // It is watched by the lane's runtime from now on, not by ours.
                    let Ok(stream) = stream.into_std() else { continue };
                    let (shared, stop, entry) = (shared.clone(), closing.clone(), self.entry);
                    let attending = async move {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            attend(shared, entry, stream, address, stop, place).await;
                        }
                    };
                    connections.spawn_on(attending, &lanes.next());
                }
                // Out of file descriptors: the connections at hand must end first.
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.socket);
        connections.close();
        if !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(LINGER) => closing.cancel(),
                () = stop.cancelled() => {}
            }
            let last = async {
                connections.wait().await;
                shared.tunnels.close();
                shared.tunnels.wait().await;
            };
            tokio::select! {
                _ = tokio::time::timeout(LONGEST_LEAVE, last) => return,
                () = stop.cancelled() => {}
            }
        }
        if tokio::time::timeout(drain, connections.wait()).await.is_err() {
            tracing::warn!(seconds = drain.as_secs(), "requests were cut off at the deadline");
        }
    }
}

async fn attend(
    shared: Arc<Shared>,
    entry: usize,
    mut stream: TcpStream,
    mut address: SocketAddr,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) {
    let _place = place;
    // Without it small answers wait for the peer's acknowledgement; a socket that refuses is closing anyway.
    let _ = stream.set_nodelay(true);
    let settings = &shared.settings.entry_points[entry];
    let _counted = shared.meter.connection(entry);
    if let Some(trusted) = &settings.proxy_protocol {
        match tokio::time::timeout(settings.header_timeout, proxy::client(&mut stream)).await {
            Ok(Ok(Some(client))) if trusted.trusts(address.ip()) => address = client,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return tracing::debug!(%error, "a connection was refused"),
            Err(_) => return,
        }
    }
    let mut first = [0_u8; 1];
    match tokio::time::timeout(settings.header_timeout, stream.peek(&mut first)).await {
        Ok(Ok(1)) => {}
        _ => return,
    }
    let mut peer = Peer {
        address,
        entry,
        tls: false,
        ip_text: forwarded::address(address.ip()),
        server_name: None,
        certificates: Vec::new(),
        verdict: AtomicU8::new(0),
        tunnels: shared.tunnels.clone(),
    };
    if first[0] != HANDSHAKE {
        return match tokio::time::timeout(settings.header_timeout, is_h2(&stream)).await {
            Ok(Ok(true)) => Box::pin(speak_h2(&shared, stream, peer, stop)).await,
            Ok(Ok(false)) => speak_h1(&shared, settings, stream, peer, stop).await,
            _ => {}
        };
    }
    // Boxed: what lasts for the handshake only, and what is held once for as long as the connection lasts.
    let handshake = Box::pin(shake(&shared, entry, stream, &mut peer));
    let Ok(handshake) = tokio::time::timeout(settings.header_timeout, handshake).await else {
        return;
    };
    match handshake.map(Box::new) {
        // The handshake was all the authority wanted.
        Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(challenge::ALPN) => {}
        Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            Box::pin(speak_h2(&shared, stream, peer, stop)).await;
        }
        Ok(stream) => speak_h1(&shared, settings, stream, peer, stop).await,
        Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
    }
}

/// Whether the client speaks HTTP/2 without TLS, knowing beforehand that we do (RFC 9113 section 3.3). No method but this
/// preface's begins alike for longer than a letter.
async fn is_h2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut seen = [0_u8; PREFACE.len()];
    loop {
        let length = stream.peek(&mut seen).await?;
        if length == 0 || seen[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        // The rest is on its way; peeking again would find the same bytes at once.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn shake(
    shared: &Shared,
    entry: usize,
    stream: TcpStream,
    peer: &mut Peer,
) -> std::io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    peer.tls = true;
    let name = start.client_hello().server_name().map(str::to_ascii_lowercase);
    let proof = start
        .client_hello()
        .alpn()
        .is_some_and(|mut names| names.any(|name| name == challenge::ALPN));
    if proof {
        let config = shared
            .acme
            .challenges
            .handshake(name.as_deref().unwrap_or_default())
            .await;
        let config = config.ok_or_else(|| std::io::Error::other("no proof is waiting for this name"))?;
        return start.into_stream(config).await;
    }
    let config = shared.snapshot.load().entries[entry].tls.choose(name.as_deref());
    peer.server_name = name.map(String::into_boxed_str);
    let config = config.ok_or_else(|| std::io::Error::other("the TLS options of this host cannot be met"))?;
    let stream = start.into_stream(config).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    peer.certificates = shown
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect();
    Ok(stream)
}

async fn speak_h1<T>(shared: &Arc<Shared>, settings: &EntryPoint, stream: T, peer: Peer, stop: CancellationToken)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Arc::new(peer);
    let io = TokioIo::new(Guard::new(stream, peer.clone(), settings.header_timeout));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Between requests; a head that has begun is the guard's business.
        .header_read_timeout(settings.idle_timeout)
        .max_headers(100)
        // hyper refuses less.
        .max_buf_size(settings.max_header_bytes.max(8192));
    let mut connection = pin!(
        builder
            .serve_connection(io, service(shared.clone(), peer))
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn speak_h2<T>(shared: &Arc<Shared>, stream: T, peer: Peer, stop: CancellationToken)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(250)
        .max_header_list_size(64 * 1024)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(256))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(2 << 20)
        .max_send_buf_size(256 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service(shared.clone(), Arc::new(peer))));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

type Answering = BoxFuture<'static, Result<Response, Infallible>>;

fn service(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
) -> impl hyper::service::Service<Request<Incoming>, Response = Response, Error = Infallible, Future = Answering> {
    service_fn(move |request: Request<Incoming>| -> Answering {
        let (shared, peer) = (shared.clone(), peer.clone());
        Box::pin(async move { Ok(shared.serve(peer, request.map(Body::new)).await) })
    })
}
