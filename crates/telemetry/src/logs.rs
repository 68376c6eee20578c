//! JSON logs on standard output, or in a file, one object a line: `timestamp`, `level`, `target`, `message`, then the event's own
//! fields, and the `request_id` and `trace_id` of the request being served.
//!
//! Lines gather in memory and are written every 50 ms, or at once from WARN on: a write per line would cost more than
//! answering a redirect does.

use crate::{context, sink::Sink};
use serde_json::Value;
use std::{
    fmt,
    io::Write,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::{Event, Level, Subscriber, field};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, prelude::*, registry::LookupSpan};

const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Installs the process-wide log. `filter` is in `RUST_LOG` syntax (`info`, `gateway=debug,info`).
///
/// # Errors
/// The filter does not parse, the file cannot be opened, or a log is installed already.
pub fn install(filter: &str, file: Option<&Path>, tee: Option<mpsc::SyncSender<Vec<u8>>>) -> Result<Logs, String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("log filter '{filter}': {error}"))?;
    let named = || file.map(|path| path.display().to_string()).unwrap_or_default();
    let logs =
        Logs(Arc::new(Sink::open(file).map_err(|error| {
            format!("the log file '{}' cannot be opened: {error}", named())
        })?));
    let layer = JsonLayer {
        logs: logs.clone(),
        tee,
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .map_err(|error| error.to_string())?;
    let flusher = logs.clone();
    std::thread::Builder::new()
        .name("logs".into())
        .spawn(move || {
            loop {
                std::thread::sleep(FLUSH_EVERY);
                flusher.flush();
            }
        })
        .map_err(|error| format!("log thread: {error}"))?;
    Ok(logs)
}

/// Flush before the process ends; lines younger than 50 ms wait in memory otherwise.
#[derive(Clone)]
pub struct Logs(Arc<Sink>);

impl Logs {
    pub fn flush(&self) {
        // A closed stdout or a full disk must not stop the service; there is nowhere left to report it.
        let _ = self.0.flush();
    }

    fn push(&self, line: &[u8], urgent: bool) {
        let _ = self.0.write(line);
        if urgent {
            self.flush();
        }
    }
}

struct JsonLayer {
    logs: Logs,
    tee: Option<mpsc::SyncSender<Vec<u8>>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = Line::open(OffsetDateTime::now_utc(), event.metadata());
        event.record(&mut line);
        context::with_current(|request| {
            line.string("request_id", &request.request_id);
            line.string("trace_id", &request.trace.trace_id_hex());
        });
        let bytes = line.close();
        self.logs.push(&bytes, *event.metadata().level() <= Level::WARN);
        if let Some(tee) = &self.tee {
            // A full queue drops the copy, never the request.
            let _ = tee.try_send(bytes);
        }
    }
}

/// One JSON object being written; keys are our own field names and need no escaping.
struct Line(Vec<u8>);

impl Line {
    fn open(now: OffsetDateTime, metadata: &tracing::Metadata<'_>) -> Self {
        let mut line = Line(Vec::with_capacity(384));
        line.0.extend_from_slice(b"{\"timestamp\":\"");
        // The format is fixed and the buffer grows: it cannot fail, and a lost stamp would not be worth a lost line.
        let _ = now.format_into(&mut line.0, &Rfc3339);
        line.0.push(b'"');
        line.string("level", level_name(*metadata.level()));
        line.string("target", metadata.target());
        line
    }

    fn close(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"}\n");
        self.0
    }

    fn key(&mut self, key: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        // Serialising a string into memory cannot fail.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    fn display(&mut self, key: &str, value: impl fmt::Display) {
        self.key(key);
        let _ = write!(self.0, "{value}");
    }
}

impl field::Visit for Line {
    fn record_str(&mut self, field: &field::Field, value: &str) {
        self.string(field.name(), value);
    }
    fn record_u64(&mut self, field: &field::Field, value: u64) {
        self.display(field.name(), value);
    }
    fn record_i64(&mut self, field: &field::Field, value: i64) {
        self.display(field.name(), value);
    }
    fn record_bool(&mut self, field: &field::Field, value: bool) {
        self.display(field.name(), value);
    }
    fn record_f64(&mut self, field: &field::Field, value: f64) {
        self.display(field.name(), Value::from(value));
    }
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        self.string(field.name(), &format!("{value:?}"));
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object_whatever_the_values_hold() {
        let mut line = Line(b"{\"timestamp\":\"t\"".to_vec());
        line.string("message", "a \"quoted\"\nline");
        line.display("status", 200);
        let text = line.close();
        let value: Value = serde_json::from_slice(&text).expect("json");
        assert_eq!(value["message"], "a \"quoted\"\nline");
        assert_eq!(value["status"], 200);
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
