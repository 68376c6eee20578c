//! Tracking tables, and how they look.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, flag, optional, required, source, source_name, table},
};
use crate::{Metadata, ObjectId, SourceObject, TableConfiguration, TableEntry, TableName};
use serde_json::{Map, Value, json};

pub fn apply(metadata: &mut Metadata, name: &str, args: &Value) -> Option<Done> {
    Some(match name {
        "track_table" | "add_existing_table_or_view" => track(metadata, args),
        "untrack_table" => untrack(metadata, args),
        "set_table_is_enum" => set_is_enum(metadata, args),
        "set_table_customization" => customize(metadata, args),
        "set_table_custom_fields" => custom_fields(metadata, args),
        "set_apollo_federation_config" => set_federation(metadata, args),
        _ => return None,
    })
}

pub fn id(source: String, table: TableName) -> ObjectId {
    ObjectId::Of {
        source,
        object: SourceObject::Table(table),
    }
}

/// The arguments are the table itself, or hold it under `table`.
fn track(metadata: &mut Metadata, args: &Value) -> Done {
    let holder = match args.get("table") {
        Some(_) => args.clone(),
        None => json!({ "table": args }),
    };
    let name: TableName = required(&holder, "table")?;
    let source_name = source_name(args)?;
    let source = source(metadata, &source_name)?;
    if source.table(&name).is_some() {
        let message = format!("view/table already tracked: \"{name}\"");
        return Err(Refusal::new("already-tracked", ARGS, message));
    }
    source.tables.push(TableEntry {
        table: name.clone(),
        is_enum: flag(&holder, "is_enum")?,
        configuration: optional(&holder, "configuration")?.map(tidy).filter(is_told),
        apollo_federation_config: optional(&holder, "apollo_federation_config")?,
        ..TableEntry::default()
    });
    Ok(Change::about(id(source_name, name)))
}

fn untrack(metadata: &mut Metadata, args: &Value) -> Done {
    let source_name = source_name(args)?;
    let name: TableName = required(args, "table")?;
    let source = source(metadata, &source_name)?;
    if source.table(&name).is_none() {
        let message = format!("view/table already untracked: \"{name}\"");
        return Err(Refusal::new("already-untracked", ARGS, message));
    }
    source.tables.retain(|entry| entry.table != name);
    Ok(Change::dropped(flag(args, "cascade")?))
}

fn set_is_enum(metadata: &mut Metadata, args: &Value) -> Done {
    let (source, name, entry) = table(metadata, args, ARGS)?;
    entry.is_enum = required(args, "is_enum")?;
    Ok(Change::about(id(source, name)))
}

fn customize(metadata: &mut Metadata, args: &Value) -> Done {
    let configuration: TableConfiguration = optional(args, "configuration")?.unwrap_or_default();
    let (source, name, entry) = table(metadata, args, ARGS)?;
    entry.configuration = Some(tidy(configuration)).filter(is_told);
    Ok(Change::about(id(source, name)))
}

/// The older form, in which columns have names only.
fn custom_fields(metadata: &mut Metadata, args: &Value) -> Done {
    let custom_root_fields: Map<String, Value> = optional(args, "custom_root_fields")?.unwrap_or_default();
    let names: Map<String, Value> = optional(args, "custom_column_names")?.unwrap_or_default();
    let (source, name, entry) = table(metadata, args, ARGS)?;
    let column_config = names
        .into_iter()
        .map(|(column, name)| (column, json!({ "custom_name": name })));
    let configuration = TableConfiguration {
        custom_root_fields,
        column_config: column_config.collect(),
        ..entry.configuration.clone().unwrap_or_default()
    };
    entry.configuration = Some(tidy(configuration)).filter(is_told);
    Ok(Change::about(id(source, name)))
}

fn set_federation(metadata: &mut Metadata, args: &Value) -> Done {
    let config: Option<Value> = optional(args, "apollo_federation_config")?;
    let (source, name, entry) = table(metadata, args, ARGS)?;
    entry.apollo_federation_config = config;
    Ok(Change::about(id(source, name)))
}

/// Without what says nothing; the older way to name columns becomes today's.
fn tidy(mut configuration: TableConfiguration) -> TableConfiguration {
    configuration.custom_root_fields.retain(|_, name| !name.is_null());
    if let Some(Value::Object(names)) = configuration.rest.remove("custom_column_names") {
        for (column, name) in names {
            let entry = configuration.column_config.entry(column).or_insert_with(|| json!({}));
            if let Some(entry) = entry.as_object_mut() {
                entry.entry("custom_name").or_insert(name);
            }
        }
    }
    configuration
}

fn is_told(configuration: &TableConfiguration) -> bool {
    *configuration != TableConfiguration::default()
}
