//! Commands about the whole document: export, replace, clear, reload, and what is inconsistent in it.

use super::{Command, success};
use crate::{dependents, draft::Draft, engine::Engine, refusal::Refusal, state::told};
use metadata::{ApiLimits, Metadata, Source};
use serde_json::{Map, Value, json};

pub async fn apply(draft: &mut Draft<'_>, command: &Command<'_>) -> Option<Result<Value, Refusal>> {
    Some(match command.name {
        "export_metadata" => Ok(export(draft, command.version)),
        "replace_metadata" => replace(draft, command).await,
        "clear_metadata" => clear(draft).await,
        "get_inconsistent_metadata" => Ok(inconsistent(&draft.inconsistent)),
        "drop_inconsistent_metadata" => drop_inconsistent(draft).await,
        "get_catalog_state" => draft.engine.store.tool_state("cli").await.map_err(Refusal::from),
        "set_catalog_state" => set_catalog_state(draft, command.args).await,
        "dump_internal_state" => {
            Ok(json!({"metadata": draft.metadata, "inconsistent_objects": listed(&draft.inconsistent)}))
        }
        "get_metadata_resource_version" | "get_resource_version" => {
            Ok(json!({"resource_version": draft.engine.state().resource_version}))
        }
        _ => return None,
    })
}

fn listed(inconsistent: &[graphql::Inconsistency]) -> Vec<Value> {
    inconsistent.iter().map(told).collect()
}

fn inconsistent(inconsistent: &[graphql::Inconsistency]) -> Value {
    json!({"is_consistent": inconsistent.is_empty(), "inconsistent_objects": listed(inconsistent)})
}

fn export(draft: &Draft<'_>, version: u64) -> Value {
    let mut exported = draft.metadata.clone();
    exported.cron_triggers.retain(|trigger| trigger.include_in_metadata);
    let document = json!(exported);
    match version {
        2 => json!({"resource_version": draft.engine.state().resource_version, "metadata": document}),
        _ => document,
    }
}

/// Everything is read anew, by every copy: they hear of a new version.
pub async fn reload(engine: &Engine) -> Result<Value, Refusal> {
    let (metadata, version) = engine.store.load(&engine.settings.initial).await?;
    engine.store.save(&metadata, version).await?.commit().await?;
    let (known, version) = (engine.state(), version + 1);
    let made =
        crate::state::State::build(&engine.settings, &engine.client, metadata, version, Some(&known), true).await;
    let mut answer = json!({"message": "success", "is_consistent": made.inconsistent.is_empty()});
    if !made.inconsistent.is_empty() {
        answer["inconsistent_objects"] = Value::Array(listed(&made.inconsistent));
    }
    engine.set(made);
    Ok(answer)
}

/// The sources' definitions go, except that `default` stays a source.
async fn clear(draft: &mut Draft<'_>) -> Result<Value, Refusal> {
    let kept = draft.metadata.source("default").map(|source| Source {
        name: source.name.clone(),
        kind: source.kind.clone(),
        configuration: source.configuration.clone(),
        ..Source::default()
    });
    draft.metadata = Metadata {
        sources: kept.into_iter().collect(),
        ..Metadata::default()
    };
    draft.rebuild().await?;
    Ok(success())
}

async fn drop_inconsistent(draft: &mut Draft<'_>) -> Result<Value, Refusal> {
    // Taking one away may break another; each round takes at least one.
    while !draft.inconsistent.is_empty() {
        let objects: Vec<_> = draft.inconsistent.iter().filter_map(dependents::object_of).collect();
        objects.iter().for_each(|object| draft.metadata.remove(object));
        let left = draft.inconsistent.len();
        draft.rebuild().await?;
        if objects.is_empty() || draft.inconsistent.len() >= left {
            break;
        }
    }
    Ok(success())
}

/// The document itself, or `{"allow_inconsistent_metadata", "metadata"}` in the second version.
async fn replace(draft: &mut Draft<'_>, command: &Command<'_>) -> Result<Value, Refusal> {
    let (given, allow) = match command.args.get("metadata") {
        Some(given) => (
            given,
            command.args["allow_inconsistent_metadata"].as_bool().unwrap_or(false),
        ),
        None => (command.args, false),
    };
    let upgraded = upgraded(given, draft);
    let mut metadata: Metadata = serde_json::from_value(upgraded)
        .map_err(|error| Refusal::new("parse-failed", "$.args", format!("this is no metadata: {error}")))?;
    if let Some(name) = unsupported(&metadata) {
        let message = format!("the metadata has '{name}', which this server does not support; take it out");
        return Err(Refusal::new("not-supported", "$.args", message));
    }
    ApiLimits::of(&metadata).map_err(|message| Refusal::new("parse-failed", "$.args.api_limits", message))?;
    keep_unexported(&mut metadata, draft);
    check_declared_once(&metadata)?;
    draft.metadata = metadata;
    draft.rebuild().await?;
    if !allow && !draft.inconsistent.iter().all(graphql::Inconsistency::is_note) {
        let mut refusal = Refusal::new("unexpected", "$.args", "cannot continue due to inconsistent metadata");
        refusal.error.internal = Some(Box::new(Value::Array(listed(&draft.inconsistent))));
        return Err(refusal);
    }
    match command.version {
        2 => Ok(inconsistent(&draft.inconsistent)),
        _ => Ok(success()),
    }
}

/// What no export shows no import takes away.
fn keep_unexported(metadata: &mut Metadata, draft: &Draft<'_>) {
    let known = draft.metadata.cron_triggers.iter();
    let unexported = known.filter(|trigger| !trigger.include_in_metadata);
    metadata.cron_triggers.extend(unexported.cloned());
}

/// Lists whose entries have names hold each name once.
fn check_declared_once(metadata: &Metadata) -> Result<(), Refusal> {
    fn twice<'m>(names: impl Iterator<Item = &'m str>) -> Vec<&'m str> {
        let (mut seen, mut twice) = (Vec::new(), Vec::new());
        for name in names {
            match seen.contains(&name) {
                true if !twice.contains(&name) => twice.push(name),
                true => {}
                false => seen.push(name),
            }
        }
        twice
    }
    let lists = [
        (
            "allowlist entries",
            twice(metadata.allowlist.iter().map(|entry| entry.collection.as_str())),
        ),
        (
            "query collections",
            twice(metadata.query_collections.iter().map(|one| one.name.as_str())),
        ),
        (
            "sources",
            twice(metadata.sources.iter().map(|source| source.name.as_str())),
        ),
        ("event triggers", twice(event_triggers(metadata))),
        (
            "remote schemas",
            twice(metadata.remote_schemas.iter().map(|one| one.name.as_str())),
        ),
        ("actions", twice(metadata.actions.iter().map(|one| one.name.as_str()))),
        (
            "cron triggers",
            twice(metadata.cron_triggers.iter().map(|one| one.name.as_str())),
        ),
        (
            "rest endpoints",
            twice(metadata.rest_endpoints.iter().map(|one| one.name.as_str())),
        ),
    ];
    if let Some((what, names)) = lists.iter().find(|(_, names)| !names.is_empty()) {
        let message = format!(
            "multiple declarations exist for the following {what}: {}",
            names.join(", ")
        );
        return Err(Refusal::new("parse-failed", "$.args.metadata", message));
    }
    Ok(())
}

fn event_triggers(metadata: &Metadata) -> impl Iterator<Item = &str> {
    let tables = metadata.sources.iter().flat_map(|source| &source.tables);
    tables.flat_map(|entry| entry.event_triggers.iter().map(|trigger| trigger.name.as_str()))
}

/// What we would have to act on and cannot.
fn unsupported(metadata: &Metadata) -> Option<&'static str> {
    let mut queries = metadata.sources.iter().flat_map(|source| &source.native_queries);
    let related = |key: &str, query: &metadata::NativeQuery| {
        query
            .rest
            .get(key)
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty())
    };
    if queries.any(|query| related("object_relationships", query) || related("array_relationships", query)) {
        return Some("relationships of native queries");
    }
    let mut remotes = metadata.remote_schemas.iter();
    if remotes.clone().any(|remote| !remote.permissions.is_empty()) {
        return Some("permissions of remote schemas");
    }
    if remotes.any(|remote| !remote.remote_relationships.is_empty()) {
        return Some("remote_relationships");
    }
    let mut tables = metadata.sources.iter().flat_map(|source| &source.tables);
    if tables.clone().any(|table| !table.remote_relationships.is_empty()) {
        return Some("remote_relationships");
    }
    let cleaned = tables.any(|table| {
        let mut triggers = table.event_triggers.iter();
        triggers.any(|trigger| trigger.rest.contains_key("cleanup_config"))
    });
    cleaned.then_some("cleanup_config")
}

/// Documents of versions 1 and 2 are about one database.
fn upgraded(given: &Value, draft: &Draft<'_>) -> Value {
    if given["version"] == 3 || given.get("sources").is_some() {
        let mut document = given.clone();
        document["version"] = json!(3);
        return document;
    }
    let mut document: Map<String, Value> = given.as_object().cloned().unwrap_or_default();
    let mut source = json!({"name": "default", "kind": "postgres", "tables": [], "configuration": {}});
    if let Some(known) = draft.metadata.source("default") {
        source["configuration"] = known.configuration.clone();
    }
    if let Some(tables) = document.remove("tables") {
        source["tables"] = tables;
    }
    let functions: Vec<Value> = match document.remove("functions") {
        Some(Value::Array(functions)) => functions,
        _ => Vec::new(),
    };
    let entry = |function: Value| match function.get("function") {
        Some(_) => function,
        None => json!({ "function": function }),
    };
    source["functions"] = functions.into_iter().map(entry).collect();
    document.insert("version".to_owned(), json!(3));
    document.insert("sources".to_owned(), json!([source]));
    Value::Object(document)
}

async fn set_catalog_state(draft: &mut Draft<'_>, args: &Value) -> Result<Value, Refusal> {
    let tool = args["type"].as_str().unwrap_or_default();
    draft.engine.store.set_tool_state(tool, &args["state"]).await?;
    Ok(success())
}
