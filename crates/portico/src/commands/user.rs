//! `portico user create | list | set-role | disable`

use super::{open, text};
use crate::settings::{self, Settings};
use clap::ArgMatches;
use foundation::{Error, Kind, Result, Role};
use portico_core::operations;
use postgres_chassis::{Pool, PoolSize, migrate};
use std::{io::Read, process::ExitCode};

pub async fn run(settings: Settings, matches: &ArgMatches) -> Result<ExitCode> {
    let database = open::database(&settings).await?;
    let result = act(&database, matches).await;
    database.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// A pool with core's own login, on a schema that is up to date.
pub async fn core_pool(database: &open::Database) -> Result<Pool> {
    let logins = migrate(&database.url, &[portico_core::MIGRATIONS]).await?;
    Pool::open(&logins[0], "portico command", PoolSize::default())
}

async fn act(database: &open::Database, matches: &ArgMatches) -> Result<()> {
    let pool = core_pool(database).await?;
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    match name {
        "create" => {
            let password = if matches.get_flag("password-stdin") {
                Some(password()?)
            } else {
                None
            };
            let full_name = matches.get_one::<String>("name").map(String::as_str);
            let user = operations::create_user(
                &pool,
                &text(matches, "email"),
                full_name,
                role(matches)?,
                password.as_deref(),
            )
            .await?;
            print(&user);
        }
        "list" => operations::list_users(&pool).await?.iter().for_each(print),
        "set-role" => operations::set_role(&pool, &text(matches, "email"), role(matches)?).await?,
        "disable" => operations::disable(&pool, &text(matches, "email")).await?,
        // The command line lists these and no others.
        _ => {}
    }
    Ok(())
}

fn role(matches: &ArgMatches) -> Result<Role> {
    settings::role(&text(matches, "role")).map_err(|message| Error::new(Kind::Invalid, "ROLE", message))
}

fn password() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Error::internal("reading the password", error))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn print(user: &portico_core::User) {
    println!("{}", serde_json::json!(user));
}
