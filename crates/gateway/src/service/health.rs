//! Active health checks: asks each server of a checked service at its interval and takes it out or puts it back.

use super::{balancer::Balancer, pool::Pool};
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
    pub fn new(config: &HealthCheck, balancer: &Balancer) -> Result<Self, String> {
        let seconds = |period: Option<crate::model::Period>, default| {
            period.map_or(Duration::from_secs(default), |period| period.0)
        };
        let method = config.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        let path = config.path.clone().unwrap_or_default();
        if config.port.is_some() || config.scheme.is_some() || config.mode.as_deref().is_some_and(|mode| mode == "grpc")
        {
            return Err("health checks on another port, scheme or by gRPC are not supported".into());
        }
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
            servers: balancer
                .servers
                .iter()
                .map(|server| Checked {
                    url: server.url.clone(),
                    authority: server.authority.clone(),
                    pool: server.pool.clone(),
                    live: server.live.clone(),
                })
                .collect(),
        })
    }

    /// Runs until dropped.
    pub async fn run(self) {
        loop {
            join_all(self.servers.iter().map(|server| self.check(server))).await;
            tokio::time::sleep(self.interval).await;
        }
    }

    async fn check(&self, server: &Checked) {
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
    }

    async fn ask(&self, server: &Checked) -> bool {
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
}
