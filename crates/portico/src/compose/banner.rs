//! What a person in front of the terminal wants to know, on standard error; standard output is the log's.

use std::{fmt::Display, time::Instant};

#[derive(Default)]
pub struct Banner {
    lines: Vec<String>,
    web: Option<String>,
    pub setup_link: Option<String>,
}

impl Banner {
    /// `(entrypoint, address)`; also logged, for who starts us on random ports.
    pub fn add_all<A: Display>(&mut self, addresses: &[(String, A)]) {
        for (name, address) in addresses {
            tracing::info!(entrypoint = name, %address, "listening");
            let scheme = if name == "websecure" { "https" } else { "http" };
            let url = format!("{scheme}://{address}");
            if name == "web" {
                self.web = Some(url.clone());
            }
            self.lines.push(format!("  {name:10} {url}"));
        }
    }

    pub fn show(&self, started: Instant) {
        let milliseconds = started.elapsed().as_millis();
        tracing::info!(milliseconds = milliseconds as u64, "ready");
        eprintln!(
            "Portico {} is ready after {milliseconds} ms.",
            env!("CARGO_PKG_VERSION")
        );
        for line in &self.lines {
            eprintln!("{line}");
        }
        if let Some(web) = &self.web {
            eprintln!("  try: curl {web}/health");
        }
        if let Some(link) = &self.setup_link {
            eprintln!("There is no administrator yet. Make one, within a day, at:\n  {link}");
        }
    }
}
