//! Databases, and what belongs to one but to no table of it: native queries and logical models.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, exists, flag, name, no_source, optional, required, source, source_name},
};
use crate::{Customization, Metadata, ObjectId, Source, SourceObject};
use serde_json::{Value, json};

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "add_source" => add(metadata, args),
        "update_source" => update(metadata, args),
        "drop_source" => drop_one(metadata, args),
        "rename_source" => rename(metadata, args),
        "track_native_query" => track(metadata, args, Tracked::NativeQuery),
        "untrack_native_query" => untrack(metadata, args, Tracked::NativeQuery),
        "track_logical_model" => track(metadata, args, Tracked::LogicalModel),
        "untrack_logical_model" => untrack(metadata, args, Tracked::LogicalModel),
        "create_logical_model_select_permission" => permit(metadata, args),
        "drop_logical_model_select_permission" => forbid(metadata, args),
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

#[derive(Clone, Copy)]
enum Tracked {
    NativeQuery,
    LogicalModel,
}

impl Tracked {
    fn key(self) -> &'static str {
        match self {
            Tracked::NativeQuery => "root_field_name",
            Tracked::LogicalModel => "name",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Tracked::NativeQuery => "Native query",
            Tracked::LogicalModel => "Logical model",
        }
    }

    fn list(self, source: &mut Source) -> &mut Vec<Value> {
        match self {
            Tracked::NativeQuery => &mut source.native_queries,
            Tracked::LogicalModel => &mut source.logical_models,
        }
    }

    fn object(self, name: String) -> SourceObject {
        match self {
            Tracked::NativeQuery => SourceObject::NativeQuery(name),
            Tracked::LogicalModel => SourceObject::LogicalModel(name),
        }
    }
}

fn track(metadata: &mut Metadata, args: &Value, what: Tracked) -> Done {
    let name = name(args, what.key())?;
    let source_name = source_name(args)?;
    let list = what.list(source(metadata, &source_name)?);
    if list.iter().any(|one| one[what.key()] == *name) {
        let message = format!("{} '{name}' is already tracked.", what.word());
        return Err(Refusal::new("already-tracked", "$", message));
    }
    let mut entry = args.clone();
    if let Some(entry) = entry.as_object_mut() {
        for key in ["source", "type"] {
            entry.remove(key);
        }
    }
    list.push(entry);
    let object = what.object(name);
    Ok(Change::about(ObjectId::Of {
        source: source_name,
        object,
    }))
}

fn untrack(metadata: &mut Metadata, args: &Value, what: Tracked) -> Done {
    let name = name(args, what.key())?;
    let list = what.list(source(metadata, &source_name(args)?)?);
    let before = list.len();
    list.retain(|one| one[what.key()] != *name);
    if list.len() == before {
        return Err(absent("$", format!("{} \"{name}\" not found", what.word())));
    }
    Ok(Change::dropped(false))
}

fn model<'a>(metadata: &'a mut Metadata, args: &Value) -> Result<&'a mut Vec<Value>, Refusal> {
    let name = name(args, "name")?;
    let missing = absent(ARGS, format!("Logical model \"{name}\" not found"));
    let models = &mut source(metadata, &source_name(args)?)?.logical_models;
    let found = models.iter_mut().find(|one| one["name"] == *name).ok_or(missing)?;
    if !found["select_permissions"].is_array() {
        found["select_permissions"] = json!([]);
    }
    match found["select_permissions"].as_array_mut() {
        Some(list) => Ok(list),
        None => Err(absent(ARGS, "select_permissions is no list".to_owned())),
    }
}

fn permit(metadata: &mut Metadata, args: &Value) -> Done {
    let role = name(args, "role")?;
    let permission: Value = required(args, "permission")?;
    let list = model(metadata, args)?;
    if list.iter().any(|one| one["role"] == *role) {
        return Err(exists(format!("permission already defined with role \"{role}\"")));
    }
    list.push(json!({"role": role, "permission": permission}));
    Ok(Change::default())
}

fn forbid(metadata: &mut Metadata, args: &Value) -> Done {
    let role = name(args, "role")?;
    model(metadata, args)?.retain(|one| one["role"] != *role);
    Ok(Change::dropped(false))
}
