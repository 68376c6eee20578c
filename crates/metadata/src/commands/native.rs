//! Native queries and the logical models they return.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, exists, name, optional, parse_failed, required, source, source_name},
};
use crate::{LogicalModel, Metadata, NativeQuery, ObjectId, Permission, SourceObject};
use serde_json::{Map, Value};

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "track_logical_model" => track_model(metadata, args),
        "untrack_logical_model" => untrack_model(metadata, args),
        "create_logical_model_select_permission" => permit(metadata, args),
        "drop_logical_model_select_permission" => forbid(metadata, args),
        "track_native_query" => track_query(metadata, args),
        "untrack_native_query" => untrack_query(metadata, args),
        _ => return None,
    })
}

fn about(source: String, object: SourceObject) -> Change {
    Change::about(ObjectId::Of { source, object })
}

fn track_model(metadata: &mut Metadata, args: &Value) -> Done {
    let made = LogicalModel {
        name: name(args, "name")?,
        fields: required(args, "fields")?,
        description: optional(args, "description")?,
        select_permissions: Vec::new(),
        rest: Map::new(),
    };
    let of = source_name(args)?;
    let known = &mut source(metadata, &of)?.logical_models;
    if known.iter().any(|one| one.name == made.name) {
        let message = format!("Logical model '{}' is already tracked.", made.name);
        return Err(Refusal::new("already-tracked", ARGS, message));
    }
    let object = SourceObject::LogicalModel(made.name.clone());
    known.push(made);
    Ok(about(of, object))
}

fn untrack_model(metadata: &mut Metadata, args: &Value) -> Done {
    let (of, name) = (source_name(args)?, name(args, "name")?);
    let source = source(metadata, &of)?;
    let users: Vec<&str> = source
        .native_queries
        .iter()
        .filter(|query| query.returns == name)
        .map(|query| query.root_field_name.as_str())
        .collect();
    if !users.is_empty() {
        let message = format!(
            "Logical model '{name}' still being used by native query '{}'.",
            users.join("', '")
        );
        return Err(Refusal::new("constraint-violation", ARGS, message));
    }
    let before = source.logical_models.len();
    source.logical_models.retain(|one| one.name != name);
    match source.logical_models.len() < before {
        true => Ok(Change::dropped(false)),
        false => Err(absent(
            ARGS,
            format!("Logical model '{name}' not found in source '{of}'."),
        )),
    }
}

fn model<'m>(metadata: &'m mut Metadata, of: &str, name: &str) -> Result<&'m mut LogicalModel, Refusal> {
    let known = source(metadata, of)?
        .logical_models
        .iter_mut()
        .find(|one| one.name == name);
    known.ok_or_else(|| absent(ARGS, format!("Logical model '{name}' not found in source '{of}'.")))
}

fn permit(metadata: &mut Metadata, args: &Value) -> Done {
    let (of, name_of) = (source_name(args)?, name(args, "name")?);
    let made = Permission {
        role: name(args, "role")?,
        permission: required(args, "permission")?,
        comment: optional(args, "comment")?,
        rest: Map::new(),
    };
    let known = model(metadata, &of, &name_of)?;
    if known.select_permissions.iter().any(|one| one.role == made.role) {
        let message = format!(
            "select permission already defined on logical model '{name_of}' with role '{}'",
            made.role
        );
        return Err(exists(message));
    }
    known.select_permissions.push(made);
    Ok(about(of, SourceObject::LogicalModel(name_of)))
}

fn forbid(metadata: &mut Metadata, args: &Value) -> Done {
    let (of, name_of, role) = (source_name(args)?, name(args, "name")?, name(args, "role")?);
    let known = model(metadata, &of, &name_of)?;
    let before = known.select_permissions.len();
    known.select_permissions.retain(|one| one.role != role);
    match known.select_permissions.len() < before {
        true => Ok(Change::dropped(false)),
        false => {
            let message = format!("select permission on logical model '{name_of}' for role '{role}' does not exist");
            Err(absent(ARGS, message))
        }
    }
}

fn track_query(metadata: &mut Metadata, args: &Value) -> Done {
    let made = NativeQuery {
        root_field_name: name(args, "root_field_name")?,
        code: name(args, "code")?,
        arguments: optional(args, "arguments")?.unwrap_or_default(),
        returns: required(args, "returns")?,
        kind: optional(args, "type")?,
        comment: optional(args, "comment")?,
        rest: Map::new(),
    };
    if made.kind.as_deref().is_some_and(|kind| kind != "query") {
        return Err(parse_failed("$.type", "a native query is of type 'query'"));
    }
    for relationships in ["object_relationships", "array_relationships"] {
        if args[relationships].as_array().is_some_and(|list| !list.is_empty()) {
            let message = format!("{relationships} of native queries are not supported");
            return Err(Refusal::new(
                "not-supported",
                format!("$.args.{relationships}"),
                message,
            ));
        }
    }
    let of = source_name(args)?;
    let known = &mut source(metadata, &of)?.native_queries;
    if known.iter().any(|one| one.root_field_name == made.root_field_name) {
        let message = format!("Native query '{}' is already tracked.", made.root_field_name);
        return Err(Refusal::new("already-tracked", ARGS, message));
    }
    let object = SourceObject::NativeQuery(made.root_field_name.clone());
    known.push(made);
    Ok(about(of, object))
}

fn untrack_query(metadata: &mut Metadata, args: &Value) -> Done {
    let (of, name) = (source_name(args)?, name(args, "root_field_name")?);
    let known = &mut source(metadata, &of)?.native_queries;
    let before = known.len();
    known.retain(|one| one.root_field_name != name);
    match known.len() < before {
        true => Ok(Change::dropped(false)),
        false => Err(absent(
            ARGS,
            format!("Native query '{name}' not found in source '{of}'."),
        )),
    }
}
