//! What surrounds every handler of a service: request id, trace span, the log's context, metrics, panics caught, and
//! failures written out with their path and logged with their cause.

use crate::{
    problem::{self, Told},
    request_id,
};
use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use foundation::{Error, Kind};
use futures_util::FutureExt;
use http::{HeaderMap, Method, header};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};
use telemetry::{
    context::{self, RequestContext},
    metrics::{EncodeLabelSet, Family, Histogram, LabelSetEncoder, Metrics},
    trace::{self, TraceContext, Tracer},
};

/// OpenTelemetry's `http.server.request.duration`, as Prometheus spells it.
#[derive(Clone)]
pub struct HttpMetrics(Family<Labels, Histogram, fn() -> Histogram>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    service: &'static str,
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [
            ("service", self.service),
            ("method", self.method),
            ("route", &*self.route),
        ]
        .encode(encoder)?;
        [("status", self.status)].encode(encoder)
    }
}

impl HttpMetrics {
    /// Made once for all services of the process.
    pub fn register(metrics: &Metrics) -> Self {
        let seconds: Family<Labels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(telemetry::metrics::DURATION_BUCKETS));
        Self(metrics.register(
            "http_server_request_duration_seconds",
            "Time to the response head, by route",
            seconds,
        ))
    }

    /// The durations of one route and status, for who counts by themselves.
    pub fn of(&self, service: &'static str, method: &'static str, route: &str, status: u16) -> Histogram {
        let labels = Labels {
            service,
            method,
            route: route.into(),
            status,
        };
        self.0.get_or_create_owned(&labels)
    }
}

#[derive(Clone)]
pub struct Envelope {
    pub service: &'static str,
    pub metrics: HttpMetrics,
    pub tracer: Tracer,
    /// A line per request, where no gateway of the same process writes one.
    pub logs: bool,
}

/// Wraps a service's router; unknown paths and methods are answered here too.
pub fn wrap(router: Router, envelope: Envelope) -> Router {
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::new(envelope), surround))
}

async fn not_found() -> problem::Failure {
    problem::Failure(Error::new(Kind::NotFound, "NOT_FOUND", "There is nothing at this path"))
}

async fn method_not_allowed(method: Method) -> problem::Failure {
    let message = format!("{method} is not allowed here; the Allow header lists what is");
    problem::Failure(Error::new(Kind::MethodNotAllowed, "METHOD_NOT_ALLOWED", message))
}

async fn surround(State(envelope): State<Arc<Envelope>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id::keep_or_make(request.headers());
    let method = known_method(request.method());
    let route: Arc<str> = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".into(), |path| Arc::from(path.as_str()));
    let path = request.uri().path().to_owned();
    let parent = TraceContext::from_headers(request.headers());
    let name: std::borrow::Cow<'static, str> = if envelope.tracer.is_on() {
        format!("{method} {route}").into()
    } else {
        "request".into()
    };
    let mut span = envelope.tracer.span(name, trace::Kind::Server, parent);
    span.attribute("http.request.method", method);
    span.attribute("http.route", route.to_string());
    span.attribute("service.part", envelope.service);
    let current = RequestContext {
        request_id: request_id.clone(),
        trace: span.context,
    };
    let asked = envelope.logs.then(|| (method, path.clone()));
    let mut response = context::scope(current.clone(), answer(request, next, &path)).await;
    request_id::set(response.headers_mut(), &request_id);
    let status = response.status().as_u16();
    if let Some((method, path)) = asked {
        let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
        context::within(&current, || {
            tracing::info!(target: "access", service = envelope.service, method, path, status, milliseconds, "request");
        });
    }
    let labels = Labels {
        service: envelope.service,
        method,
        route,
        status,
    };
    envelope
        .metrics
        .0
        .get_or_create(&labels)
        .observe(started.elapsed().as_secs_f64());
    span.end_http(status);
    response
}

async fn answer(request: Request, next: Next, path: &str) -> Response {
    let response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let said = said
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            let error = Error::internal("a handler panicked", said);
            tracing::error!(path, cause = %error.chain(), "request failed");
            return problem::respond(&error, path);
        }
    };
    match response.extensions().get::<Told>() {
        Some(Told(error)) => {
            log(error, path);
            keep_headers(problem::respond(error, path), response.headers())
        }
        None => response,
    }
}

/// What a layer added to the first rendering (`Allow`, CORS) belongs to the final one too.
fn keep_headers(mut fresh: Response, given: &HeaderMap) -> Response {
    for (name, value) in given {
        if name != header::CONTENT_LENGTH && !fresh.headers().contains_key(name) {
            fresh.headers_mut().append(name, value.clone());
        }
    }
    fresh
}

fn log(error: &Error, path: &str) {
    match error.kind {
        Kind::Internal => tracing::error!(path, code = error.code, cause = %error.chain(), "request failed"),
        Kind::Unavailable | Kind::BadGateway | Kind::Timeout => {
            tracing::warn!(path, code = error.code, cause = %error.chain(), "request failed");
        }
        _ => tracing::debug!(path, code = error.code, detail = error.message, "request refused"),
    }
}

/// A label must not be the caller's free text.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
