//! Providers: where configuration comes from while the gateway runs.

mod constraints;
mod docker;
mod embed;
pub mod file;
mod http;
mod labels;
pub mod template;

use crate::gateway::Control;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One task per provider that is configured.
pub fn tasks(control: &Arc<Control>, stop: &CancellationToken) -> Vec<(String, BoxFuture<'static, ()>)> {
    let providers = &control.shared.settings.providers;
    let mut tasks: Vec<(String, BoxFuture<'static, ()>)> = Vec::new();
    if let Some(file) = providers.file.clone() {
        tasks.push((
            "file provider".into(),
            Box::pin(file::run(file, control.clone(), stop.clone())),
        ));
    }
    if let Some(http) = providers.http.clone() {
        tasks.push((
            "http provider".into(),
            Box::pin(http::run(http, control.clone(), stop.clone())),
        ));
    }
    if let Some(docker) = providers.docker.clone() {
        tasks.push((
            "docker provider".into(),
            Box::pin(docker::run(docker, control.clone(), stop.clone())),
        ));
    }
    tasks
}
