//! The clients people use, as they come from npm: `tests/clients/graphql/clients.mjs` drives them.

use super::{Engine, SECRET};
use std::{path::PathBuf, process::Command};

/// A secret of Standard Webhooks.
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_people_use_work() {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "target", "clients"].iter().collect();
    let script = root.join("clients.mjs");
    assert!(script.exists(), "{} is missing; make e2e prepares it", script.display());
    let engine = Engine::start(&[("PORTICO_WEBHOOK_SECRET", WEBHOOK_SECRET)]).await;
    engine.library().await;
    let mut command = Command::new("node");
    command
        .arg(script)
        .env("ENDPOINT", format!("http://{}/v1/graphql", engine.address))
        .env("SECRET", SECRET)
        .env("WEBHOOK_SECRET", WEBHOOK_SECRET);
    let ended = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("it ends");
    let output = ended.expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{said}");
    assert_eq!(said.matches(": works").count(), 8, "{said}");
}
