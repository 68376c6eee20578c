//! Roles made of other roles.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, name, required},
};
use crate::{InheritedRole, Metadata, ObjectId};
use serde_json::Value;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "add_inherited_role" => add(metadata, args),
        "drop_inherited_role" => drop_one(metadata, args),
        _ => return None,
    })
}

/// Adding one that is there gives it the new set.
fn add(metadata: &mut Metadata, args: &Value) -> Done {
    let role_name = name(args, "role_name")?;
    let role_set: Vec<String> = required(args, "role_set")?;
    if role_set.is_empty() {
        return Err(Refusal::new("parse-failed", "$.role_set", "role_set cannot be empty"));
    }
    let made = InheritedRole { role_name, role_set };
    let about = ObjectId::InheritedRole(made.role_name.clone());
    metadata.inherited_roles.retain(|one| one.role_name != made.role_name);
    metadata.inherited_roles.push(made);
    Ok(Change::about(about))
}

fn drop_one(metadata: &mut Metadata, args: &Value) -> Done {
    let role = name(args, "role_name")?;
    let before = metadata.inherited_roles.len();
    metadata.inherited_roles.retain(|one| one.role_name != role);
    if metadata.inherited_roles.len() == before {
        return Err(absent(ARGS, format!("inherited role \"{role}\" does not exist")));
    }
    Ok(Change::dropped(false))
}
