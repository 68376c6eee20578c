//! W3C trace context (<https://www.w3.org/TR/trace-context/>) through every hop, and spans exported over OTLP/HTTP when the
//! standard `OTEL_*` variables ask for it. Without an exporter a span is two random ids and costs nothing more.

use crate::client::{self, Client};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::{
    Context, InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer as _,
        TracerProvider as _,
    },
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use std::{borrow::Cow, fmt, time::Duration};

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where in a trace we are. Copied through the program, written to `traceparent` on every hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub sampled: bool,
}

impl TraceContext {
    /// A new trace. Not sampled: nobody upstream asked, and a tracer that is on decides for itself.
    pub fn root() -> Self {
        Self {
            trace_id: rand::random(),
            span_id: rand::random(),
            sampled: false,
        }
    }

    /// `None` without a header, or with one that is not well formed (which the standard says to ignore).
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?;
        if values.next().is_some() {
            None
        } else {
            Self::parse(value.as_bytes())
        }
    }

    pub fn parse(text: &[u8]) -> Option<Self> {
        let well_formed = text.len() >= 55 && text[2] == b'-' && text[35] == b'-' && text[52] == b'-';
        if !well_formed || &text[..2] == b"ff" || (&text[..2] == b"00" && text.len() != 55) {
            return None;
        }
        let version: [u8; 1] = hex(&text[..2])?;
        if version[0] != 0 && text.len() > 55 && text[55] != b'-' {
            return None;
        }
        let (trace_id, span_id) = (hex(&text[3..35])?, hex(&text[36..52])?);
        let flags: [u8; 1] = hex(&text[53..55])?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            sampled: flags[0] & 1 == 1,
        })
    }

    /// The same trace, a new span: what the next hop sees as its parent.
    pub fn child(&self) -> Self {
        Self {
            span_id: rand::random(),
            ..*self
        }
    }

    pub fn to_traceparent(&self) -> String {
        format!(
            "00-{}-{}-0{}",
            self.trace_id_hex(),
            Hex(&self.span_id),
            u8::from(self.sampled)
        )
    }

    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.to_traceparent()) {
            headers.insert(TRACEPARENT, value);
        }
    }

    pub fn trace_id_hex(&self) -> String {
        Hex(&self.trace_id).to_string()
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Lower-case hex only, as the standard demands.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// What to export and where; filled from `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME` and their kin.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The base endpoint; spans go to `{endpoint}/v1/traces`.
    pub endpoint: String,
    pub service_name: String,
    /// `OTEL_EXPORTER_OTLP_HEADERS`
    pub headers: Vec<(String, String)>,
    /// `OTEL_RESOURCE_ATTRIBUTES`
    pub resource: Vec<(String, String)>,
    /// `OTEL_TRACES_SAMPLER_ARG`, 0.0 to 1.0, for traces that begin here.
    pub ratio: f64,
}

/// Makes spans. Off, it only continues trace ids.
#[derive(Clone, Default)]
pub struct Tracer(Option<Exporting>);

#[derive(Clone)]
struct Exporting {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracer {
    /// # Errors
    /// The endpoint is not a URL.
    pub fn export(settings: Settings, client: Client) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Outbound {
                client,
                runtime: tokio::runtime::Handle::current(),
            })
            .with_endpoint(format!("{}/v1/traces", settings.endpoint.trim_end_matches('/')))
            .with_headers(settings.headers.into_iter().collect())
            .with_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT '{}': {error}", settings.endpoint))?;
        let attributes = settings
            .resource
            .into_iter()
            .map(|(key, value)| KeyValue::new(key, value));
        let resource = Resource::builder()
            .with_service_name(settings.service_name)
            .with_attributes(attributes)
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer_with_scope(InstrumentationScope::builder("portico").build());
        Ok(Self(Some(Exporting { provider, tracer })))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Starts a span below `parent` (or a new trace).
    pub fn span(&self, name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: Option<TraceContext>) -> Span {
        let Some(exporting) = &self.0 else {
            let context = parent.map_or_else(TraceContext::root, |parent| parent.child());
            return Span { context, live: None };
        };
        let above = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(to_sdk(parent))
        });
        let live = exporting
            .tracer
            .build_with_context(SpanBuilder::from_name(name).with_kind(kind), &above);
        let context = from_sdk(live.span_context());
        Span {
            context,
            live: Some(Box::new(live)),
        }
    }

    /// Sends what is queued; call it before the process ends. Blocks for the export's time at most.
    pub fn shutdown(&self) {
        if let Some(exporting) = &self.0
            && let Err(error) = exporting.provider.shutdown()
        {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

pub use opentelemetry::trace::SpanKind as Kind;

pub struct Span {
    pub context: TraceContext,
    live: Option<Box<opentelemetry_sdk::trace::Span>>,
}

impl Span {
    pub fn attribute(&mut self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(live) = &mut self.live {
            live.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Ends the span of an HTTP exchange; 5xx marks it as failed (OpenTelemetry semantic conventions for HTTP).
    pub fn end_http(mut self, status: u16) {
        if let Some(live) = &mut self.live {
            live.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            if status >= 500 {
                live.set_status(Status::error(""));
            }
            live.end();
        }
    }
}

fn to_sdk(context: TraceContext) -> SpanContext {
    let flags = if context.sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::default()
    };
    let (trace_id, span_id) = (
        TraceId::from_bytes(context.trace_id),
        SpanId::from_bytes(context.span_id),
    );
    SpanContext::new(trace_id, span_id, flags, true, TraceState::default())
}

fn from_sdk(context: &SpanContext) -> TraceContext {
    TraceContext {
        trace_id: context.trace_id().to_bytes(),
        span_id: context.span_id().to_bytes(),
        sampled: context.is_sampled(),
    }
}

/// Lends our client to the exporter, whose own thread runs no Tokio.
struct Outbound {
    client: Client,
    runtime: tokio::runtime::Handle,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound")
    }
}

impl HttpClient for Outbound {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
    {
        let client = self.client.clone();
        let work = self.runtime.spawn(async move {
            client
                .fetch(request.map(client::full), Duration::from_secs(10), 64 * 1024)
                .await
        });
        Box::pin(async move { Ok(work.await??) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_well_formed_traceparent_survives_the_round_trip() {
        let context = TraceContext::parse(VALID.as_bytes()).expect("valid");
        assert!(context.sampled);
        assert_eq!(context.to_traceparent(), VALID);
    }

    #[test]
    fn malformed_traceparents_are_ignored() {
        let bad = [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ];
        for text in bad {
            assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_tracer_that_is_off_continues_the_trace() {
        let parent = TraceContext::parse(VALID.as_bytes()).expect("valid");
        let span = Tracer::default().span("request", Kind::Server, Some(parent));
        assert_eq!(span.context.trace_id, parent.trace_id);
        assert_ne!(span.context.span_id, parent.span_id);
    }
}
