//! `portico healthcheck`: asks the admin listener of the process on this machine.

use crate::settings::Settings;
use foundation::Result;
use std::{net::SocketAddr, process::ExitCode, time::Duration};
use telemetry::client::{Client, full};

pub async fn run(settings: &Settings) -> Result<ExitCode> {
    let mut address: SocketAddr = settings.addresses.admin;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let url = format!("http://{address}/ping");
    let request = axum::http::Request::get(&url)
        .body(full(""))
        .map_err(|error| foundation::Error::internal("the health request", error))?;
    match Client::new().send(request, Duration::from_secs(5)).await {
        Ok(response) if response.status().is_success() => Ok(ExitCode::SUCCESS),
        Ok(response) => {
            eprintln!("portico: {url} answers {}", response.status());
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            eprintln!("portico: {url} does not answer: {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}
