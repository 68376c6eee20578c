//! DNS-01: puts a proof into the zone, through Cloudflare's API or a program of the operator's, and waits until it is seen.
//! Names of variables and the program's arguments are those Traefik's users have (lego's).

mod cloudflare;
mod query;

use super::{challenge::Proof, http::Http};
use crate::settings::resolver::DnsChallenge;
use cloudflare::Cloudflare;
use std::{collections::HashMap, time::Duration};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

/// Variables of the process, as the composition hands them over.
pub type Environment = HashMap<String, String>;

pub struct Dns {
    provider: Provider,
    resolvers: Vec<String>,
    delay: Duration,
    check: bool,
    patience: Duration,
    interval: Duration,
    /// A name that stands for another gets its proof there.
    follow: bool,
}

/// So many names may stand for each other.
const MOST_ALIASES: usize = 8;

enum Provider {
    Cloudflare(Box<Cloudflare>),
    Exec { program: String, raw: bool },
}

impl Dns {
    /// # Errors
    /// A provider we do not know, or a variable it needs and does not find.
    pub fn open(challenge: &DnsChallenge, environment: &Environment) -> Result<Self, String> {
        let text = |name: &str| {
            environment
                .get(name)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let seconds = |name: &str, usual: u64| {
            let given = text(name).and_then(|text| text.parse().ok());
            Duration::from_secs(given.unwrap_or(usual))
        };
        let (provider, prefix, patience) = match challenge.provider.as_str() {
            "cloudflare" => {
                let http = Http::new(&[], None)?;
                (
                    Provider::Cloudflare(Box::new(Cloudflare::open(http, environment)?)),
                    "CLOUDFLARE",
                    120,
                )
            }
            "exec" => {
                let program = text("EXEC_PATH").ok_or("the DNS provider exec needs EXEC_PATH, the program to run")?;
                let raw = text("EXEC_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("raw"));
                (Provider::Exec { program, raw }, "EXEC", 60)
            }
            other => {
                return Err(format!(
                    "dnsChallenge.provider: '{other}' is not supported; there are cloudflare and exec (any other DNS by a \
                     program of yours)"
                ));
            }
        };
        Ok(Self {
            provider,
            resolvers: challenge.resolvers.clone(),
            delay: challenge.delay,
            check: challenge.check,
            patience: seconds(&format!("{prefix}_PROPAGATION_TIMEOUT"), patience),
            interval: seconds(&format!("{prefix}_POLLING_INTERVAL"), 2),
            follow: !text("LEGO_DISABLE_CNAME_SUPPORT").is_some_and(|off| off.eq_ignore_ascii_case("true")),
        })
    }

    pub async fn present(&self, proof: &Proof) -> Result<(), String> {
        match &self.provider {
            Provider::Cloudflare(cloudflare) => cloudflare.add(&proof.record, &proof.digest).await,
            Provider::Exec { program, raw } => run(program, *raw, "present", proof).await,
        }
    }

    pub async fn take_away(&self, proof: &Proof) -> Result<(), String> {
        match &self.provider {
            Provider::Cloudflare(cloudflare) => cloudflare.remove(&proof.record, &proof.digest).await,
            Provider::Exec { program, raw } => run(program, *raw, "cleanup", proof).await,
        }
    }

    /// Returns when the name servers show the record.
    pub async fn wait(&self, proof: &Proof) -> Result<(), String> {
        sleep(self.delay).await;
        if !self.check {
            return Ok(());
        }
        let (record, until) = (&proof.record, Instant::now() + self.patience);
        for server in &self.servers() {
            let mut seen = query::texts(server, record).await;
            while !seen.as_ref().is_ok_and(|texts| texts.contains(&proof.digest)) {
                if Instant::now() > until {
                    let found = match seen {
                        Ok(texts) => format!("it shows {} other records", texts.len()),
                        Err(error) => error,
                    };
                    return Err(format!(
                        "{record} is not seen at the name server {server} after {:?}: {found}",
                        self.patience
                    ));
                }
                sleep(self.interval).await;
                seen = query::texts(server, record).await;
            }
        }
        Ok(())
    }

    fn servers(&self) -> Vec<String> {
        if self.resolvers.is_empty() {
            query::system()
        } else {
            self.resolvers.clone()
        }
    }

    /// The record's name, with the final dot: where the proof's own name leads.
    pub async fn record(&self, name: &str) -> String {
        let mut record = format!("_acme-challenge.{}.", name.trim_start_matches("*."));
        let servers = self.servers();
        let Some(server) = servers.first().filter(|_| self.follow) else {
            return record;
        };
        for _ in 0..MOST_ALIASES {
            match query::alias(server, &record).await {
                Ok(Some(target)) if target != record => record = target,
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(server, record, error, "whether a name stands for another is not known");
                    break;
                }
            }
        }
        record
    }
}

async fn run(program: &str, raw: bool, action: &str, proof: &Proof) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(action).kill_on_drop(true);
    if raw {
        command.args(["--", &proof.name, &proof.token, &proof.authorized]);
    } else {
        command.args([&proof.record, &proof.digest]);
    }
    let running = tokio::time::timeout(Duration::from_secs(120), command.output());
    let output = match running.await {
        Ok(output) => output.map_err(|error| format!("'{program}' cannot be run: {error}"))?,
        Err(_) => return Err(format!("'{program} {action}' did not end within two minutes")),
    };
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().last().unwrap_or_default();
    Err(format!("'{program} {action}' ended with {}: {told}", output.status))
}
