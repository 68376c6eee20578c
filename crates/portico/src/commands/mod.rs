//! The commands, a file each, and the runtime they share.

mod backup;
mod check;
pub mod config;
mod files;
mod healthcheck;
mod metadata;
mod migrate;
mod open;
mod restore;
mod token;
mod user;
pub mod version;

use crate::{
    compose,
    settings::{Settings, hasura::Hasura},
};
use clap::ArgMatches;
use foundation::{Error, Result};
use std::process::ExitCode;

pub fn run(name: &str, matches: &ArgMatches, settings: Settings) -> Result<ExitCode> {
    in_runtime(async {
        match name {
            "up" => compose::up(settings).await,
            "serve" => compose::serve(settings, matches).await,
            "check" => check::run(settings, matches).await,
            "migrate" => migrate::run(settings, matches.subcommand_name() == Some("status")).await,
            "user" => user::run(settings, matches).await,
            "token" => token::run(settings, matches).await,
            "backup" => backup::run(settings, text(matches, "directory").as_ref()).await,
            "restore" => restore::run(settings, text(matches, "directory").as_ref()).await,
            "healthcheck" => healthcheck::run(&settings).await,
            // The command line lists these and no others.
            _ => Ok(ExitCode::from(2)),
        }
    })
}

/// Against a service that may be anywhere: without settings of ours.
pub fn metadata(matches: &ArgMatches) -> Result<ExitCode> {
    in_runtime(metadata::run(matches))
}

pub fn serve_graphql(settings: &Settings, hasura: Hasura) -> Result<ExitCode> {
    in_runtime(compose::serve_graphql(settings, hasura))
}

fn in_runtime(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    // A second installation in one process cannot happen; the answer carries nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("starting the runtime", error))?;
    let code = runtime.block_on(command);
    // Blocking threads of the runtime hold nothing that must be waited for.
    runtime.shutdown_background();
    code
}

/// The argument of this name, which the command line demands or defaults.
fn text(matches: &ArgMatches, name: &str) -> String {
    matches.get_one::<String>(name).cloned().unwrap_or_default()
}
