//! Actions, who may use them, and the types they speak of.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, exists, name, optional, parse_failed, required},
    event_trigger::headers,
};
use crate::{Action, ActionDefinition, ActionPermission, CustomTypes, Metadata, ObjectId};
use serde_json::Value;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "set_custom_types" => set_types(metadata, args),
        "create_action" => create(metadata, args),
        "update_action" => update(metadata, args),
        "drop_action" => drop_one(metadata, args),
        "create_action_permission" => permit(metadata, args),
        "drop_action_permission" => forbid(metadata, args),
        _ => return None,
    })
}

fn set_types(metadata: &mut Metadata, args: &Value) -> Done {
    let types: CustomTypes =
        serde_json::from_value(args.clone()).map_err(|error| parse_failed(ARGS, error.to_string()))?;
    metadata.custom_types = types;
    Ok(Change::about(ObjectId::CustomTypes))
}

fn definition(args: &Value) -> Result<ActionDefinition, Refusal> {
    let given: Value = required(args, "definition")?;
    let definition: ActionDefinition = required(args, "definition")?;
    headers(&given)?;
    for (place, header) in definition.headers.iter().enumerate() {
        let internal = header
            .value_from_env
            .as_deref()
            .filter(|name| name.starts_with("HASURA_GRAPHQL_"));
        if let Some(name) = internal {
            let message =
                format!("env variables starting with \"HASURA_GRAPHQL_\" are not allowed in value_from_env: {name}");
            return Err(parse_failed(format!("$.definition.headers[{place}]"), message));
        }
    }
    let one_of = |key: &str, given: Option<&str>, words: [&str; 2]| match given {
        Some(word) if !words.contains(&word) => {
            let message = format!("expected value '{}' or '{}', not '{word}'", words[0], words[1]);
            Err(parse_failed(format!("$.definition.{key}"), message))
        }
        _ => Ok(()),
    };
    one_of("type", definition.operation.as_deref(), ["mutation", "query"])?;
    one_of("kind", definition.kind.as_deref(), ["synchronous", "asynchronous"])?;
    Ok(definition)
}

fn create(metadata: &mut Metadata, args: &Value) -> Done {
    let made = Action {
        name: name(args, "name")?,
        definition: definition(args)?,
        comment: optional(args, "comment")?,
        permissions: Vec::new(),
    };
    if metadata.actions.iter().any(|one| one.name == made.name) {
        return Err(exists(format!("action with name \"{}\" already exists", made.name)));
    }
    let about = ObjectId::Action(made.name.clone());
    metadata.actions.push(made);
    Ok(Change::about(about))
}

fn find<'m>(metadata: &'m mut Metadata, name: &str) -> Result<&'m mut Action, Refusal> {
    let found = metadata.actions.iter_mut().find(|one| one.name == name);
    found.ok_or_else(|| absent(ARGS, format!("action with name \"{name}\" does not exist")))
}

fn update(metadata: &mut Metadata, args: &Value) -> Done {
    let (name, definition) = (name(args, "name")?, definition(args)?);
    let comment: Option<String> = optional(args, "comment")?;
    let known = find(metadata, &name)?;
    known.definition = definition;
    known.comment = comment;
    Ok(Change::about(ObjectId::Action(name)))
}

fn drop_one(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    find(metadata, &name)?;
    metadata.actions.retain(|one| one.name != name);
    Ok(Change::dropped(false))
}

fn permit(metadata: &mut Metadata, args: &Value) -> Done {
    let (action, role) = (name(args, "action")?, name(args, "role")?);
    let comment = optional(args, "comment")?;
    let known = find(metadata, &action)?;
    if known.permissions.iter().any(|one| one.role == role) {
        let message = format!("permission for role \"{role}\" is already defined on \"{action}\"");
        return Err(exists(message));
    }
    known.permissions.push(ActionPermission { role, comment });
    Ok(Change::about(ObjectId::Action(action)))
}

fn forbid(metadata: &mut Metadata, args: &Value) -> Done {
    let (action, role) = (name(args, "action")?, name(args, "role")?);
    let known = find(metadata, &action)?;
    let before = known.permissions.len();
    known.permissions.retain(|one| one.role != role);
    if known.permissions.len() == before {
        let message = format!("permission for role \"{role}\" is not defined on \"{action}\"");
        return Err(absent(ARGS, message));
    }
    Ok(Change::dropped(false))
}
