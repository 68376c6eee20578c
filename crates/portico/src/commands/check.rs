//! `portico check`: the settings were read when we get here. Then the gateway's configuration, which after `--` is Traefik's;
//! `--connect` also tries what the settings point at.

use crate::{compose, settings::Settings};
use clap::ArgMatches;
use foundation::{Error, Kind, Result};
use postgres_chassis::{Pool, PoolSize};
use std::process::ExitCode;

pub async fn run(settings: Settings, matches: &ArgMatches) -> Result<ExitCode> {
    println!("settings: right");
    let flags = matches.get_many::<String>("traefik");
    let mistakes = compose::check_gateway(
        &settings,
        flags.map(|flags| flags.cloned().collect()).unwrap_or_default(),
    )?;
    if !mistakes.is_empty() {
        return Err(Error::new(Kind::Invalid, "GATEWAY_CONFIGURATION", mistakes.join("\n")));
    }
    println!("gateway: right");
    if !matches.get_flag("connect") {
        return Ok(ExitCode::SUCCESS);
    }
    let mut well = true;
    match &settings.database.url {
        Some(url) => {
            let pool = Pool::open(url, "portico check", PoolSize::default())?;
            match pool.ping().await {
                Ok(()) => println!("database: answers"),
                Err(error) => {
                    well = false;
                    println!("database: {} ({})", error.message, error.chain());
                }
            }
        }
        None => println!("database: 'up' runs its own"),
    }
    match &settings.store {
        Some(store) => {
            let own = compose::s3_settings(store);
            match objects::S3::open(&own, telemetry::client::Client::new())?
                .health()
                .await
            {
                Ok(()) => println!("store: answers"),
                Err(error) => {
                    well = false;
                    println!("store: {} ({})", error.message, error.chain());
                }
            }
        }
        None => println!("store: 'up' and 'serve media' keep their own"),
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
