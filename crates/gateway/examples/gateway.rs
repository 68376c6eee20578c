//! The gateway alone, with Traefik's flags: for the oracle and for measuring.

use gateway::{Inputs, Settings, traefik::Static};
use std::{env, fs, process::ExitCode};
use telemetry::{metrics::Metrics, trace::Tracer};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let base = Settings {
        server_name: fs::read_to_string("/etc/hostname")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        ..Settings::default()
    };
    let read = Static::parse(&args, &[], &|path| fs::read_to_string(path)).and_then(|read| read.settings(base));
    let settings = match read {
        Ok(settings) => settings,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
            return ExitCode::FAILURE;
        }
    };
    let inputs = Inputs {
        services: Vec::new(),
        builtin: None,
        verifier: None,
        metrics: Metrics::default(),
        tracer: Tracer::default(),
        certificate_names: Vec::new(),
    };
    let gateway = match gateway::open(settings, inputs).await {
        Ok(gateway) => gateway,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let stop = CancellationToken::new();
    let tasks = gateway.tasks(&stop).into_iter().map(|(_, task)| tokio::spawn(task));
    let tasks: Vec<_> = tasks.collect();
    let mut term =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals can be awaited");
    term.recv().await;
    stop.cancel();
    for task in tasks {
        let _ = task.await;
    }
    ExitCode::SUCCESS
}
