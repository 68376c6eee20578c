//! `/v1alpha1/pg_dump`: a source's definitions or data as SQL, for administrators. PostgreSQL's own program makes it.

use crate::{engine::Engine, refusal::Refusal};
use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use postgres_chassis::{DatabaseUrl, cluster};
use serde::Deserialize;
use std::{process::Stdio, sync::Arc, time::Duration};
use tokio::process::Command;

const WITHIN: Duration = Duration::from_secs(300);

/// Options that name a place of ours, another database or a secret.
const FORBIDDEN: [&str; 10] = [
    "--file",
    "--dbname",
    "--host",
    "--port",
    "--username",
    "--password",
    "--format",
    "--jobs",
    "--filter",
    "--role",
];
/// Their short forms.
const FORBIDDEN_LETTERS: &str = "fdhpUWFj";
/// Short options with a value.
const WITH_VALUE: &str = "nNtTESZe";
/// Long options with a value.
const LONG_WITH_VALUE: [&str; 12] = [
    "--schema",
    "--exclude-schema",
    "--table",
    "--exclude-table",
    "--exclude-table-data",
    "--extension",
    "--encoding",
    "--section",
    "--extra-float-digits",
    "--lock-wait-timeout",
    "--rows-per-insert",
    "--restrict-key",
];

#[derive(Deserialize)]
struct Asked {
    opts: Vec<String>,
    #[serde(default)]
    clean_output: bool,
    #[serde(default = "default_source")]
    source: String,
}

fn default_source() -> String {
    "default".to_owned()
}

pub async fn posted(State(engine): State<Arc<Engine>>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&engine, &headers, &body).await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/sql")], text).into_response(),
        Err(refusal) => refusal.into_query_response(),
    }
}

async fn answer(engine: &Engine, headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
    let caller = engine.auth.session(headers, None).await?;
    if caller.session.role != "admin" {
        return Err(Refusal::new("access-denied", "$", "restricted access : admin only"));
    }
    let asked: Asked =
        serde_json::from_slice(body).map_err(|error| Refusal::new("parse-failed", "$", error.to_string()))?;
    if let Some(option) = forbidden(&asked.opts) {
        let message =
            format!("the option '{option}' cannot be given here: the output is this answer, the database the source");
        return Err(Refusal::new("not-supported", "$.opts", message));
    }
    let program = cluster::client_program(&engine.settings.programs, "pg_dump").await;
    let Some(program) = program else {
        let message = "pg_dump was not found; install PostgreSQL's client programs beside this server";
        return Err(Refusal::new("not-supported", "$", message));
    };
    let state = engine.state();
    let Some(connected) = state.sources.get(&asked.source) else {
        let message = format!("source with name \"{}\" does not exist", asked.source);
        return Err(Refusal::new("not-exists", "$.source", message));
    };
    let dump = dump(&program, connected.pool.url(), &asked).await?;
    Ok(match asked.clean_output {
        true => cleaned(&dump),
        false => dump,
    })
}

/// The first option that cannot be given. What is neither an option nor the value of one would be another database.
fn forbidden(options: &[String]) -> Option<&String> {
    let mut takes_value = false;
    for option in options {
        let is_value = std::mem::take(&mut takes_value);
        if is_value {
            continue;
        }
        if let Some(long) = option.strip_prefix("--") {
            let name = option.split('=').next().unwrap_or_default();
            // PostgreSQL takes a beginning of a name for the name.
            if long.is_empty() || FORBIDDEN.iter().any(|known| known.starts_with(name)) {
                return Some(option);
            }
            takes_value = !option.contains('=') && LONG_WITH_VALUE.iter().any(|known| known.starts_with(name));
            continue;
        }
        let Some(letters) = option.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return Some(option);
        };
        // Letters stand together, and a value behind its letter.
        for (place, letter) in letters.char_indices() {
            if FORBIDDEN_LETTERS.contains(letter) {
                return Some(option);
            }
            if WITH_VALUE.contains(letter) {
                takes_value = place + letter.len_utf8() == letters.len();
                break;
            }
        }
    }
    None
}

/// Newer releases open and close their output with a key, by chance unless one is given.
async fn dump(program: &std::path::Path, url: &DatabaseUrl, asked: &Asked) -> Result<String, Refusal> {
    if asked.clean_output {
        let mut options = asked.opts.clone();
        options.push("--restrict-key=hasura".to_owned());
        let tried = run(program, url, &options).await;
        let unknown = |refusal: &Refusal| {
            let why = refusal.error.internal.as_ref();
            why.is_some_and(|why| why.to_string().contains("restrict-key"))
        };
        match tried {
            Err(refusal) if unknown(&refusal) => {}
            done => return done,
        }
    }
    run(program, url, &asked.opts).await
}

async fn run(program: &std::path::Path, url: &DatabaseUrl, options: &[String]) -> Result<String, Refusal> {
    let (url, password) = url.without_password();
    let output = Command::new(program)
        .args(options)
        .arg(format!("--dbname={url}"))
        .env("PGPASSWORD", password)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let failed = |why: String| {
        let mut refusal = Refusal::new("unexpected", "$", "error while executing pg_dump");
        refusal.error.internal = Some(Box::new(serde_json::json!(why)));
        refusal.with_status(http::StatusCode::INTERNAL_SERVER_ERROR)
    };
    let output = tokio::time::timeout(WITHIN, output).await;
    let output = output.map_err(|_| failed(format!("it took longer than {} s", WITHIN.as_secs())))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// Without what says nothing about the database: comments, empty lines, session settings, and triggers of ours.
fn cleaned(dump: &str) -> String {
    let settings = [
        "SET statement_timeout",
        "SET lock_timeout",
        "SET idle_in_transaction_session_timeout",
        "SET client_encoding",
        "SET standard_conforming_strings",
        "SET xmloption",
        "SET client_min_messages",
        "SET row_security",
        "SET default_tablespace",
        "SET default_with_oids",
        "SET default_table_access_method",
        "SELECT pg_catalog.set_config('search_path'",
        "CREATE SCHEMA public",
        "COMMENT ON SCHEMA public",
        "CREATE TRIGGER \"notify_hasura_",
        "CREATE TRIGGER notify_hasura_",
        "CREATE TRIGGER portico_changed",
    ];
    let said = |line: &&str| {
        !line.trim().is_empty() && !line.starts_with("--") && !settings.iter().any(|start| line.starts_with(start))
    };
    let mut text: String = dump.lines().filter(said).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_lead_elsewhere_are_refused() {
        let refused = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
            forbidden(&options).cloned()
        };
        for options in [
            &["-f"][..],
            &["-f/tmp/x"],
            &["--file=/tmp/x"],
            &["--fi=/x"],
            &["-xf", "/tmp/x"],
            &["-dother"],
            &["-Fd"],
            &["host=elsewhere"],
            &["-x", "other"],
            &["--schema=public", "other"],
            &["--"],
        ] {
            assert!(refused(options).is_some(), "{options:?}");
        }
        for options in [
            &["-O", "-x", "--schema-only", "--schema", "public"][..],
            &["-Oxs", "-npublic", "-t", "public.deep"],
            &["--data-only", "--table=public.x", "-tpublic.y"],
        ] {
            assert_eq!(refused(options), None, "{options:?}");
        }
    }
}
