//! What is wrong with listed operations and the endpoints made of them, as inconsistencies.

use graphql::{Inconsistency, Kind, Schema, operation_info};
use metadata::{ListedQuery, Metadata, QueryCollection};
use serde_json::json;

pub fn inconsistencies(schema: &Schema, metadata: &Metadata) -> Vec<Inconsistency> {
    let mut found = Vec::new();
    for collection in &metadata.query_collections {
        for query in &collection.definition.queries {
            let wrong = schema.misfits(&query.query);
            if !wrong.is_empty() {
                found.push(misfit(metadata, collection, query, &wrong));
            }
        }
    }
    found.extend(subscriptions(metadata));
    found
}

fn misfit(metadata: &Metadata, collection: &QueryCollection, query: &ListedQuery, wrong: &[String]) -> Inconsistency {
    let wrong: Vec<String> = wrong.iter().map(|one| format!("\"{one}\"")).collect();
    let mut reason = format!(
        "Inconsistent object: In query collection \"{}\" the query \"{}\" is invalid with the following error(s): {}",
        collection.name,
        query.name,
        wrong.join(", ")
    );
    let uses = metadata.rest_endpoints.iter().filter(|endpoint| {
        let asked = &endpoint.definition.query;
        asked.collection_name == collection.name && asked.query_name == query.name
    });
    let uses: Vec<String> = uses.map(|endpoint| format!("\"{}\"", endpoint.name)).collect();
    if !uses.is_empty() {
        reason.push_str(&format!(
            ". This query is being used in the following REST endpoint(s): {}",
            uses.join(", ")
        ));
    }
    Inconsistency {
        kind: "query_collections",
        name: format!("query_collections {} in {}", query.name, collection.name),
        reason,
        definition: json!(query),
    }
}

/// A path cannot stay open.
fn subscriptions(metadata: &Metadata) -> Vec<Inconsistency> {
    let mut found = Vec::new();
    for endpoint in &metadata.rest_endpoints {
        let asked = &endpoint.definition.query;
        let collection = metadata
            .query_collections
            .iter()
            .find(|one| one.name == asked.collection_name);
        let query = collection.and_then(|one| one.definition.queries.iter().find(|one| one.name == asked.query_name));
        let info = query.and_then(|query| operation_info(&query.query).ok());
        if info.is_some_and(|info| info.kind == Kind::Subscription) {
            let mut definition = json!(endpoint);
            if endpoint.comment.is_none() {
                definition["comment"] = serde_json::Value::Null;
            }
            found.push(Inconsistency {
                kind: "rest_endpoint",
                name: format!("rest_endpoint {}", endpoint.name),
                reason: format!(
                    "Inconsistent object: in endpoint {}: query with name {} is a subscription",
                    endpoint.name, asked.query_name
                ),
                definition,
            });
        }
    }
    found
}
