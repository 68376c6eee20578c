//! Active health checks: asks each server of a checked service at its interval and takes it out or puts it back.

use super::{
    balancer::{Balancer, Server},
    pool::Pool,
};
use crate::model::service::HealthCheck;
use axum::body::Body;
use futures_util::future::join_all;
use http::{HeaderValue, Method, Request, StatusCode, header};
use std::{sync::Arc, time::Duration};

/// One service's checks, ready to run.
#[derive(Clone)]
pub struct Checks {
    pub service: Arc<str>,
    pub interval: Duration,
    timeout: Duration,
    method: Method,
    path: String,
    status: Option<StatusCode>,
    hostname: Option<HeaderValue>,
    headers: Vec<(http::HeaderName, HeaderValue)>,
    servers: Vec<Checked>,
    /// By grpc.health.v1 instead of a request for the path.
    grpc: bool,
    /// How soon a sick server is asked again.
    unhealthy_interval: Duration,
}

#[derive(Clone)]
struct Checked {
    url: Arc<str>,
    authority: HeaderValue,
    pool: Arc<Pool>,
    live: Arc<super::live::Live>,
}

impl Checks {
    /// # Errors
    /// An option cannot be used; the message says which.
    pub fn new(
        config: &HealthCheck,
        balancer: &Balancer,
        mut pool: impl FnMut(&Server) -> Result<Arc<Pool>, String>,
    ) -> Result<Self, String> {
        let seconds = |period: Option<crate::model::Period>, default| {
            period.map_or(Duration::from_secs(default), |period| period.0)
        };
        let method = config.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        let path = config.path.clone().unwrap_or_default();
        let grpc = match config.mode.as_deref() {
            None | Some("" | "http") => false,
            Some("grpc") => true,
            Some(other) => return Err(format!("healthCheck.mode: '{other}' is neither http nor grpc")),
        };
        let header = |(name, value): (&String, &String)| {
            let name =
                http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is no header name"))?;
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("the value of '{name}' is no header value"))?;
            Ok::<_, String>((name, value))
        };
        Ok(Self {
            service: balancer.name.clone(),
            interval: seconds(config.interval, 30).max(Duration::from_millis(50)),
            timeout: seconds(config.timeout, 5),
            unhealthy_interval: config
                .unhealthy_interval
                .map_or(seconds(config.interval, 30), |period| period.0)
                .max(Duration::from_millis(50)),
            method: method.parse().map_err(|_| format!("'{method}' is no method"))?,
            path: if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            },
            status: config
                .status
                .map(StatusCode::from_u16)
                .transpose()
                .map_err(|_| "the status is none")?,
            hostname: config
                .hostname
                .as_deref()
                .map(HeaderValue::from_str)
                .transpose()
                .map_err(|_| "the hostname is none")?,
            headers: config.headers.iter().flatten().map(header).collect::<Result<_, _>>()?,
            grpc,
            servers: balancer
                .servers
                .iter()
                .map(|server| {
                    Ok(Checked {
                        url: server.url.clone(),
                        authority: server.authority.clone(),
                        pool: pool(server)?,
                        live: server.live.clone(),
                    })
                })
                .collect::<Result<_, String>>()?,
        })
    }

    /// Runs until dropped.
    pub async fn run(self) {
        join_all(self.servers.iter().map(|server| self.watch(server))).await;
    }

    async fn watch(&self, server: &Checked) {
        loop {
            let well = self.check(server).await;
            tokio::time::sleep(if well { self.interval } else { self.unhealthy_interval }).await;
        }
    }

    async fn check(&self, server: &Checked) -> bool {
        let well = tokio::time::timeout(self.timeout, self.ask(server))
            .await
            .unwrap_or(false);
        if server.live.set_healthy(well) {
            tracing::warn!(
                service = &*self.service,
                server = &*server.url,
                healthy = well,
                "the health of a server changed"
            );
        }
        well
    }

    async fn ask(&self, server: &Checked) -> bool {
        if self.grpc {
            return self.ask_grpc(server).await;
        }
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method.clone();
        let Ok(uri) = self.path.parse() else { return false };
        *request.uri_mut() = uri;
        let host = self.hostname.clone().unwrap_or_else(|| server.authority.clone());
        request.headers_mut().insert(header::HOST, host);
        request.headers_mut().extend(self.headers.iter().cloned());
        let Ok(response) = server.pool.send(request).await else {
            return false;
        };
        let status = response.status();
        // Read to the end, so that the connection can be kept.
        let _ = axum::body::to_bytes(response.into_body(), 64 * 1024).await;
        match self.status {
            Some(expected) => status == expected,
            None => status.is_success() || status.is_redirection(),
        }
    }

    /// The gRPC health checking protocol: an empty `HealthCheckRequest`, and `SERVING` for an answer.
    async fn ask_grpc(&self, server: &Checked) -> bool {
        const EMPTY: &[u8] = &[0; 5];
        const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];
        let mut request = Request::new(Body::from(EMPTY));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static("/grpc.health.v1.Health/Check");
        let headers = request.headers_mut();
        headers.insert(
            header::HOST,
            self.hostname.clone().unwrap_or_else(|| server.authority.clone()),
        );
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.extend(self.headers.iter().cloned());
        let Ok(response) = server.pool.send(request).await else {
            return false;
        };
        let ok = response.status() == StatusCode::OK;
        let body = axum::body::to_bytes(response.into_body(), 64 * 1024).await;
        ok && body.is_ok_and(|body| &body[..] == SERVING)
    }
}
