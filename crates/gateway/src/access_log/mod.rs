//! Traefik's access log: a line a request, in the Common Log Format it extends or in JSON with its field names, to standard output or to
//! a file that may be moved away meanwhile.

mod line;

pub use line::Logged;

use crate::{
    middleware::errors::range,
    traefik::{Access, AccessFields},
};
use line::Line;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use telemetry::sink::Sink;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Common,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Keep,
    Drop,
    Redact,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub format: Format,
    /// Standard output without one.
    pub file: Option<String>,
    /// The gateway's own routes, too.
    pub internals: bool,
    statuses: Vec<(u16, u16)>,
    retries: bool,
    slower_than: Option<Duration>,
    fields: Modes,
    headers: Modes,
}

/// What becomes of a field, by its name in lower case.
#[derive(Clone, Debug, PartialEq)]
struct Modes {
    usual: Mode,
    named: BTreeMap<String, Mode>,
}

impl Modes {
    fn read(
        usual: Mode,
        given: Option<&String>,
        names: Option<&indexmap::IndexMap<String, String>>,
    ) -> Result<Self, String> {
        let mode = |text: &str| match text.to_ascii_lowercase().as_str() {
            "keep" => Ok(Mode::Keep),
            "drop" => Ok(Mode::Drop),
            "redact" => Ok(Mode::Redact),
            _ => Err(format!("fields: '{text}' is none of keep, drop and redact")),
        };
        let named = names
            .into_iter()
            .flatten()
            .map(|(name, text)| Ok((name.to_ascii_lowercase(), mode(text)?)));
        Ok(Self {
            usual: given.map_or(Ok(usual), |text| mode(text))?,
            named: named.collect::<Result<_, String>>()?,
        })
    }

    fn of(&self, name: &str) -> Mode {
        self.named
            .get(&name.to_ascii_lowercase())
            .copied()
            .unwrap_or(self.usual)
    }
}

impl Settings {
    /// # Errors
    /// A value that cannot be used.
    pub fn read(access: &Access) -> Result<Self, String> {
        let format = match access.format.as_deref() {
            None | Some("" | "common") => Format::Common,
            Some("json") => Format::Json,
            Some(other) => return Err(format!("the format '{other}' is neither common nor json")),
        };
        let filters = access.filters.clone().unwrap_or_default();
        let AccessFields {
            default_mode,
            names,
            headers,
        } = access.fields.clone().unwrap_or_default();
        let headers = headers.unwrap_or_default();
        Ok(Self {
            format,
            file: access.file_path.clone().filter(|path| !path.is_empty()),
            internals: access.add_internals == Some(true),
            statuses: filters
                .status_codes
                .iter()
                .flatten()
                .map(|text| range(text))
                .collect::<Result<_, _>>()?,
            retries: filters.retry_attempts == Some(true),
            slower_than: filters
                .min_duration
                .map(|period| period.0)
                .filter(|period| !period.is_zero()),
            fields: Modes::read(Mode::Keep, default_mode.as_ref(), names.as_ref())?,
            headers: Modes::read(Mode::Drop, headers.default_mode.as_ref(), headers.names.as_ref())?,
        })
    }

    /// Without a filter every line is kept; with several, a line that one of them wants.
    fn wants(&self, line: &Line<'_>) -> bool {
        let any = !self.statuses.is_empty() || self.retries || self.slower_than.is_some();
        let by_status = self
            .statuses
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&line.status));
        let by_retries = self.retries && line.logged.retries > 0;
        let by_time = self.slower_than.is_some_and(|least| line.took >= least);
        !any || by_status || by_retries || by_time
    }
}

pub struct AccessLog {
    settings: Settings,
    sink: Sink,
    count: AtomicU64,
}

impl AccessLog {
    /// # Errors
    /// The file cannot be opened.
    pub fn open(settings: Settings) -> std::io::Result<Self> {
        Ok(Self {
            sink: Sink::open(settings.file.as_deref().map(Path::new))?,
            settings,
            count: AtomicU64::new(0),
        })
    }

    pub fn internals(&self) -> bool {
        self.settings.internals
    }

    pub fn write(&self, line: &Line<'_>) {
        let count = self.count.fetch_add(1, Relaxed) + 1;
        if !self.settings.wants(line) {
            return;
        }
        let mut text = match self.settings.format {
            Format::Common => line.common(&self.settings, count),
            Format::Json => line.json(&self.settings, count),
        };
        text.push('\n');
        told(self.sink.write(text.as_bytes()));
    }

    /// Writes out what waits, and follows a file that was moved away. Called a few times a second.
    pub fn flush(&self) {
        told(self.sink.flush());
    }
}

fn told(written: std::io::Result<()>) {
    if let Err(error) = written {
        tracing::error!(%error, "access log lines were lost, or the file cannot be opened again");
    }
}

pub use line::Line as Entry;
