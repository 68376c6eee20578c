//! Webhooks that are told of changes of a table.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, exists, flag, name, optional, parse_failed, source, source_name, table},
};
use crate::{EventTrigger, Header, Metadata, ObjectId, Operations, SourceObject, TableName};
use serde_json::{Map, Value};

/// PostgreSQL's names have 63 bytes, and the operation stands in them too.
const LONGEST_NAME: usize = 42;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "create_event_trigger" => create(metadata, args),
        "delete_event_trigger" => delete(metadata, args),
        _ => return None,
    })
}

fn create(metadata: &mut Metadata, args: &Value) -> Done {
    let made = trigger(args)?;
    let (source, table_name, _) = table(metadata, args, "$.args.table")?;
    let known = find(metadata, &made.name);
    match (flag(args, "replace")?, known) {
        (true, Some((at_source, at_table))) if at_source == source && at_table == table_name => {}
        (true, _) => {
            let message = format!(
                "event trigger with name \"{}\" does not exist on table \"{table_name}\"",
                made.name
            );
            return Err(absent(ARGS, message));
        }
        (false, Some(_)) => {
            return Err(exists(format!(
                "event trigger with name \"{}\" already exists",
                made.name
            )));
        }
        (false, None) => {}
    }
    let (_, _, entry) = table(metadata, args, "$.args.table")?;
    let object = SourceObject::EventTrigger {
        table: table_name,
        name: made.name.clone(),
    };
    match entry.event_triggers.iter_mut().find(|one| one.name == made.name) {
        Some(known) => *known = made,
        None => entry.event_triggers.push(made),
    }
    Ok(Change::about(ObjectId::Of { source, object }))
}

fn trigger(args: &Value) -> Result<EventTrigger, Refusal> {
    let name = name(args, "name")?;
    if name.len() > LONGEST_NAME {
        let message = format!("event trigger name can be at most {LONGEST_NAME} characters");
        return Err(parse_failed("$.name", message));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        let message = "only alphanumeric and underscore and hyphens allowed for name";
        return Err(parse_failed("$.name", message));
    }
    if args.get("cleanup_config").is_some_and(|given| !given.is_null()) {
        let message = "cleanup_config is not supported; delete old rows of event_log by a job of your own";
        return Err(Refusal::new("not-supported", "$.cleanup_config", message));
    }
    let definition = Operations {
        enable_manual: flag(args, "enable_manual")?,
        insert: optional(args, "insert")?,
        update: optional(args, "update")?,
        delete: optional(args, "delete")?,
    };
    if definition.each().next().is_none() && !definition.enable_manual {
        let message = "atleast one amongst insert/update/delete/enable_manual spec must be provided";
        return Err(parse_failed(ARGS, message));
    }
    let (webhook, webhook_from_env) = (optional(args, "webhook")?, optional(args, "webhook_from_env")?);
    if webhook.is_some() == webhook_from_env.is_some() {
        let message = match webhook.is_some() {
            true => "only one of webhook or webhook_from_env should be given",
            false => "must provide webhook or webhook_from_env",
        };
        return Err(parse_failed(ARGS, message));
    }
    Ok(EventTrigger {
        name,
        definition,
        retry_conf: optional(args, "retry_conf")?.unwrap_or_default(),
        webhook,
        webhook_from_env,
        headers: headers(args)?,
        request_transform: optional(args, "request_transform")?,
        response_transform: optional(args, "response_transform")?,
        trigger_on_replication: flag(args, "trigger_on_replication")?,
        rest: Map::new(),
    })
}

/// Each has a value of its own or one of the environment.
pub fn headers(args: &Value) -> Result<Vec<Header>, Refusal> {
    let headers: Vec<Header> = optional(args, "headers")?.unwrap_or_default();
    for header in &headers {
        if header.value.is_some() == header.value_from_env.is_some() {
            let message = format!("header \"{}\" needs either value or value_from_env", header.name);
            return Err(parse_failed("$.headers", message));
        }
    }
    Ok(headers)
}

/// Names are one space over all sources.
fn find(metadata: &Metadata, name: &str) -> Option<(String, TableName)> {
    metadata.sources.iter().find_map(|source| {
        let has = |entry: &&crate::TableEntry| entry.event_triggers.iter().any(|one| one.name == name);
        let entry = source.tables.iter().find(has)?;
        Some((source.name.clone(), entry.table.clone()))
    })
}

fn delete(metadata: &mut Metadata, args: &Value) -> Done {
    let (name, source_name) = (name(args, "name")?, source_name(args)?);
    let mut found = false;
    for entry in &mut source(metadata, &source_name)?.tables {
        let before = entry.event_triggers.len();
        entry.event_triggers.retain(|one| one.name != name);
        found |= entry.event_triggers.len() < before;
    }
    match found {
        true => Ok(Change::dropped(false)),
        false => Err(absent(
            ARGS,
            format!("event trigger with name \"{name}\" does not exist"),
        )),
    }
}
