//! `portico migrate` and `portico migrate status`

use super::open;
use crate::{compose::MIGRATIONS, settings::Settings};
use foundation::Result;
use std::process::ExitCode;

pub async fn run(settings: Settings, status: bool) -> Result<ExitCode> {
    let database = open::database(&settings).await?;
    let result = if status {
        show(&database.url).await
    } else {
        postgres_chassis::migrate(&database.url, &MIGRATIONS).await.map(drop)
    };
    let result = match (result, status) {
        (Ok(()), false) => show(&database.url).await,
        (result, _) => result,
    };
    database.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

async fn show(url: &postgres_chassis::DatabaseUrl) -> Result<()> {
    for step in postgres_chassis::status(url, &MIGRATIONS).await? {
        let applied = step.applied_at.as_deref().unwrap_or("pending");
        println!("{:8} {:32} {applied}", step.schema, step.name);
    }
    Ok(())
}
