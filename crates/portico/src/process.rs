//! What every long-running command stands on: the log, metrics, traces, signals, and tasks that end in order.

use crate::settings::Telemetry;
use foundation::{Error, Kind, Result};
use futures_util::future::BoxFuture;
use std::time::Duration;
use telemetry::{client::Client, logs::Logs, metrics::Metrics, trace::Tracer};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub type Task = (String, BoxFuture<'static, ()>);

pub struct Process {
    pub metrics: Metrics,
    pub tracer: Tracer,
    pub client: Client,
    logs: Logs,
    /// Closing the door: listeners stop accepting, requests under way finish.
    pub door: CancellationToken,
    /// Then the work behind it: writers flush, listeners of the database leave.
    pub work: CancellationToken,
    at_the_door: JoinSet<String>,
    at_work: JoinSet<String>,
}

impl Process {
    pub fn start(settings: &Telemetry) -> Result<Self> {
        // Traefik opens its files anew on SIGUSR1; we see a rotated file by ourselves, and must not die of the signal.
        let _ = signal(SignalKind::user_defined1());
        let wrong = |message: String| Error::new(Kind::Invalid, "TELEMETRY", message);
        let client = Client::new();
        let shipping = settings.betterstack.clone();
        let shipping = shipping.map(|settings| (settings, telemetry::betterstack::queue()));
        let (tee, shipping) = match shipping {
            Some((settings, (sender, receiver))) => (Some(sender), Some((settings, receiver))),
            None => (None, None),
        };
        let logs = telemetry::logs::install(&settings.log, settings.log_file.as_deref(), tee).map_err(wrong)?;
        let tracer = match settings.trace.clone() {
            Some(trace) => Tracer::export(trace, client.clone()).map_err(wrong)?,
            None => Tracer::default(),
        };
        if let Some((settings, lines)) = shipping {
            tokio::spawn(telemetry::betterstack::ship(settings, client.clone(), lines));
        }
        if let Some(url) = &settings.heartbeat {
            let beating = telemetry::betterstack::heartbeat(url.expose().to_owned(), client.clone());
            tokio::spawn(beating);
        }
        Ok(Self {
            metrics: Metrics::default(),
            tracer,
            client,
            logs,
            door: CancellationToken::new(),
            work: CancellationToken::new(),
            at_the_door: JoinSet::new(),
            at_work: JoinSet::new(),
        })
    }

    /// A listener; it ends when `door` is cancelled and its requests are done.
    pub fn at_the_door(&mut self, (name, task): Task) {
        self.at_the_door.spawn(async move {
            task.await;
            name
        });
    }

    /// A background task; it ends when `work` is cancelled.
    pub fn at_work(&mut self, (name, task): Task) {
        self.at_work.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits for a signal to stop, for a successor, or for a task to end that should not have.
    pub async fn wait(&mut self, other: impl Future<Output = String>, handed: &CancellationToken) -> Result<(), Error> {
        let failed = |what: String| Err(Error::new(Kind::Internal, "TASK_ENDED", what));
        let lost = |error| Error::internal("listening for signals", error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(lost)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(lost)?;
        tokio::select! {
            _ = interrupt.recv() => {
                tracing::info!(signal = "SIGINT", "stopping");
                Ok(())
            }
            _ = terminate.recv() => {
                tracing::info!(signal = "SIGTERM", "stopping");
                Ok(())
            }
            () = handed.cancelled() => {
                tracing::info!("a successor has taken the sockets");
                Ok(())
            }
            ended = self.at_the_door.join_next(), if !self.at_the_door.is_empty() => failed(ended_task(ended)),
            ended = self.at_work.join_next(), if !self.at_work.is_empty() => failed(ended_task(ended)),
            what = other => failed(what),
        }
    }

    /// Waits until so many entrypoints have let go of their last connection, or for a signal.
    pub async fn leave(&mut self, entrypoints: usize) {
        let left = async {
            let mut left = 0;
            while left < entrypoints {
                match self.at_the_door.join_next().await {
                    Some(Ok(name)) => left += usize::from(name.starts_with("entrypoint ")),
                    Some(Err(_)) => {}
                    None => return,
                }
            }
        };
        tokio::select! {
            () = left => {}
            () = second_signal() => {}
        }
    }

    /// Door, then work. A second signal ends the waiting at once.
    pub async fn stop(&mut self, deadline: Duration) {
        let ordered = async {
            self.door.cancel();
            finish("requests", &mut self.at_the_door, deadline + Duration::from_secs(2)).await;
            self.work.cancel();
            finish("background tasks", &mut self.at_work, Duration::from_secs(10)).await;
        };
        tokio::select! {
            () = ordered => {}
            () = second_signal() => tracing::warn!("a second signal: not waiting any longer"),
        }
        self.tracer.shutdown();
    }

    pub fn last_words(&self) {
        tracing::info!("stopped");
        self.logs.flush();
    }
}

fn ended_task(ended: Option<Result<String, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(name)) => format!("The task '{name}' ended by itself"),
        Some(Err(error)) => format!("A task failed: {error}"),
        None => "A task ended".into(),
    }
}

async fn finish(what: &str, tasks: &mut JoinSet<String>, deadline: Duration) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(deadline, all).await.is_err() {
        tracing::warn!(left = tasks.len(), "{what} did not end in time");
        tasks.abort_all();
    }
}

async fn second_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
