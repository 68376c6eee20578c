//! Remote schemas: added, changed, removed. Whether one answers is for whoever runs the command to find out.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, name, optional, parse_failed, required},
    event_trigger::headers,
};
use crate::{Metadata, ObjectId, RemoteDefinition, RemoteSchema};
use serde_json::Value;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "add_remote_schema" => add(metadata, args),
        "update_remote_schema" => update(metadata, args),
        "remove_remote_schema" => remove(metadata, args),
        _ => return None,
    })
}

fn definition(args: &Value) -> Result<RemoteDefinition, Refusal> {
    let given: Value = required(args, "definition")?;
    let definition: RemoteDefinition = required(args, "definition")?;
    headers(&given)?;
    match (&definition.url, &definition.url_from_env) {
        (None, None) => Err(parse_failed(ARGS, "both `url` and `url_from_env` can't be empty")),
        (Some(_), Some(_)) => Err(parse_failed(ARGS, "both `url` and `url_from_env` can't be present")),
        _ => Ok(definition),
    }
}

fn unknown(name: &str) -> Refusal {
    absent(ARGS, format!("remote schema with name \"{name}\" does not exist"))
}

fn add(metadata: &mut Metadata, args: &Value) -> Done {
    let made = RemoteSchema {
        name: name(args, "name")?,
        definition: definition(args)?,
        comment: optional(args, "comment")?,
        ..RemoteSchema::default()
    };
    for refused in ["permissions", "remote_relationships"] {
        if args[refused].as_array().is_some_and(|list| !list.is_empty()) {
            let message = format!("'{refused}' of a remote schema are not supported; take them out");
            return Err(Refusal::new("not-supported", format!("{ARGS}.{refused}"), message));
        }
    }
    if metadata.remote_schemas.iter().any(|one| one.name == made.name) {
        let message = format!("remote schema with name \"{}\" already exists", made.name);
        return Err(Refusal::new("already-exists", ARGS, message));
    }
    let about = ObjectId::RemoteSchema(made.name.clone());
    metadata.remote_schemas.push(made);
    Ok(Change::about(about))
}

fn update(metadata: &mut Metadata, args: &Value) -> Done {
    let (name, definition) = (name(args, "name")?, definition(args)?);
    let comment: Option<String> = optional(args, "comment")?;
    let known = metadata.remote_schemas.iter_mut().find(|one| one.name == name);
    let known = known.ok_or_else(|| unknown(&name))?;
    known.definition = definition;
    known.comment = comment;
    Ok(Change::about(ObjectId::RemoteSchema(name)))
}

fn remove(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    let before = metadata.remote_schemas.len();
    metadata.remote_schemas.retain(|one| one.name != name);
    match metadata.remote_schemas.len() < before {
        true => Ok(Change::dropped(false)),
        false => Err(unknown(&name)),
    }
}
