//! Collections of operations, and which of them are allowed.

use super::{
    Change, Done, Refusal,
    arguments::{ARGS, absent, exists, flag, name, optional, parse_failed, required},
};
use crate::{AllowScope, AllowedCollection, ListedQuery, Metadata, ObjectId, QueryCollection};
use serde_json::Value;

pub fn apply(metadata: &mut Metadata, command: &str, args: &Value) -> Option<Done> {
    Some(match command {
        "create_query_collection" => create(metadata, args),
        "rename_query_collection" => rename(metadata, args),
        "drop_query_collection" => drop_one(metadata, args),
        "add_query_to_collection" => add_query(metadata, args),
        "drop_query_from_collection" => drop_query(metadata, args),
        "add_collection_to_allowlist" => allow(metadata, args),
        "drop_collection_from_allowlist" => disallow(metadata, args),
        "update_scope_of_collection_in_allowlist" => rescope(metadata, args),
        _ => return None,
    })
}

fn find<'a>(metadata: &'a mut Metadata, name: &str) -> Result<&'a mut QueryCollection, Refusal> {
    let missing = || absent(ARGS, format!("query collection with name \"{name}\" does not exist"));
    let found = metadata.query_collections.iter_mut().find(|one| one.name == name);
    found.ok_or_else(missing)
}

fn is_known(metadata: &Metadata, name: &str) -> bool {
    metadata.query_collections.iter().any(|one| one.name == name)
}

fn create(metadata: &mut Metadata, args: &Value) -> Done {
    let made = QueryCollection {
        name: name(args, "name")?,
        definition: required(args, "definition")?,
        comment: optional(args, "comment")?,
    };
    if made.definition.queries.iter().any(|query| query.name.is_empty()) {
        return Err(parse_failed("$.definition.queries[0].name", "empty string not allowed"));
    }
    if is_known(metadata, &made.name) {
        return Err(exists(format!(
            "query collection with name \"{}\" already exists",
            made.name
        )));
    }
    let mut names: Vec<&str> = made
        .definition
        .queries
        .iter()
        .map(|query| query.name.as_str())
        .collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("found duplicate query names {} in the query collection", pair[0]);
        return Err(Refusal::new("not-supported", ARGS, message));
    }
    let about = ObjectId::Collection(made.name.clone());
    metadata.query_collections.push(made);
    Ok(Change::about(about))
}

fn rename(metadata: &mut Metadata, args: &Value) -> Done {
    let old = name(args, "name")?;
    let new = name(args, "new_name")?;
    if is_known(metadata, &new) {
        return Err(exists(format!("query collection with name \"{new}\" already exists")));
    }
    find(metadata, &old)?.name.clone_from(&new);
    for entry in metadata.allowlist.iter_mut().filter(|entry| entry.collection == old) {
        entry.collection.clone_from(&new);
    }
    for endpoint in &mut metadata.rest_endpoints {
        let query = &mut endpoint.definition.query;
        if query.collection_name == old {
            query.collection_name.clone_from(&new);
        }
    }
    Ok(Change::about(ObjectId::Collection(new)))
}

fn drop_one(metadata: &mut Metadata, args: &Value) -> Done {
    let name = name(args, "collection")?;
    find(metadata, &name)?;
    let allowed = metadata.allowlist.iter().any(|entry| entry.collection == name);
    if allowed && !flag(args, "cascade")? {
        let message = format!(
            "query collection with name \"{name}\" is present in the allowlist; cannot proceed to drop. please use cascade to confirm drop"
        );
        return Err(Refusal::new("dependency-error", ARGS, message));
    }
    metadata.query_collections.retain(|one| one.name != name);
    metadata.allowlist.retain(|entry| entry.collection != name);
    Ok(Change::dropped(flag(args, "cascade")?))
}

fn add_query(metadata: &mut Metadata, args: &Value) -> Done {
    let collection = name(args, "collection_name")?;
    let query = ListedQuery {
        name: name(args, "query_name")?,
        query: required(args, "query")?,
    };
    let found = find(metadata, &collection)?;
    if found.definition.queries.iter().any(|one| one.name == query.name) {
        let message = format!(
            "query with name \"{}\" already exists in collection \"{collection}\"",
            query.name
        );
        return Err(exists(message));
    }
    found.definition.queries.push(query);
    Ok(Change::about(ObjectId::Collection(collection)))
}

fn drop_query(metadata: &mut Metadata, args: &Value) -> Done {
    let collection = name(args, "collection_name")?;
    let query = name(args, "query_name")?;
    let queries = &mut find(metadata, &collection)?.definition.queries;
    let before = queries.len();
    queries.retain(|one| one.name != query);
    if queries.len() == before {
        let message = format!("query with name \"{query}\" not found in collection \"{collection}\"");
        return Err(absent(ARGS, message));
    }
    Ok(Change::dropped(false))
}

fn scope(args: &Value) -> Result<Option<AllowScope>, Refusal> {
    let Some(given) = args.get("scope").filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    let Some(global) = given.get("global").and_then(Value::as_bool) else {
        return Err(parse_failed("$.args.scope", "key \"global\" not found"));
    };
    let roles: Option<Vec<String>> = optional(given, "roles")?;
    match &roles {
        Some(_) if global => Err(parse_failed(
            "$.args.scope",
            "roles are not allowed when global is true",
        )),
        None if !global => Err(parse_failed("$.args.scope", "key \"roles\" not found")),
        Some(listed) if listed.is_empty() => Err(parse_failed(
            "$.args.scope.roles",
            "parsing NonEmpty failed, unexpected empty list",
        )),
        _ => Ok(Some(AllowScope { global, roles })),
    }
}

fn allow(metadata: &mut Metadata, args: &Value) -> Done {
    let collection = name(args, "collection")?;
    let scope = scope(args)?.unwrap_or(AllowScope {
        global: true,
        roles: None,
    });
    find(metadata, &collection)?;
    if metadata.allowlist.iter().any(|entry| entry.collection == collection) {
        let message = format!(
            "collection \"{collection}\" already exists in the allowlist, scope ignored; to change scope, use \
             update_scope_of_collection_in_allowlist"
        );
        return Ok(Change {
            message: Some(message),
            ..Change::default()
        });
    }
    metadata.allowlist.push(AllowedCollection { collection, scope });
    Ok(Change::default())
}

fn not_allowed(collection: &str) -> Refusal {
    let message = format!("collection \"{collection}\" doesn't exist in the allowlist");
    Refusal::new("not-found", ARGS, message)
}

fn disallow(metadata: &mut Metadata, args: &Value) -> Done {
    if args.get("collection").is_none() {
        let message = "parsing Hasura.RQL.Types.Allowlist.DropCollectionFromAllowlist(DropCollectionFromAllowlist) \
                       failed, key \"collection\" not found";
        return Err(parse_failed(ARGS, message));
    }
    let collection = name(args, "collection")?;
    let before = metadata.allowlist.len();
    metadata.allowlist.retain(|entry| entry.collection != collection);
    if metadata.allowlist.len() == before {
        return Err(not_allowed(&collection));
    }
    Ok(Change::default())
}

fn rescope(metadata: &mut Metadata, args: &Value) -> Done {
    let collection = name(args, "collection")?;
    let scope = scope(args)?.ok_or_else(|| parse_failed(ARGS, "key \"scope\" not found"))?;
    let found = metadata
        .allowlist
        .iter_mut()
        .find(|entry| entry.collection == collection);
    found.ok_or_else(|| not_allowed(&collection))?.scope = scope;
    Ok(Change::default())
}
