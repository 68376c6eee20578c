//! Keeps this process's token verifier in step with the platform schema: new signing keys, ended sessions.

use foundation::Result;
use http_chassis::{auth::Verifier, axum::http::Request};
use postgres_chassis::{DatabaseUrl, Pool, Signal, listen, trust};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use telemetry::client::{Client, full};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Also without a notification, so that expired keys and sessions are let go.
const RELOAD_EVERY: Duration = Duration::from_secs(60);

/// A new key is published ten seconds before it signs.
const REFETCH_EVERY: Duration = Duration::from_secs(5);

pub async fn load(verifier: &Verifier, pool: &Pool) -> Result<()> {
    let trust = trust::load(pool).await?;
    verifier.set_keys(&trust.keys);
    verifier.set_ended(trust.ended);
    Ok(())
}

/// For a gateway without a database: core's published keys, fetched until `stop`. Ended sessions are core's and the other
/// services' business then; they all verify for themselves.
pub async fn follow_jwks(verifier: Arc<Verifier>, urls: Vec<String>, client: Client, stop: CancellationToken) {
    let mut known = false;
    for url in urls.iter().cycle() {
        match fetch_jwks(&client, url).await {
            Ok(keys) => {
                verifier.set_keys(&keys);
                known = true;
            }
            Err(error) => tracing::debug!(url, error, "core's keys were not fetched"),
        }
        let pause = if known {
            REFETCH_EVERY
        } else {
            Duration::from_millis(200)
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
    // No core to ask: only the shared secret is left to verify with.
    stop.cancelled().await;
}

async fn fetch_jwks(client: &Client, core: &str) -> std::result::Result<Vec<Value>, String> {
    let request = Request::get(format!("{core}/.well-known/jwks.json"))
        .body(full(""))
        .map_err(|error| error.to_string())?;
    let answer = client
        .fetch(request, Duration::from_secs(5), 1024 * 1024)
        .await
        .map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("the answer is {}", answer.status()));
    }
    let set: Value = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
    set["keys"]
        .as_array()
        .cloned()
        .ok_or_else(|| "the answer is no key set".to_owned())
}

pub async fn follow(verifier: Arc<Verifier>, pool: Pool, url: DatabaseUrl, stop: CancellationToken) {
    let (signals, mut heard) = mpsc::channel(64);
    let listening = listen(url, vec![trust::CHANNEL.to_owned()], signals);
    let following = async {
        loop {
            let signal = tokio::time::timeout(RELOAD_EVERY, heard.recv()).await;
            if matches!(signal, Ok(None)) {
                return;
            }
            // A burst of notifications needs one reload.
            while let Ok(Signal::Notification { .. } | Signal::Connected) = heard.try_recv() {}
            if let Err(error) = load(&verifier, &pool).await {
                tracing::warn!(cause = %error.chain(), "keys and ended sessions were not reloaded");
            }
        }
    };
    tokio::select! {
        () = listening => {}
        () = following => {}
        () = stop.cancelled() => {}
    }
}
