//! `GET /v1/<service>/health`: the service and what it stands on.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use foundation::Error;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::{future::Future, time::Duration, time::Instant};

/// How long a dependency may take before it counts as down.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Healthy,
    Degraded,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub status: Status,
    pub latency_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    pub service: String,
    pub status: Status,
    pub checks: Vec<Check>,
}

/// Asks one dependency, with patience.
pub async fn check(name: &str, ask: impl Future<Output = Result<(), Error>>) -> Check {
    let started = Instant::now();
    let error = match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::warn!(check = name, cause = %error.chain(), "health check failed");
            Some(error.message)
        }
        Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let status = if error.is_none() {
        Status::Healthy
    } else {
        Status::Degraded
    };
    let latency_ms = (started.elapsed().as_secs_f64() * 1e5).round() / 100.0;
    Check {
        name: name.to_owned(),
        status,
        latency_ms,
        error,
    }
}

impl Health {
    pub fn of(service: &str, checks: Vec<Check>) -> Self {
        let well = checks.iter().all(|check| check.status == Status::Healthy);
        Self {
            service: service.to_owned(),
            status: if well { Status::Healthy } else { Status::Degraded },
            checks,
        }
    }
}

/// 200, or 503 with `Retry-After` when degraded.
impl IntoResponse for Health {
    fn into_response(self) -> Response {
        let well = self.status == Status::Healthy;
        let mut response = Json(self).into_response();
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if !well {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
