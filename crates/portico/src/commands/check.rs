//! `portico check`: the settings were read when we get here; `--connect` also tries what they point at.

use crate::{compose, settings::Settings};
use foundation::Result;
use postgres_chassis::{Pool, PoolSize};
use std::process::ExitCode;

pub async fn run(settings: Settings, connect: bool) -> Result<ExitCode> {
    println!("settings: right");
    if !connect {
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
