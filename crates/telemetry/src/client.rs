//! The one outbound HTTP client: rustls, pooled, HTTP/1.1 and 2, and the trace context of the running request on every call.
//!
//! The gateway's upstream pools are its own: they balance and retry, this one does not.

use crate::{context, trace};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{fmt, time::Duration};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A request body held in memory.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Body>,
}

#[derive(Debug)]
pub enum Error {
    /// No answer within the time.
    Timeout(Duration),
    /// No connection, or it broke.
    Connection(BoxError),
    /// The answer is longer than the caller accepts.
    TooLong(usize),
}

impl Client {
    pub fn new() -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(Duration::from_secs(5)));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .expect("aws-lc offers TLS 1.2 and 1.3")
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_timer(TokioTimer::new())
            .build(https);
        Self { inner }
    }

    /// Sends and answers with the head; the body streams. `within` bounds the wait for the head.
    pub async fn send(&self, mut request: Request<Body>, within: Duration) -> Result<Response<Incoming>, Error> {
        if let Some(current) = context::current()
            && let Ok(value) = HeaderValue::from_str(&current.trace.child().to_traceparent())
        {
            request.headers_mut().entry(trace::TRACEPARENT).or_insert(value);
        }
        match tokio::time::timeout(within, self.inner.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Error::Connection(error.into())),
            Err(_) => Err(Error::Timeout(within)),
        }
    }

    /// Sends and reads the whole answer, at most `limit` bytes of it.
    pub async fn fetch(
        &self,
        request: Request<Body>,
        within: Duration,
        limit: usize,
    ) -> Result<Response<Bytes>, Error> {
        let read = async {
            let (head, body) = self.send(request, within).await?.into_parts();
            let whole = Limited::new(body, limit).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    Error::TooLong(limit)
                } else {
                    Error::Connection(error)
                }
            })?;
            Ok(Response::from_parts(head, whole.to_bytes()))
        };
        tokio::time::timeout(within, read)
            .await
            .unwrap_or(Err(Error::Timeout(within)))
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Timeout(within) => write!(f, "no answer within {} s", within.as_secs_f32()),
            Error::Connection(_) => f.write_str("the connection failed"),
            Error::TooLong(limit) => write!(f, "the answer is longer than {limit} bytes"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Connection(cause) => Some(cause.as_ref()),
            Error::Timeout(_) | Error::TooLong(_) => None,
        }
    }
}
