//! Settings of the whole that are kept in the document.

use super::{Change, Done, Refusal, arguments::required};
use crate::{ApiLimits, Metadata, SchemaIntrospection};
use serde_json::{Value, json};

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "set_graphql_schema_introspection_options" => introspection(metadata, args),
        "set_metrics_config" => Ok(put(metadata, "metrics_config", args.clone())),
        "remove_metrics_config" => Ok(take(metadata, "metrics_config")),
        "set_api_limits" => api_limits(metadata, args),
        "remove_api_limits" => Ok(take(metadata, "api_limits")),
        "add_host_to_tls_allowlist" => Ok(allow_host(metadata, args)),
        "drop_host_from_tls_allowlist" => Ok(disallow_host(metadata, args)),
        _ => return None,
    })
}

fn introspection(metadata: &mut Metadata, args: &Value) -> Done {
    let disabled_for_roles: Vec<String> = required(args, "disabled_for_roles")?;
    metadata.graphql_schema_introspection = Some(SchemaIntrospection { disabled_for_roles });
    Ok(Change::default())
}

fn api_limits(metadata: &mut Metadata, args: &Value) -> Done {
    ApiLimits::parse(args).map_err(|message| Refusal::new("parse-failed", "$.args", message))?;
    Ok(put(metadata, "api_limits", args.clone()))
}

fn put(metadata: &mut Metadata, key: &str, value: Value) -> Change {
    metadata.rest.insert(key.to_owned(), value);
    Change::default()
}

fn take(metadata: &mut Metadata, key: &str) -> Change {
    metadata.rest.remove(key);
    Change::default()
}

fn hosts(metadata: &mut Metadata) -> &mut Value {
    let network = metadata.rest.entry("network").or_insert_with(|| json!({}));
    if !network["tls_allowlist"].is_array() {
        network["tls_allowlist"] = json!([]);
    }
    &mut network["tls_allowlist"]
}

fn allow_host(metadata: &mut Metadata, args: &Value) -> Change {
    if let Some(list) = hosts(metadata).as_array_mut() {
        list.retain(|known| known["host"] != args["host"] || known["suffix"] != args["suffix"]);
        list.push(args.clone());
    }
    Change::default()
}

fn disallow_host(metadata: &mut Metadata, args: &Value) -> Change {
    if let Some(list) = hosts(metadata).as_array_mut() {
        list.retain(|known| known["host"] != args["host"]);
    }
    Change::default()
}
