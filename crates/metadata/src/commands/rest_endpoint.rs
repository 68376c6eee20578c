//! Operations as paths under `/api/rest`.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, exists, name, optional, parse_failed, required},
};
use crate::{Metadata, ObjectId, RestDefinition, RestEndpoint};
use serde_json::Value;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "create_rest_endpoint" => create(metadata, args),
        "drop_rest_endpoint" => drop_one(metadata, args),
        _ => return None,
    })
}

fn create(metadata: &mut Metadata, args: &Value) -> Done {
    let made = RestEndpoint {
        name: name(args, "name")?,
        url: url(args)?,
        methods: required(args, "methods")?,
        definition: required(args, "definition")?,
        comment: optional(args, "comment")?,
    };
    if made.methods.is_empty() {
        return Err(parse_failed("$.methods", "expected at least one method"));
    }
    check_query(metadata, &made.definition)?;
    if metadata.rest_endpoints.iter().any(|one| one.name == made.name) {
        let message = format!("REST endpoint with name \"{}\" already exists", made.name);
        return Err(exists(message));
    }
    let about = ObjectId::RestEndpoint(made.name.clone());
    metadata.rest_endpoints.push(made);
    Ok(Change::about(about))
}

/// A template of segments; `:name` stands for one.
fn url(args: &Value) -> Result<String, Refusal> {
    let url = name(args, "url")?;
    let wrong = |message: &str| Err(parse_failed("$.url", message));
    if url.starts_with('/') {
        return wrong("Path cannot begin with a slash");
    }
    let mut names: Vec<&str> = Vec::new();
    for segment in url.trim_end_matches('/').split('/') {
        match segment.strip_prefix(':') {
            _ if segment.is_empty() => return unnamed(&url),
            Some("") => return unnamed(&url),
            Some(name) if names.contains(&name) => {
                let message = format!("Duplicate variables are not allowed: {url}");
                return Err(Refusal::new("invalid-configuration", ARGS, message));
            }
            Some(name) => names.push(name),
            None => {}
        }
    }
    Ok(url)
}

fn unnamed(url: &str) -> Result<String, Refusal> {
    let message = format!("Empty segments or unnamed variables are not allowed: {url}");
    Err(Refusal::new("invalid-configuration", ARGS, message))
}

fn check_query(metadata: &Metadata, definition: &RestDefinition) -> Result<(), Refusal> {
    let query = &definition.query;
    let collection = metadata
        .query_collections
        .iter()
        .find(|one| one.name == query.collection_name);
    let Some(collection) = collection else {
        let message = format!(
            "query collection with name \"{}\" does not exist",
            query.collection_name
        );
        return Err(absent(ARGS, message));
    };
    if collection
        .definition
        .queries
        .iter()
        .all(|one| one.name != query.query_name)
    {
        let message = format!(
            "query with name \"{}\" not found in collection \"{}\"",
            query.query_name, query.collection_name
        );
        return Err(absent(ARGS, message));
    }
    Ok(())
}

fn drop_one(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "name")?;
    let before = metadata.rest_endpoints.len();
    metadata.rest_endpoints.retain(|one| one.name != name);
    if metadata.rest_endpoints.len() == before {
        return Err(absent(
            ARGS,
            format!("REST endpoint with name \"{name}\" does not exist"),
        ));
    }
    Ok(Change::dropped(false))
}
