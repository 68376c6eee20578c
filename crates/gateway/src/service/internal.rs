//! Services the gateway is itself: ping, metrics, the API, the platform's health, the index page.

use super::Service;
use crate::{answer, api::Published, exchange::Exchange};
use axum::{body::Body, response::Response};
use foundation::OffsetDateTime;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_chassis::health::{Health, Status};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use telemetry::metrics::Metrics;

pub enum Internal {
    Api(Arc<Published>),
    Dashboard,
    Ping,
    Noop,
    Metrics(Metrics),
    /// The health of the platform, from its services.
    Health(Vec<(String, Arc<Service>)>),
    Index,
    /// An entrypoint's redirection.
    Redirect {
        scheme: String,
        port: String,
        permanent: bool,
    },
}

/// A service that does not say how it is within this time is degraded.
const PATIENCE: Duration = Duration::from_secs(4);

impl Internal {
    pub async fn call(&self, request: Request<Body>, exchange: &mut Exchange) -> Response {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match self {
            Self::Ping => Response::new(Body::from("OK")),
            Self::Noop => super::noop(),
            Self::Redirect {
                scheme,
                port,
                permanent,
            } => crate::middleware::redirect::to_scheme(&request, exchange, scheme, port, *permanent)
                .unwrap_or_else(|| answer::problem(&answer::no_route(), exchange)),
            _ if !reads => method_not_allowed(exchange),
            Self::Api(published) => published.answer(request.uri(), exchange),
            Self::Dashboard => dashboard(&request),
            Self::Metrics(metrics) => metrics_text(metrics, exchange),
            Self::Health(services) => platform(services, exchange).await,
            Self::Index => index(&request),
        }
    }
}

/// The dashboard to come lives at `/dashboard/`; until then it says where its data is.
fn dashboard(request: &Request<Body>) -> Response {
    if request.uri().path() == "/" {
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let scheme = request
            .headers()
            .get(crate::forwarded::X_FORWARDED_PROTO)
            .and_then(|proto| proto.to_str().ok())
            .unwrap_or("http");
        return answer::redirect(StatusCode::MOVED_PERMANENTLY, &format!("{scheme}://{host}/dashboard/"))
            .unwrap_or_default();
    }
    answer::text(
        StatusCode::OK,
        "The dashboard's data: /api/overview, /api/rawdata, /api/http/routers, /api/http/services, /api/http/middlewares, /api/entrypoints\n",
    )
}

fn method_not_allowed(exchange: &Exchange) -> Response {
    let error = foundation::Error::new(
        foundation::Kind::MethodNotAllowed,
        "METHOD_NOT_ALLOWED",
        "Only GET and HEAD are allowed here",
    );
    let mut response = answer::problem(&error, exchange);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn metrics_text(metrics: &Metrics, exchange: &Exchange) -> Response {
    match metrics.render() {
        Ok(text) => {
            let mut response = answer::text(StatusCode::OK, text);
            let kind = HeaderValue::from_static(telemetry::metrics::CONTENT_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(error) => answer::problem(&foundation::Error::internal("rendering metrics", error), exchange),
    }
}

fn index(request: &Request<Body>) -> Response {
    let accepts = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let links = [
        ("health", "/health"),
        ("core", "/v1/core/docs"),
        ("media", "/v1/media/docs"),
        ("graphql", "/v1/links/graphql"),
        ("console", "/v1/links/console"),
    ];
    if accepts.contains("text/html") {
        let items: String = links
            .iter()
            .map(|(name, path)| format!("<li><a href=\"{path}\">{name}</a></li>"))
            .collect();
        let page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Portico</title><h1>Portico</h1><ul>{items}</ul></html>"
        );
        let mut response = answer::text(StatusCode::OK, page);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        return response;
    }
    let links: serde_json::Map<String, Value> = links
        .iter()
        .map(|(name, path)| ((*name).to_owned(), json!(path)))
        .collect();
    answer::json(
        StatusCode::OK,
        json!({"name": "portico", "version": env!("CARGO_PKG_VERSION"), "links": links}).to_string(),
    )
}

/// Every service, and what they stand on (database, store) once each, at its worst.
async fn platform(services: &[(String, Arc<Service>)], exchange: &Exchange) -> Response {
    let asked = services.iter().map(|(name, service)| ask(name, service, exchange));
    let answers = futures_util::future::join_all(asked).await;
    let mut entries = vec![json!({"service": "gateway", "status": "healthy", "latency_ms": 0.0})];
    let mut dependencies: Vec<(String, Status, f64, Vec<String>)> = Vec::new();
    let mut well = true;
    for (name, health, latency) in answers {
        well &= health.status == Status::Healthy;
        entries.push(json!({"service": name, "status": health.status, "latency_ms": latency, "checks": health.checks}));
        for check in health.checks {
            match dependencies.iter_mut().find(|(known, ..)| *known == check.name) {
                Some((_, status, worst, by)) => {
                    if check.status == Status::Degraded {
                        *status = Status::Degraded;
                    }
                    *worst = worst.max(check.latency_ms);
                    by.push(name.clone());
                }
                None => dependencies.push((check.name, check.status, check.latency_ms, vec![name.clone()])),
            }
        }
    }
    entries.extend(dependencies.into_iter().map(|(name, status, latency, by)| {
        json!({"service": name, "status": status, "latency_ms": latency, "checked_by": by})
    }));
    let status = if well { Status::Healthy } else { Status::Degraded };
    let body =
        json!({"status": status, "timestamp": foundation::rfc3339(OffsetDateTime::now_utc()), "services": entries});
    let code = if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut response = answer::json(code, body.to_string());
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !well {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

async fn ask(name: &str, service: &Service, exchange: &Exchange) -> (String, Health, f64) {
    let started = Instant::now();
    let mut aside = exchange.aside();
    let mut request = Request::new(Body::empty());
    if let Ok(uri) = format!("/v1/{name}/health").parse() {
        *request.uri_mut() = uri;
    }
    request
        .headers_mut()
        .insert(header::HOST, HeaderValue::from_static("localhost"));
    request
        .headers_mut()
        .insert(http_chassis::request_id::HEADER, exchange.request_id.clone());
    let answer = async {
        let response = service.call(request, &mut aside).await;
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 256 * 1024)
            .await
            .unwrap_or_default();
        serde_json::from_slice::<Health>(&bytes).unwrap_or_else(|_| Health {
            service: name.to_owned(),
            status: if status.is_success() {
                Status::Healthy
            } else {
                Status::Degraded
            },
            checks: Vec::new(),
        })
    };
    let degraded = || Health {
        service: name.to_owned(),
        status: Status::Degraded,
        checks: Vec::new(),
    };
    let health = tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| degraded());
    let latency = (started.elapsed().as_secs_f64() * 1e5).round() / 100.0;
    (name.to_owned(), health, latency)
}
