//! The HTTP/2 connection to a server: one, shared by all requests to it, made anew when the server is done with it.

use axum::body::Body;
use http::{HeaderName, Request, Uri, Version, header, uri::PathAndQuery};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A connection whose server stops answering pings is given up.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Default)]
pub struct Connection(Mutex<Option<SendRequest<Body>>>);

impl Connection {
    /// The living one, if there is one.
    pub fn get(&self) -> Option<SendRequest<Body>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(SendRequest::is_closed) {
            *held = None;
        }
        held.clone()
    }

    /// Of two that were made at once the later stays; the other ends with its requests.
    pub fn set(&self, sender: &SendRequest<Body>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
    }
}

pub async fn handshake<T>(io: T) -> io::Result<SendRequest<Body>>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(64 * 1024)
        .handshake(io)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a server ended early");
        }
    });
    Ok(sender)
}

const HTTP_1_ONLY: [HeaderName; 4] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The request in HTTP/2's form: the host is part of the target (RFC 9113 section 8.3.1).
pub fn in_form(mut request: Request<Body>, secure: bool, address: &str) -> Request<Body> {
    let headers = request.headers_mut();
    let host = headers.remove(header::HOST);
    for name in HTTP_1_ONLY {
        headers.remove(name);
    }
    let host = host
        .as_ref()
        .and_then(|host| host.to_str().ok())
        .filter(|host| !host.is_empty());
    let path = request.uri().path_and_query().cloned();
    let scheme = if secure { "https" } else { "http" };
    let target = Uri::builder()
        .scheme(scheme)
        .authority(host.unwrap_or(address))
        .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")))
        .build();
    if let Ok(target) = target {
        *request.uri_mut() = target;
    }
    *request.version_mut() = Version::HTTP_2;
    request
}

/// Back to the form it came in, to be sent once more over another kind of connection.
pub fn out_of_form(mut request: Request<Body>) -> Request<Body> {
    let host = request.uri().authority().and_then(|host| host.as_str().parse().ok());
    let path = request.uri().path_and_query().cloned();
    if let Some(host) = host {
        request.headers_mut().insert(header::HOST, host);
    }
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    *request.version_mut() = Version::HTTP_11;
    request
}
