//! Relationships between tables of one source.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, exists, flag, name, optional, required, table},
};
use crate::{Metadata, ObjectId, Relationship, SourceObject, TableEntry, TableName};
use serde_json::{Map, Value};

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "create_object_relationship" => create(metadata, args, false),
        "create_array_relationship" => create(metadata, args, true),
        "drop_relationship" => drop_one(metadata, args),
        "rename_relationship" => rename(metadata, args),
        "set_relationship_comment" => set_comment(metadata, args),
        _ => return None,
    })
}

fn id(source: String, table: TableName, name: String) -> ObjectId {
    ObjectId::Of {
        source,
        object: SourceObject::Relationship { table, name },
    }
}

fn create(metadata: &mut Metadata, args: &Value, array: bool) -> Done {
    let mut rest = Map::new();
    if let Some(comment) = optional::<String>(args, "comment")? {
        rest.insert("comment".to_owned(), Value::from(comment));
    }
    let made = Relationship {
        name: name(args, "name")?,
        using: required(args, "using")?,
        rest,
    };
    let (source, table, entry) = table(metadata, args, "$.args.table")?;
    if is_taken(entry, &made.name) {
        let message = format!("field with name \"{}\" already exists in table \"{table}\"", made.name);
        return Err(exists(message));
    }
    let about = id(source, table, made.name.clone());
    let list = match array {
        true => &mut entry.array_relationships,
        false => &mut entry.object_relationships,
    };
    list.push(made);
    Ok(Change::about(about))
}

fn is_taken(entry: &TableEntry, name: &str) -> bool {
    let relationships = entry.object_relationships.iter().chain(&entry.array_relationships);
    let computed = entry.computed_fields.iter().map(|field| field.name.as_str());
    relationships
        .map(|one| one.name.as_str())
        .chain(computed)
        .any(|taken| taken == name)
}

fn find<'a>(entry: &'a mut TableEntry, table: &TableName, name: &str) -> Result<&'a mut Relationship, Refusal> {
    entry
        .object_relationships
        .iter_mut()
        .chain(&mut entry.array_relationships)
        .find(|one| one.name == name)
        .ok_or_else(|| missing(table, name))
}

fn missing(table: &TableName, name: &str) -> Refusal {
    absent(
        "$.args.relationship",
        format!("relationship \"{name}\" on table \"{table}\" does not exist"),
    )
}

fn drop_one(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "relationship")?;
    let cascade = flag(args, "cascade")?;
    let (_, table, entry) = table(metadata, args, "$.args.table")?;
    find(entry, &table, &name)?;
    entry.object_relationships.retain(|one| one.name != name);
    entry.array_relationships.retain(|one| one.name != name);
    Ok(Change::dropped(cascade))
}

/// What the permissions of all tables say about the old name they then say about the new one.
fn rename(metadata: &mut Metadata, args: &Value) -> Done {
    let old = name(args, "name")?;
    let new = name(args, "new_name")?;
    let (source_name, table, entry) = table(metadata, args, "$.args.table")?;
    if is_taken(entry, &new) {
        let message = format!(
            "cannot rename relationship \"{old}\" to \"{new}\" in table \"{table}\" as a column/relationship with the name already exists"
        );
        return Err(Refusal::new("already-exists", ARGS, message));
    }
    find(entry, &table, &old)?.name.clone_from(&new);
    if let Some(source) = metadata.source_mut(&source_name) {
        crate::rename::relationship(source, &table, &old, &new);
    }
    Ok(Change::about(id(source_name, table, new)))
}

fn set_comment(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    let comment: Option<String> = optional(args, "comment")?;
    let (source, table, entry) = table(metadata, args, "$.args.table")?;
    let found = find(entry, &table, &name)?;
    found.rest.remove("comment");
    if let Some(comment) = comment {
        found.rest.insert("comment".to_owned(), Value::from(comment));
    }
    Ok(Change::about(id(source, table, name)))
}
