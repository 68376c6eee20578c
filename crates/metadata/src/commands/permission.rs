//! What roles may do with tables.

use super::{
    Change, Done,
    arguments::{ARGS, absent, exists, name, optional, required, table},
};
use crate::{Metadata, ObjectId, Permission, PermissionKind, SourceObject, TableEntry, TableName};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    if command == "set_permission_comment" {
        return Some(set_comment(metadata, args));
    }
    let (verb, rest) = command.split_once('_')?;
    let kind = match rest.strip_suffix("_permission")? {
        "insert" => PermissionKind::Insert,
        "select" => PermissionKind::Select,
        "update" => PermissionKind::Update,
        "delete" => PermissionKind::Delete,
        _ => return None,
    };
    match verb {
        "create" => Some(create(metadata, args, kind)),
        "drop" => Some(drop_one(metadata, args, kind)),
        _ => None,
    }
}

fn id(source: String, table: TableName, role: String, kind: PermissionKind) -> ObjectId {
    ObjectId::Of {
        source,
        object: SourceObject::Permission { table, role, kind },
    }
}

fn create(metadata: &mut Metadata, args: &Value, kind: PermissionKind) -> Done {
    let role = name(args, "role")?;
    let (source, table, entry) = table(metadata, args, "$.args.table")?;
    let new = match kind {
        PermissionKind::Insert => add(&mut entry.insert_permissions, args, &role)?,
        PermissionKind::Select => add(&mut entry.select_permissions, args, &role)?,
        PermissionKind::Update => add(&mut entry.update_permissions, args, &role)?,
        PermissionKind::Delete => add(&mut entry.delete_permissions, args, &role)?,
    };
    if !new {
        let message = format!("permission already defined on table \"{table}\" with role \"{role}\"");
        return Err(exists(message));
    }
    Ok(Change::about(id(source, table, role, kind)))
}

/// Whether the role had none.
fn add<P: DeserializeOwned>(list: &mut Vec<Permission<P>>, args: &Value, role: &str) -> Result<bool, super::Refusal> {
    let permission = required(args, "permission")?;
    let comment = optional(args, "comment")?;
    if list.iter().any(|one| one.role == role) {
        return Ok(false);
    }
    list.push(Permission {
        role: role.to_owned(),
        permission,
        comment,
        rest: serde_json::Map::new(),
    });
    Ok(true)
}

fn drop_one(metadata: &mut Metadata, args: &Value, kind: PermissionKind) -> Done {
    let role = name(args, "role")?;
    let (_, table, entry) = table(metadata, args, "$.args.table")?;
    if !entry.remove_permission(&role, kind) {
        let word = kind.word();
        let message = format!("{word} permission on table \"{table}\" for role \"{role}\" does not exist");
        return Err(absent(ARGS, message));
    }
    Ok(Change::dropped(false))
}

fn set_comment(metadata: &mut Metadata, args: &Value) -> Done {
    fn put<P>(list: &mut [Permission<P>], role: &str, comment: &Option<String>) -> bool {
        let found = list.iter_mut().find(|one| one.role == role);
        found.map(|one| one.comment.clone_from(comment)).is_some()
    }
    let role = name(args, "role")?;
    let kind: String = required(args, "type")?;
    let comment: Option<String> = optional(args, "comment")?;
    let (_, table, entry): (_, _, &mut TableEntry) = table(metadata, args, "$.args.table")?;
    let found = match kind.as_str() {
        "insert" => put(&mut entry.insert_permissions, &role, &comment),
        "select" => put(&mut entry.select_permissions, &role, &comment),
        "update" => put(&mut entry.update_permissions, &role, &comment),
        _ => put(&mut entry.delete_permissions, &role, &comment),
    };
    if !found {
        let message = format!("{kind} permission on table \"{table}\" for role \"{role}\" does not exist");
        return Err(absent(ARGS, message));
    }
    Ok(Change::default())
}
