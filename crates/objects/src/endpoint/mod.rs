//! The local store's S3 endpoint: any S3 client, and browsers with presigned URLs.

mod answers;
mod body;
mod multipart;
mod s3;

use crate::Local;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use s3s::{
    HttpError,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const DRAIN: Duration = Duration::from_secs(10);

pub async fn serve(local: Local, listener: TcpListener, stop: CancellationToken) {
    let service = service(local);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the S3 endpoint could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = service.clone();
        let answer = service_fn(move |request| answer(service.clone(), request));
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), answer).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection to the S3 endpoint ended badly");
            }
        });
    }
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

fn service(local: Local) -> S3Service {
    let auth = SimpleAuth::from_single(local.access_key_id.clone(), local.secret_access_key.expose());
    let mut builder = S3ServiceBuilder::new(s3::Endpoint(local));
    builder.set_auth(auth);
    builder.build()
}

/// Browsers ask first whether they may (CORS); who holds a presigned URL may.
async fn answer(service: S3Service, request: Request<Incoming>) -> Result<Response<s3s::Body>, HttpError> {
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        let mut response = Response::new(s3s::Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        service.call(request.map(s3s::Body::from)).await?
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, PUT, POST, DELETE"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "ETag, Content-Length, Content-Range, Last-Modified",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(asked) = asked {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
    Ok(response)
}
