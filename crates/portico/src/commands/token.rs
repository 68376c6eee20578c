//! `portico token issue`

use super::{open, text, user};
use crate::{
    compose,
    settings::{Settings, parse},
};
use clap::ArgMatches;
use foundation::{Clock, Error, Kind, Result};
use portico_core::{operations, signer::Signer};
use std::process::ExitCode;

pub async fn run(settings: Settings, matches: &ArgMatches) -> Result<ExitCode> {
    let Some((_, matches)) = matches.subcommand() else {
        return Ok(ExitCode::from(2));
    };
    let lifetime =
        parse::duration(&text(matches, "ttl")).map_err(|message| Error::new(Kind::Invalid, "TTL", message))?;
    let database = open::database(&settings).await?;
    let result = issue(
        &settings,
        &database,
        &text(matches, "email"),
        lifetime.as_secs().cast_signed(),
    )
    .await;
    database.close().await;
    println!("{}", result?);
    Ok(ExitCode::SUCCESS)
}

async fn issue(settings: &Settings, database: &open::Database, email: &str, lifetime_s: i64) -> Result<String> {
    let pool = user::core_pool(database).await?;
    let issuer = compose::issuer(settings);
    let secret = settings.tokens.secret.as_ref();
    let signer = Signer::open(&pool, &issuer, &settings.tokens.audience, Clock::System, secret).await?;
    operations::issue_token(&pool, &signer, email, lifetime_s).await
}
