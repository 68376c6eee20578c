//! Databases.

use super::{
    Change, Done,
    arguments::{exists, flag, name, no_source, optional, required, source},
};
use crate::{Customization, Metadata, ObjectId, Source};
use serde_json::Value;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "add_source" => add(metadata, args),
        "update_source" => update(metadata, args),
        "drop_source" => drop_one(metadata, args),
        "rename_source" => rename(metadata, args),
        _ => return None,
    })
}

fn add(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    let configuration: Value = required(args, "configuration")?;
    let customization: Option<Customization> = optional(args, "customization")?;
    match metadata.source_mut(&name) {
        Some(known) if flag(args, "replace_configuration")? => {
            known.configuration = configuration;
            known.customization = customization;
        }
        Some(_) => return Err(exists(format!("source with name \"{name}\" already exists"))),
        None => metadata.sources.push(Source {
            name: name.clone(),
            kind: "postgres".to_owned(),
            configuration,
            customization,
            ..Source::default()
        }),
    }
    Ok(Change::about(ObjectId::Source(name)))
}

fn update(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    let configuration: Option<Value> = optional(args, "configuration")?;
    let customization: Option<Customization> = optional(args, "customization")?;
    let source = source(metadata, &name)?;
    if let Some(configuration) = configuration {
        source.configuration = configuration;
    }
    if customization.is_some() {
        source.customization = customization;
    }
    Ok(Change::about(ObjectId::Source(name)))
}

fn drop_one(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    if metadata.source(&name).is_none() {
        return Err(no_source(&name));
    }
    metadata.sources.retain(|source| source.name != name);
    Ok(Change::dropped(flag(args, "cascade")?))
}

fn rename(metadata: &mut Metadata, args: &Value) -> Done {
    let old = name(args, "name")?;
    let new = name(args, "new_name")?;
    if metadata.source(&new).is_some() {
        return Err(exists(format!("source with name \"{new}\" already exists")));
    }
    source(metadata, &old)?.name.clone_from(&new);
    Ok(Change::about(ObjectId::Source(new)))
}
