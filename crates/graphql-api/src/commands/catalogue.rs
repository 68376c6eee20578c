//! Questions about a source's database: its tables, functions, and views' definitions.

use crate::{draft::Draft, refusal::Refusal};
use postgres_chassis::translate;
use serde_json::{Value, json};

pub async fn apply(draft: &mut Draft<'_>, name: &str, args: &Value) -> Option<Result<Value, Refusal>> {
    let source = args["source"].as_str().unwrap_or("default").to_owned();
    Some(match metadata::commands::bare(name) {
        "get_source_tables" | "get_source_trackables" => Ok(tables(draft, &source)),
        "get_native_query" => Ok(json!(
            draft.metadata.source(&source).map(|source| &source.native_queries)
        )),
        "get_logical_model" => Ok(json!(
            draft.metadata.source(&source).map(|source| &source.logical_models)
        )),
        "list_sources" => Ok(sources(draft)),
        "get_viewdef" => view(draft, &source, args).await,
        _ => return None,
    })
}

fn tables(draft: &Draft<'_>, source: &str) -> Value {
    let tables = draft
        .catalogs
        .get(source)
        .into_iter()
        .flat_map(|catalog| &catalog.tables)
        .filter(|table| table.schema != "hdb_catalog");
    tables
        .map(|table| json!({"schema": table.schema, "name": table.name}))
        .collect()
}

fn sources(draft: &Draft<'_>) -> Value {
    let sources = draft.metadata.sources.iter();
    sources
        .map(|source| json!({"name": source.name, "kind": source.kind}))
        .collect()
}

async fn view(draft: &mut Draft<'_>, source: &str, args: &Value) -> Result<Value, Refusal> {
    let name: metadata::TableName = serde_json::from_value(args["view"].clone())
        .map_err(|error| Refusal::new("parse-failed", "$.args.view", error.to_string()))?;
    let client = draft.transaction(source).await?;
    let row = client
        .query_one(
            "select pg_get_viewdef(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = $1 and c.relname = $2",
            &[&name.schema, &name.name],
        )
        .await
        .map_err(|error| translate("reading a view", error))?;
    Ok(Value::from(row.get::<_, Option<&str>>(0)))
}
