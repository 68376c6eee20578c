//! Webhooks that are called at times.

use super::{
    Change, Done,
    arguments::{ARGS, absent, exists, flag, name, optional, required},
    event_trigger::headers,
};
use crate::{CronTrigger, Metadata, ObjectId};
use serde_json::{Map, Value};

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "create_cron_trigger" => create(metadata, args),
        "delete_cron_trigger" => delete(metadata, args),
        _ => return None,
    })
}

fn create(metadata: &mut Metadata, args: &Value) -> Done {
    let made = CronTrigger {
        name: name(args, "name")?,
        webhook: required(args, "webhook")?,
        schedule: required(args, "schedule")?,
        include_in_metadata: required(args, "include_in_metadata")?,
        payload: optional(args, "payload")?,
        retry_conf: optional(args, "retry_conf")?,
        headers: headers(args)?,
        comment: optional(args, "comment")?,
        request_transform: optional(args, "request_transform")?,
        response_transform: optional(args, "response_transform")?,
        rest: Map::new(),
    };
    let about = ObjectId::CronTrigger(made.name.clone());
    let known = metadata.cron_triggers.iter_mut().find(|one| one.name == made.name);
    match known {
        Some(known) if flag(args, "replace")? => *known = made,
        Some(_) => return Err(exists(format!("cron trigger with name: {} already exists", made.name))),
        None => metadata.cron_triggers.push(made),
    }
    Ok(Change::about(about))
}

fn delete(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    let before = metadata.cron_triggers.len();
    metadata.cron_triggers.retain(|one| one.name != name);
    match metadata.cron_triggers.len() < before {
        true => Ok(Change::dropped(false)),
        false => Err(absent(ARGS, format!("cron trigger with name: {name} does not exist"))),
    }
}
