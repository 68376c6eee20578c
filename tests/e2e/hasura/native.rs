//! Native queries and logical models.

use super::{Engine, ask};
use serde_json::{Value, json};

async fn with_query() -> Engine {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let model = json!({"name": "tally", "description": "articles of an author", "fields": [{"name": "name", "type": "text"},
        {"name": "articles", "type": {"scalar": "bigint", "nullable": false}}, {"name": "titles", "type": "text[]", "nullable": true}]});
    engine.command("pg_track_logical_model", model).await;
    let query = json!({"root_field_name": "tallies", "returns": "tally", "comment": "who wrote how much",
        "arguments": {"least": {"type": "integer", "nullable": false, "description": "of articles"}, "like": {"type": "text", "nullable": true}},
        "code": "select a.name, count(*) as articles, array_agg(r.title order by r.id) as titles
            from author a join article r on r.author_id = a.id where a.name like coalesce({{like}}, '%')
            group by a.id having count(*) >= {{ least }} -- and no more;"});
    engine.command("pg_track_native_query", query).await;
    engine
}

#[tokio::test]
async fn sql_is_a_root_field_with_arguments_filters_and_permissions() {
    let engine = with_query().await;
    let seen = ask(&engine.admin(), "{ tallies(args: {least: 1}, order_by: {articles: desc}, where: {name: {_neq: \"Eve\"}}) { name articles titles }
        some: tallies(args: {least: 1, like: \"B%\"}, limit: 1) { name } }").await;
    assert_eq!(
        seen["data"],
        json!({"tallies": [{"name": "Ada", "articles": 2, "titles": ["Engines", "Numbers"]}, {"name": "Bob", "articles": 1, "titles": ["Boats"]}],
            "some": [{"name": "Bob"}]}),
        "{seen}"
    );
    let missing = ask(&engine.admin(), "{ tallies(args: {}) { name } }").await;
    assert_eq!(missing["errors"][0]["message"], "missing required field 'least'");
    let injected = ask(
        &engine.admin(),
        "{ tallies(args: {least: 0, like: \"' or true --\"}) { name } }",
    )
    .await;
    assert_eq!(injected["data"]["tallies"], json!([]), "{injected}");
    let reader = engine
        .admin()
        .with("x-hasura-role", "reader")
        .with("x-hasura-name", "Bob");
    let hidden = ask(&reader, "{ tallies(args: {least: 1}) { name } }").await;
    assert_eq!(
        hidden["errors"][0]["message"],
        "field 'tallies' not found in type: 'query_root'"
    );
    let own = json!({"name": "tally", "role": "reader", "permission": {"columns": ["name", "articles"], "filter": {"name": {"_eq": "X-Hasura-Name"}}}});
    engine.command("pg_create_logical_model_select_permission", own).await;
    let seen = ask(&reader, "{ tallies(args: {least: 1}) { name articles } }").await;
    assert_eq!(
        seen["data"]["tallies"],
        json!([{"name": "Bob", "articles": 1}]),
        "{seen}"
    );
    let hidden = ask(&reader, "{ tallies(args: {least: 1}) { titles } }").await;
    assert_eq!(
        hidden["errors"][0]["message"],
        "field 'titles' not found in type: 'tally'"
    );
    let types = ask(
        &engine.admin(),
        "{ __type(name: \"tallies_arguments\") { inputFields { name type { kind } } } }",
    )
    .await;
    assert_eq!(
        types["data"]["__type"]["inputFields"],
        json!([{"name": "least", "type": {"kind": "NON_NULL"}}, {"name": "like", "type": {"kind": "SCALAR"}}]),
        "{types}"
    );
}

#[tokio::test]
async fn queries_and_models_that_do_not_fit_are_refused_and_survive_an_export() {
    let engine = with_query().await;
    let refused = async |name: &str, args: Value| {
        let told = engine.refused(name, args).await;
        told["error"].as_str().unwrap_or_default().to_owned()
    };
    let query = |code: &str, returns: &str| json!({"root_field_name": "odd", "returns": returns, "code": code, "arguments": {"a": {"type": "int"}}});
    for (args, wanted) in [
        (
            query("select 1", "nothing"),
            "the logical model \"nothing\" is not tracked",
        ),
        (
            query("select {{b}}", "tally"),
            "names {{b}}, which is not among its arguments",
        ),
        (
            query("select 'x'::text as name from nowhere", "tally"),
            "Failed to validate query: relation \"nowhere\" does not exist",
        ),
        (
            query("select {{a}} as name", "tally"),
            "Failed to validate query: column \"articles\" does not exist",
        ),
    ] {
        let told = refused("pg_track_native_query", args).await;
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    assert_eq!(
        refused("pg_untrack_logical_model", json!({"name": "tally"})).await,
        "Logical model 'tally' still being used by native query 'tallies'."
    );
    let nested = json!({"name": "deep", "fields": [{"name": "x", "type": {"logical_model": "tally"}}]});
    assert!(
        refused("pg_track_logical_model", nested)
            .await
            .contains("nested models are not supported")
    );
    let document = engine.command("export_metadata", json!({})).await;
    assert_eq!(
        document["sources"][0]["native_queries"][0]["root_field_name"],
        "tallies"
    );
    engine.command("replace_metadata", document.clone()).await;
    assert_eq!(engine.command("export_metadata", json!({})).await, document);
    engine
        .command("pg_untrack_native_query", json!({"root_field_name": "tallies"}))
        .await;
    engine
        .command("pg_untrack_logical_model", json!({"name": "tally"}))
        .await;
    let gone = ask(&engine.admin(), "{ tallies { name } }").await;
    assert_eq!(
        gone["errors"][0]["message"],
        "field 'tallies' not found in type: 'query_root'"
    );
}
