//! What Traefik's static configuration says of the process's own log and traces.

use super::Static;
use std::path::PathBuf;

impl Static {
    /// The level asked for, as a filter of our log.
    pub fn log_filter(&self) -> Option<&'static str> {
        let level = self.log.as_ref()?.level.as_deref()?;
        Some(match level.to_ascii_uppercase().as_str() {
            "TRACE" => "trace",
            "DEBUG" => "debug",
            "WARN" | "WARNING" => "warn",
            "ERROR" | "FATAL" | "PANIC" => "error",
            _ => "info",
        })
    }

    /// Where the log goes, if not to standard output.
    pub fn log_file(&self) -> Option<PathBuf> {
        let path = self.log.as_ref()?.file_path.as_deref()?;
        (!path.is_empty()).then(|| path.into())
    }

    /// Where spans go, if they go anywhere.
    pub fn traces(&self) -> Option<telemetry::trace::Settings> {
        let tracing = self.tracing.as_ref()?;
        let http = tracing.otlp.as_ref()?.http.clone().unwrap_or_default();
        let endpoint = http
            .endpoint
            .unwrap_or_else(|| "https://localhost:4318/v1/traces".into());
        let pairs = |map: Option<indexmap::IndexMap<String, String>>| map.into_iter().flatten().collect();
        Some(telemetry::trace::Settings {
            endpoint: endpoint.trim_end_matches('/').trim_end_matches("/v1/traces").to_owned(),
            service_name: tracing.service_name.clone().unwrap_or_else(|| "traefik".into()),
            headers: pairs(http.headers),
            resource: pairs(tracing.resource_attributes.clone()),
            ratio: tracing.sample_rate.unwrap_or(1.0),
        })
    }
}
