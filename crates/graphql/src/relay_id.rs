//! Global ids of rows: base64 of `[1, schema, table, key…]` as JSON.

use crate::schema::{Node, RoleSchema};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The node a global id names, and the values of its primary key.
///
/// # Errors
/// Says what of the id is wrong.
pub fn parse<'s>(schema: &'s RoleSchema, id: &str) -> Result<(&'s Node, Vec<Value>), String> {
    let wrong = |text: &str| format!("invalid node id: {text}");
    let bytes = STANDARD.decode(id.trim()).map_err(|_| wrong("it is not base64"))?;
    let parts: Vec<Value> = serde_json::from_slice(&bytes).map_err(|_| wrong("Error in $: it is no JSON list"))?;
    match parts.first().and_then(Value::as_f64) {
        Some(1.0) => {}
        Some(other) => return Err(wrong(&format!("Error in $: unsupported GUID version: {other:.1}"))),
        None => return Err(wrong("Error in $: GUID version is expected to be a number")),
    }
    let [_, Value::String(of), Value::String(table), key @ ..] = parts.as_slice() else {
        return Err(wrong(INCOMPLETE));
    };
    if key.is_empty() {
        return Err(wrong(INCOMPLETE));
    }
    let known = schema
        .nodes
        .iter()
        .find(|node| node.schema == *of && node.name == *table);
    let node = known.ok_or_else(|| wrong(&format!("there is no table \"{table}\" in the schema \"{of}\"")))?;
    if let Some(missing) = node.key.get(key.len()..).filter(|missing| !missing.is_empty()) {
        let names: Vec<String> = missing.iter().map(|name| format!("'{name}'")).collect();
        return Err(wrong(&format!(
            "primary key columns [{}] are missing",
            names.join(", ")
        )));
    }
    if key.len() > node.key.len() {
        let more = Value::from(key[node.key.len()..].to_vec());
        return Err(wrong(&format!("unexpected column values {more}")));
    }
    Ok((node, key.to_vec()))
}

const INCOMPLETE: &str = "Error in $: GUID version 1: expecting schema name, table name and at least one column value";
