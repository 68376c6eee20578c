//! The binary: reads the command line and the settings, hands over to a command, and answers with an exit code.
//! 0: done. 1: the configuration or the environment is wrong, and the message says how to mend it. 2: usage.

mod cli;
mod commands;
mod compose;
mod generated;
mod lock;
mod process;
mod settings;
mod trust;

use clap::ArgMatches;
use foundation::{Error, Result};
use settings::{
    Read,
    sources::{Given, Mistake},
};
use std::{ffi::OsString, path::Path, process::ExitCode};

/// Requests make and free many small things on several threads; the system's allocator costs more there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SETTINGS_FILE: &str = "portico.toml";

fn main() -> ExitCode {
    let matches = cli::command().get_matches();
    if matches.subcommand_name() == Some("version") {
        println!("{}", commands::version::text());
        return ExitCode::SUCCESS;
    }
    if let Some(("metadata", matches)) = matches.subcommand() {
        return ended(commands::metadata(matches));
    }
    let mut given = match given(&matches) {
        Ok(given) => given,
        Err(mistake) => return refuse(&[mistake]),
    };
    let ran = match serves_graphql(&matches) {
        true if named_services(&matches) > 1 => {
            return refuse(&[Mistake {
                place: "serve graphql".to_owned(),
                message: "runs alone; leave the other services out (links has GraphQL in it)".to_owned(),
            }]);
        }
        true => serve_graphql(&mut given),
        false => run(&matches, settings::read(&given)),
    };
    ended(ran)
}

fn ended(ran: Result<ExitCode>) -> ExitCode {
    match ran {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portico: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(matches: &ArgMatches, read: Read) -> Result<ExitCode> {
    let Read { values, settings } = read;
    match matches.subcommand() {
        Some(("config", _)) => {
            print!("{}", commands::config::text(&values));
            Ok(settings.map_or_else(|mistakes| refuse(&mistakes), |_| ExitCode::SUCCESS))
        }
        Some((name, matches)) => match settings {
            Ok(settings) => commands::run(name, matches, settings),
            Err(mistakes) => Ok(refuse(&mistakes)),
        },
        None => Ok(ExitCode::from(2)),
    }
}

fn serves_graphql(matches: &ArgMatches) -> bool {
    let services = match matches.subcommand() {
        Some(("serve", matches)) => matches.get_many::<String>("services"),
        _ => None,
    };
    services.is_some_and(|mut named| named.any(|name| name == "graphql"))
}

fn named_services(matches: &ArgMatches) -> usize {
    let serve = matches.subcommand().map(|(_, matches)| matches);
    let named = serve.and_then(|matches| matches.get_many::<String>("services"));
    named.map_or(0, Iterator::count)
}

/// Hasura's names are read by Hasura's rules, all others by ours.
fn serve_graphql(given: &mut Given) -> Result<ExitCode> {
    let hasura = settings::hasura::read(settings::hasura::without(&mut given.environment));
    match (settings::read(given).settings, hasura) {
        (Ok(settings), Ok(hasura)) => commands::serve_graphql(&settings, hasura),
        (settings, hasura) => {
            let mut mistakes = settings.err().unwrap_or_default();
            mistakes.extend(hasura.err().unwrap_or_default());
            Ok(refuse(&mistakes))
        }
    }
}

fn refuse(mistakes: &[Mistake]) -> ExitCode {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
    let count = mistakes.len();
    eprintln!(
        "portico: {count} mistake{} in the configuration",
        if count == 1 { "" } else { "s" }
    );
    ExitCode::FAILURE
}

/// An operator at the terminal may know the cause; a caller over HTTP may not.
fn told(error: &Error) -> String {
    let chain = error.chain();
    if chain.is_empty() || error.message.contains(&chain) {
        return error.message.clone();
    }
    match error.kind {
        foundation::Kind::Internal if error.code == "INTERNAL" => chain,
        _ => format!("{} ({chain})", error.message),
    }
}

fn given(matches: &ArgMatches) -> Result<Given, Mistake> {
    let named = matches.get_one::<String>("config").cloned();
    let path = named.clone().unwrap_or_else(|| SETTINGS_FILE.to_owned());
    let file = match std::fs::read_to_string(&path) {
        Ok(text) => Some((path, text)),
        Err(_) if named.is_none() && !Path::new(SETTINGS_FILE).exists() => None,
        Err(error) => {
            return Err(Mistake {
                place: path,
                message: format!("cannot be read: {error}"),
            });
        }
    };
    let readable = |text: OsString| text.into_string().ok();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((readable(name)?, readable(value)?)))
        .collect();
    Ok(Given {
        flags: cli::flags(matches),
        environment,
        file,
    })
}
