//! Commands that ask a remote schema and change nothing in the document.

use super::success;
use crate::{draft::Draft, refusal::Refusal};
use serde_json::{Value, json};

pub async fn apply(draft: &mut Draft<'_>, name: &str, args: &Value) -> Option<Result<Value, Refusal>> {
    Some(match name {
        "reload_remote_schema" => reload(draft, args).await,
        "introspect_remote_schema" => introspect(draft, args),
        _ => return None,
    })
}

fn known(draft: &Draft<'_>, args: &Value) -> Result<String, Refusal> {
    let Some(name) = args["name"].as_str() else {
        return Err(Refusal::new("parse-failed", "$.args", "key \"name\" not found"));
    };
    match draft.metadata.remote_schemas.iter().any(|one| one.name == name) {
        true => Ok(name.to_owned()),
        false => {
            let message = format!("remote schema with name \"{name}\" does not exist");
            Err(Refusal::new("not-exists", "$.args", message))
        }
    }
}

async fn reload(draft: &mut Draft<'_>, args: &Value) -> Result<Value, Refusal> {
    let name = known(draft, args)?;
    draft.remotes.remove(&name);
    draft.rebuild().await?;
    let about = format!("remote_schema {name}");
    match draft.inconsistent.iter().find(|one| one.name == about) {
        None => Ok(success()),
        Some(wrong) => Err(Refusal::new("remote-schema-error", "$.args", wrong.reason.clone())),
    }
}

fn introspect(draft: &Draft<'_>, args: &Value) -> Result<Value, Refusal> {
    let name = known(draft, args)?;
    match draft.remotes.get(&name) {
        Some(found) => Ok(json!({"data": {"__schema": found.introspected}})),
        None => {
            let message =
                format!("the remote schema \"{name}\" could not be read; reload it with reload_remote_schema");
            Err(Refusal::new("remote-schema-error", "$.args", message))
        }
    }
}
