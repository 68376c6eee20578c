//! The commands of `/v1/metadata`, `/v1/query` and `/v2/query`: `{"type", "args"}`, alone or in a `bulk`.

mod catalogue;
mod change;
mod crud;
mod document;
mod events;
mod native;
mod remote_schemas;
mod run_sql;
mod transform;

pub use crud::plain;

use crate::{draft::Draft, engine::Engine, refusal::Refusal};
use graphql::Session;
use serde_json::{Value, json};

/// One command, as sent.
pub struct Command<'a> {
    pub name: &'a str,
    pub version: u64,
    pub args: &'a Value,
}

impl<'a> Command<'a> {
    pub fn parse(body: &'a Value) -> Result<Self, Refusal> {
        let Some(fields) = body.as_object() else {
            let message = "parsing a command failed, expected Object";
            return Err(Refusal::new("parse-failed", "$", message));
        };
        let Some(name) = fields.get("type").and_then(Value::as_str) else {
            return Err(Refusal::new("parse-failed", "$", "key \"type\" not found"));
        };
        let Some(args) = fields.get("args") else {
            return Err(Refusal::new("parse-failed", "$", "key \"args\" not found"));
        };
        Ok(Command {
            name,
            version: fields.get("version").and_then(Value::as_u64).unwrap_or(1),
            args,
        })
    }
}

/// Runs one request to its end: everything it did is kept, or nothing.
pub async fn run(engine: &Engine, session: &Session, body: &Value) -> Result<Value, Refusal> {
    let command = Command::parse(body)?;
    if let Some(answer) = run_sql::outside_transaction(engine, session, &command).await {
        return answer;
    }
    let _changing = engine.changing.lock().await;
    check_version(engine, body)?;
    if command.name == "reload_metadata" || command.name == "clear_metadata" {
        admin_only(session)?;
    }
    if command.name == "reload_metadata" {
        return document::reload(engine).await;
    }
    let mut draft = Draft::new(engine, session);
    let answer = one(&mut draft, session, &command).await?;
    draft.commit().await?;
    Ok(answer)
}

/// A caller may say which version its change is made for.
fn check_version(engine: &Engine, body: &Value) -> Result<(), Refusal> {
    let current = engine.state().resource_version;
    match body["resource_version"].as_i64() {
        Some(asked) if asked != i64::from(current) => {
            let message =
                format!("metadata resource version referenced ({asked}) did not match current version ({current})");
            Err(Refusal::new("conflict", "$", message).with_status(http::StatusCode::CONFLICT))
        }
        _ => Ok(()),
    }
}

fn admin_only(session: &Session) -> Result<(), Refusal> {
    match session.role.as_str() {
        "admin" => Ok(()),
        _ => Err(Refusal::new(
            "access-denied",
            "$.args",
            "restricted access : admin only",
        )),
    }
}

/// Boxed, because a bulk holds bulks.
fn one<'a>(
    draft: &'a mut Draft<'_>,
    session: &'a Session,
    command: &'a Command<'a>,
) -> futures_util::future::BoxFuture<'a, Result<Value, Refusal>> {
    Box::pin(async move {
        match command.name {
            "bulk" | "concurrent_bulk" | "bulk_atomic" => bulk(draft, session, command, false).await,
            "bulk_keep_going" => bulk(draft, session, command, true).await,
            name => {
                if let Some(answer) = crud::apply(draft, session, name, command.args).await {
                    return answer;
                }
                admin_only(session)?;
                if let Some(answer) = run_sql::apply(draft, name, command.args).await {
                    return answer;
                }
                if let Some(answer) = document::apply(draft, command).await {
                    return answer;
                }
                if let Some(answer) = catalogue::apply(draft, name, command.args).await {
                    return answer;
                }
                if let Some(answer) = transform::apply(draft, name, command.args) {
                    return answer;
                }
                if let Some(answer) = events::apply(draft, name, command.args).await {
                    return answer;
                }
                if let Some(answer) = remote_schemas::apply(draft, name, command.args).await {
                    return answer;
                }
                if let Some(answer) = change::apply(draft, name, command.args).await {
                    return answer;
                }
                Err(unknown(name))
            }
        }
    })
}

async fn bulk(
    draft: &mut Draft<'_>,
    session: &Session,
    command: &Command<'_>,
    keep_going: bool,
) -> Result<Value, Refusal> {
    let Some(list) = command.args.as_array() else {
        let message = "parsing [] failed, expected Array";
        return Err(Refusal::new("parse-failed", "$.args", message));
    };
    let mut answers = Vec::with_capacity(list.len());
    for (place, body) in list.iter().enumerate() {
        let prefix = format!("$.args[{place}]");
        let answer = match Command::parse(body) {
            Ok(command) => one(draft, session, &command).await,
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(answer) => answers.push(answer),
            Err(refusal) if keep_going => answers.push(refusal.within(&prefix).error.as_query()),
            Err(refusal) => return Err(refusal.within(&prefix)),
        }
    }
    Ok(Value::Array(answers))
}

/// What other kinds of things Hasura's metadata holds is refused by name, never ignored.
fn unknown(name: &str) -> Refusal {
    let families = ["remote_schema_permissions", "remote_relationship"];
    let message = match families.iter().find(|family| name.contains(**family)) {
        Some(family) => format!(
            "'{name}' is not supported: this server has no {} yet",
            family.replace('_', " ")
        ),
        None => format!("unknown command type: \"{name}\""),
    };
    Refusal::new("not-supported", "$.type", message)
}

fn success() -> Value {
    json!({"message": "success"})
}
