//! HTTP/3 (RFC 9114) beside an entrypoint's TLS: the same port over UDP, the same routers, the same limits. QUIC shows one set of
//! TLS options to everybody, the default ones; a request for a host with options of its own is answered 421, and the client
//! comes again over TCP.

use super::Peer;
use crate::{forwarded, shared::Shared, snapshot::Snapshot};
use axum::{body::Body, response::Response};
use bytes::{Buf, Bytes};
use foundation::{Error, Kind};
use futures_util::stream;
use h3::server::RequestStream;
use http::{HeaderName, Request, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use quinn::{Endpoint, IdleTimeout, Incoming, ServerConfig, TransportConfig, VarInt, crypto::rustls::QuicServerConfig};
use rustls_pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU8},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a client had sent before it heard that we leave is still answered, if it comes within this.
const LAST_CALL: Duration = Duration::from_millis(500);

pub struct Quic {
    pub entry: usize,
    endpoint: Endpoint,
}

impl Quic {
    /// On the port the entrypoint has for TCP.
    ///
    /// # Errors
    /// The port is taken.
    pub fn bind(entry: usize, name: &str, address: SocketAddr) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            let message = format!("the entrypoint '{name}' cannot listen for HTTP/3 on {address}: {error}");
            Error::new(Kind::Unavailable, "ENTRYPOINT", message)
        };
        let socket = shareable(address).map_err(failed)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime).map_err(failed)?;
        Ok(Self { entry, endpoint })
    }

    /// Serves until `stop`; certificates and options follow the configuration in force.
    pub async fn serve(
        self,
        shared: Arc<Shared>,
        places: Arc<Semaphore>,
        mut applied: watch::Receiver<u64>,
        (stop, drain): (CancellationToken, Duration),
    ) {
        let connections = TaskTracker::new();
        self.endpoint
            .set_server_config(configured(&shared.snapshot.load(), self.entry));
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => {
                    let Some(incoming) = incoming else { break };
                    // Beyond the cap a client is turned away at once.
                    let Ok(place) = places.clone().try_acquire_owned() else {
                        incoming.refuse();
                        continue;
                    };
                    let (shared, stop, entry) = (shared.clone(), stop.clone(), self.entry);
                    connections.spawn(async move {
                        let _place = place;
                        attend(shared, entry, incoming, stop).await;
                    });
                }
                Ok(()) = applied.changed() => {
                    self.endpoint.set_server_config(configured(&shared.snapshot.load(), self.entry));
                }
                () = stop.cancelled() => break,
                () = shared.leaving.cancelled() => break,
            }
        }
        self.endpoint.set_server_config(None);
        connections.close();
        if tokio::time::timeout(drain, connections.wait()).await.is_err() {
            tracing::warn!(seconds = drain.as_secs(), "requests were cut off at the deadline");
        }
        self.endpoint.close(VarInt::from_u32(0x100), b"");
    }
}

/// A successor of this process binds the same port while we still answer what was asked (docs/decisions/0015-handover.md).
/// Connections stay with who made them; where the system sends their packets elsewhere, clients come again.
fn shareable(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// `None` refuses everybody: the default options cannot be met, or forbid TLS 1.3.
fn configured(snapshot: &Snapshot, entry: usize) -> Option<ServerConfig> {
    let mut tls = (*snapshot.entries.get(entry)?.tls.choose(None)?).clone();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = QuicServerConfig::try_from(tls).ok()?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(250))
        .max_concurrent_uni_streams(VarInt::from_u32(16))
        .stream_receive_window(VarInt::from_u32(1 << 20))
        .receive_window(VarInt::from_u32(2 << 20))
        .send_window(2 << 20)
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(60_000))));
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    Some(config)
}

async fn attend(shared: Arc<Shared>, entry: usize, incoming: Incoming, stop: CancellationToken) {
    let settings = &shared.settings.entry_points[entry];
    let _counted = shared.meter.connection(entry);
    let connection = match tokio::time::timeout(settings.header_timeout, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%error, "a QUIC handshake failed"),
        Err(_) => return,
    };
    let peer = Arc::new(peer(&shared, &connection, entry));
    let limit = u64::try_from(settings.max_header_bytes).unwrap_or(u64::MAX);
    let mut builder = h3::server::builder();
    builder.max_field_section_size(limit);
    let Ok(mut connection) = builder.build::<_, Bytes>(h3_quinn::Connection::new(connection)).await else {
        return;
    };
    let requests = TaskTracker::new();
    let mut last_call: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = over(&shared, &stop), if last_call.is_none() => {
                last_call = Some(Instant::now() + LAST_CALL);
                // The client hears that it should go elsewhere; what it asked already is answered.
                if connection.shutdown(0).await.is_err() {
                    break;
                }
                continue;
            }
            () = sleep_until(last_call.unwrap_or_else(Instant::now)), if last_call.is_some() => break,
        };
        match accepted {
            Ok(Some(resolver)) => {
                let (shared, peer) = (shared.clone(), peer.clone());
                requests.spawn(async move {
                    match resolver.resolve_request().await {
                        Ok((request, stream)) => answer(&shared, peer, request, stream).await,
                        Err(error) => tracing::debug!(%error, "an HTTP/3 request was not whole"),
                    }
                });
            }
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, "a connection ended early");
                break;
            }
        }
    }
    requests.close();
    requests.wait().await;
}

/// We end, or another process has taken over.
async fn over(shared: &Shared, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = shared.leaving.cancelled() => {}
    }
}

fn peer(shared: &Shared, connection: &quinn::Connection, entry: usize) -> Peer {
    let shown = connection.peer_identity();
    let shown = shown.and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    Peer {
        address: connection.remote_address(),
        ip_text: forwarded::address(connection.remote_address().ip()),
        entry,
        tunnels: shared.tunnels.clone(),
        tls: true,
        // Whatever it asked for, it was met with the default options, and counts as who named nobody.
        server_name: None,
        certificates: shown.map(|shown| *shown).unwrap_or_default(),
        verdict: AtomicU8::new(0),
    }
}

async fn answer(
    shared: &Arc<Shared>,
    peer: Arc<Peer>,
    request: Request<()>,
    stream: RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>,
) {
    let (mut send, receive) = stream.split();
    let request = request.map(|()| body(receive));
    let response = shared.serve(peer, request).await;
    if let Err(error) = reply(&mut send, response).await {
        tracing::debug!(%error, "an answer was not taken");
        send.stop_stream(h3::error::Code::H3_INTERNAL_ERROR);
    }
}

type Receive = RequestStream<<h3_quinn::BidiStream<Bytes> as h3::quic::BidiStream<Bytes>>::RecvStream, Bytes>;
type Send = RequestStream<<h3_quinn::BidiStream<Bytes> as h3::quic::BidiStream<Bytes>>::SendStream, Bytes>;

/// Data as it comes, then the trailers.
fn body(receive: Receive) -> Body {
    let frames = stream::unfold(Some(receive), |receive| async move {
        let mut receive = receive?;
        let data = receive
            .recv_data()
            .await
            .map(|data| data.map(|mut data| data.copy_to_bytes(data.remaining())));
        match data {
            Ok(Some(data)) => Some((Ok(Frame::data(data)), Some(receive))),
            Ok(None) => match receive.recv_trailers().await {
                Ok(trailers) => trailers.map(|trailers| (Ok(Frame::trailers(trailers)), None)),
                Err(error) => Some((Err(error), None)),
            },
            Err(error) => Some((Err(error), None)),
        }
    });
    Body::new(StreamBody::new(frames))
}

async fn reply(
    send: &mut Send,
    response: Response,
) -> Result<(), Box<dyn std::error::Error + std::marker::Send + Sync>> {
    let (mut parts, mut body) = response.into_parts();
    // Of one connection, and forbidden here (RFC 9114 section 4.2).
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
    ] {
        parts.headers.remove(name);
    }
    send.send_response(Response::from_parts(parts, ())).await?;
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => send.send_data(data).await?,
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    send.send_trailers(trailers).await?;
                }
            }
        }
    }
    send.finish().await?;
    Ok(())
}
