//! Functions of a row, shown as fields.

use super::{
    Change, Done,
    arguments::{absent, exists, flag, name, optional, required, table},
};
use crate::{ComputedField, Metadata, ObjectId, SourceObject};
use serde_json::Value;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "add_computed_field" => add(metadata, args),
        "drop_computed_field" => drop_one(metadata, args),
        _ => return None,
    })
}

fn add(metadata: &mut Metadata, args: &Value) -> Done {
    let field = ComputedField {
        name: name(args, "name")?,
        definition: required(args, "definition")?,
        comment: optional(args, "comment")?,
    };
    let (source, table, entry) = table(metadata, args, "$.args.table")?;
    if entry.computed_fields.iter().any(|one| one.name == field.name) {
        let message = format!("field with name \"{}\" already exists in table \"{table}\"", field.name);
        return Err(exists(message));
    }
    let object = SourceObject::ComputedField {
        table,
        name: field.name.clone(),
    };
    entry.computed_fields.push(field);
    Ok(Change::about(ObjectId::Of { source, object }))
}

fn drop_one(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    let cascade = flag(args, "cascade")?;
    let (_, _, entry) = table(metadata, args, "$.args.table")?;
    let before = entry.computed_fields.len();
    entry.computed_fields.retain(|one| one.name != name);
    if entry.computed_fields.len() == before {
        return Err(absent(
            "$.args.name",
            format!("computed field \"{name}\" does not exist"),
        ));
    }
    Ok(Change::dropped(cascade))
}
