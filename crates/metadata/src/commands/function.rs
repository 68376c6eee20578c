//! Tracking functions, and who may call them.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, exists, name, optional, required, source, source_name},
};
use crate::{FunctionConfiguration, FunctionEntry, FunctionPermission, Metadata, ObjectId, SourceObject, TableName};
use serde_json::{Value, json};

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "track_function" => track(metadata, args),
        "untrack_function" => untrack(metadata, args),
        "set_function_customization" => customize(metadata, args),
        "create_function_permission" => permit(metadata, args),
        "drop_function_permission" => forbid(metadata, args),
        _ => return None,
    })
}

fn id(source: String, function: TableName) -> ObjectId {
    ObjectId::Of {
        source,
        object: SourceObject::Function(function),
    }
}

/// The arguments are the function itself, or hold it under `function`.
fn function(args: &Value) -> Result<TableName, Refusal> {
    match args.get("function") {
        Some(_) => required(args, "function"),
        None => required(&json!({ "function": args }), "function"),
    }
}

fn track(metadata: &mut Metadata, args: &Value) -> Done {
    let name = function(args)?;
    let source_name = source_name(args)?;
    let source = source(metadata, &source_name)?;
    if source.functions.iter().any(|entry| entry.function == name) {
        let message = format!("function already tracked: \"{name}\"");
        return Err(Refusal::new("already-tracked", ARGS, message));
    }
    let configuration: Option<FunctionConfiguration> = optional(args, "configuration")?;
    source.functions.push(FunctionEntry {
        function: name.clone(),
        configuration: configuration.filter(|given| *given != FunctionConfiguration::default()),
        permissions: Vec::new(),
        comment: optional(args, "comment")?,
    });
    Ok(Change::about(id(source_name, name)))
}

fn untrack(metadata: &mut Metadata, args: &Value) -> Done {
    let name = function(args)?;
    let source = source(metadata, &source_name(args)?)?;
    let before = source.functions.len();
    source.functions.retain(|entry| entry.function != name);
    if source.functions.len() == before {
        let message = format!("function \"{name}\" does not exist");
        return Err(Refusal::new("not-exists", ARGS, message));
    }
    Ok(Change::dropped(false))
}

fn entry<'a>(metadata: &'a mut Metadata, args: &Value) -> Result<(String, &'a mut FunctionEntry), Refusal> {
    let name: TableName = required(args, "function")?;
    let source_name = source_name(args)?;
    let found = source(metadata, &source_name)?
        .functions
        .iter_mut()
        .find(|entry| entry.function == name);
    let missing = || {
        absent(
            ARGS,
            format!("function \"{name}\" does not exist in source: {source_name}"),
        )
    };
    let found = found.ok_or_else(missing)?;
    Ok((source_name.clone(), found))
}

fn customize(metadata: &mut Metadata, args: &Value) -> Done {
    let configuration: FunctionConfiguration = optional(args, "configuration")?.unwrap_or_default();
    let (source, entry) = entry(metadata, args)?;
    entry.configuration = Some(configuration);
    Ok(Change::about(id(source, entry.function.clone())))
}

fn permit(metadata: &mut Metadata, args: &Value) -> Done {
    let role = name(args, "role")?;
    let (source, entry) = entry(metadata, args)?;
    let function = entry.function.clone();
    if entry.permissions.iter().any(|permission| permission.role == role) {
        let message =
            format!("permission of role \"{role}\" already exists for function \"{function}\" in source: \"{source}\"");
        return Err(exists(message));
    }
    entry.permissions.push(FunctionPermission { role: role.clone() });
    let object = SourceObject::FunctionPermission { function, role };
    Ok(Change::about(ObjectId::Of { source, object }))
}

fn forbid(metadata: &mut Metadata, args: &Value) -> Done {
    let role = name(args, "role")?;
    let (source, entry) = entry(metadata, args)?;
    let before = entry.permissions.len();
    entry.permissions.retain(|permission| permission.role != role);
    if entry.permissions.len() == before {
        let message = format!(
            "permission of role \"{role}\" does not exist for function \"{}\" in source: \"{source}\"",
            entry.function
        );
        return Err(absent(ARGS, message));
    }
    Ok(Change::dropped(false))
}
