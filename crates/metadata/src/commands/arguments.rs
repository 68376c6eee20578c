//! Reading a command's arguments: what is missing or of the wrong shape is named with its path.

use super::Refusal;
use crate::{Metadata, Source, TableEntry, TableName};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub const ARGS: &str = "$.args";

pub fn parse_failed(path: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal::new("parse-failed", path, message)
}

/// One typed value under `key`.
pub fn required<T: DeserializeOwned>(args: &Value, key: &str) -> Result<T, Refusal> {
    match args.get(key) {
        None | Some(Value::Null) => Err(parse_failed(ARGS, format!("key \"{key}\" not found"))),
        Some(value) => typed(value, key),
    }
}

pub fn optional<T: DeserializeOwned>(args: &Value, key: &str) -> Result<Option<T>, Refusal> {
    match args.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => typed(value, key).map(Some),
    }
}

fn typed<T: DeserializeOwned>(value: &Value, key: &str) -> Result<T, Refusal> {
    serde_json::from_value(value.clone()).map_err(|error| parse_failed(format!("$.{key}"), error.to_string()))
}

/// A name: text that is not empty.
pub fn name(args: &Value, key: &str) -> Result<String, Refusal> {
    let text: String = required(args, key)?;
    if text.is_empty() {
        return Err(parse_failed(format!("$.{key}"), "empty string not allowed"));
    }
    Ok(text)
}

pub fn flag(args: &Value, key: &str) -> Result<bool, Refusal> {
    Ok(optional(args, key)?.unwrap_or(false))
}

/// The source a command is about; without a word `default`.
pub fn source_name(args: &Value) -> Result<String, Refusal> {
    Ok(optional(args, "source")?.unwrap_or_else(|| "default".to_owned()))
}

pub fn source<'a>(metadata: &'a mut Metadata, name: &str) -> Result<&'a mut Source, Refusal> {
    metadata.source_mut(name).ok_or_else(|| no_source(name))
}

pub fn no_source(name: &str) -> Refusal {
    Refusal::new(
        "not-exists",
        ARGS,
        format!("source with name \"{name}\" does not exist"),
    )
}

/// The table named by `args.table`, in its source; `path` is where Hasura says it is missing.
pub fn table<'a>(
    metadata: &'a mut Metadata,
    args: &Value,
    path: &str,
) -> Result<(String, TableName, &'a mut TableEntry), Refusal> {
    let source_name = source_name(args)?;
    let table: TableName = required(args, "table")?;
    let missing = Refusal::new(
        "not-exists",
        path,
        format!("table \"{table}\" does not exist in source: {source_name}"),
    );
    let entry = source(metadata, &source_name)?.table_mut(&table).ok_or(missing)?;
    Ok((source_name, table, entry))
}

pub fn exists(message: String) -> Refusal {
    Refusal::new("already-exists", ARGS, message)
}

pub fn absent(path: &str, message: String) -> Refusal {
    Refusal::new("not-exists", path, message)
}
