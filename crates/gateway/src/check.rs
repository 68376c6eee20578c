//! The configuration looked at without being put in force: what `portico check` tells.

use crate::{
    Inputs, Settings,
    api::Published,
    gateway::Control,
    provider::{file, template::Environment},
    settings::FileProvider,
};
use foundation::Error;
use std::sync::Arc;

/// Every mistake in the dynamic files, and every router, service or middleware that would be off, with the reason.
///
/// # Errors
/// The gateway could not even be made, as with [`crate::open`].
pub fn check(settings: Settings, inputs: Inputs) -> Result<Vec<String>, Error> {
    let (files, environment) = (settings.providers.file.clone(), settings.environment.clone());
    let control = Control::make(settings, inputs, Vec::new())?;
    let mut mistakes = match files {
        Some(files) => apply(&files, &environment, &control),
        None => Vec::new(),
    };
    mistakes.extend(Published::mistakes(&control.published));
    Ok(mistakes)
}

fn apply(files: &FileProvider, environment: &Environment, control: &Arc<Control>) -> Vec<String> {
    match file::read_all(&files.path, environment) {
        Ok(dynamic) => {
            control.apply("file", dynamic);
            Vec::new()
        }
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}
