//! `validate_input`: a webhook judges what a mutation writes before it does.

use super::{Engine, ask};
use portico_tests::Receiver;
use serde_json::{Value, json};

#[tokio::test]
async fn a_webhook_may_refuse_what_is_to_be_written() {
    let receiver = Receiver::start().await;
    let engine = Engine::start(&[("JUDGE", &receiver.url)]).await;
    engine.library().await;
    let judge = |path: &str| {
        json!({"type": "http", "definition": {"url": format!("{{{{JUDGE}}}}{path}"), "forward_client_headers": true,
            "headers": [{"name": "x-a", "value": "b"}], "timeout": 1}})
    };
    let permission = |table: &str, permission: Value| json!({"table": table, "role": "user", "permission": permission});
    engine
        .command(
            "pg_create_insert_permission",
            permission(
                "author",
                json!({"check": {}, "columns": "*", "validate_input": judge("/author")}),
            ),
        )
        .await;
    engine
        .command(
            "pg_create_insert_permission",
            permission(
                "article",
                json!({"check": {}, "columns": "*", "validate_input": judge("/article")}),
            ),
        )
        .await;
    engine
        .command(
            "pg_create_update_permission",
            permission(
                "author",
                json!({"filter": {}, "columns": "*", "validate_input": judge("/update")}),
            ),
        )
        .await;
    engine
        .command(
            "pg_create_delete_permission",
            permission("article", json!({"filter": {}, "validate_input": judge("/delete")})),
        )
        .await;
    engine
        .command(
            "pg_create_select_permission",
            permission("author", json!({"filter": {}, "columns": "*"})),
        )
        .await;
    engine
        .command(
            "pg_create_select_permission",
            permission("article", json!({"filter": {}, "columns": "*"})),
        )
        .await;
    let user = engine
        .admin()
        .with("x-hasura-role", "user")
        .with("x-hasura-user-id", "7")
        .with("x-mine", "too");
    let nested = "mutation { insert_author(objects: [{name: \"Cy\", articles: {data: [{title: \"Maps\"}]}}, {name: \"Di\"}]) { affected_rows } }";
    let done = ask(&user, nested).await;
    assert_eq!(done["data"]["insert_author"]["affected_rows"], 3, "{done}");
    let told = receiver.told();
    assert_eq!(
        told.iter().map(|told| told.path.as_str()).collect::<Vec<_>>(),
        ["/author", "/article"]
    );
    assert_eq!(
        told[0].json(),
        json!({"version": 1, "role": "user", "session_variables": {"x-hasura-role": "user", "x-hasura-user-id": "7"},
            "data": {"input": [{"name": "Cy", "articles": {"data": [{"title": "Maps"}]}}, {"name": "Di"}]}})
    );
    assert_eq!(told[1].json()["data"]["input"], json!([{"title": "Maps"}]));
    assert_eq!(
        (told[0].headers["x-a"].as_str(), told[0].headers["x-mine"].as_str()),
        ("b", "too")
    );

    receiver.forget();
    receiver.reply("/article", 400, json!({"message": "no maps"}));
    let refused = ask(&user, nested).await;
    assert_eq!(
        refused,
        json!({"errors": [{"message": "no maps", "extensions": {"path": "$", "code": "validation-failed"}}]})
    );
    let count = ask(&engine.admin(), "{ author_aggregate { aggregate { count } } }").await;
    assert_eq!(
        count["data"]["author_aggregate"]["aggregate"]["count"], 4,
        "nothing was written: {count}"
    );
    receiver.forget();
    ask(
        &user,
        "mutation { update_author(where: {id: {_eq: 1}}, _set: {name: \"X\"}) { affected_rows } }",
    )
    .await;
    ask(
        &user,
        "mutation { update_author_by_pk(pk_columns: {id: 1}, _set: {name: \"Y\"}) { id } }",
    )
    .await;
    ask(
        &user,
        "mutation { delete_article(where: {id: {_eq: 1}}) { affected_rows } }",
    )
    .await;
    ask(&user, "mutation { delete_article_by_pk(id: 2) { id } }").await;
    let inputs: Vec<Value> = receiver
        .told()
        .iter()
        .map(|told| told.json()["data"]["input"][0].clone())
        .collect();
    assert_eq!(
        inputs,
        [
            json!({"where": {"id": {"_eq": 1}}, "_set": {"name": "X"}}),
            json!({"pk_columns": {"id": 1}, "_set": {"name": "Y"}}),
            json!({"where": {"id": {"_eq": 1}}}),
            json!({"pk_columns": {"id": 2}})
        ]
    );

    // Who cannot be asked lets nothing through; administrators are not judged.
    receiver.reply("/update", 500, "oh");
    let refused = ask(
        &user,
        "mutation { update_author(where: {}, _set: {name: \"Z\"}) { affected_rows } }",
    )
    .await;
    assert_eq!(
        refused["errors"][0]["message"], "the input could not be validated",
        "{refused}"
    );
    receiver.forget();
    ask(
        &engine.admin(),
        "mutation { update_author_by_pk(pk_columns: {id: 2}, _set: {name: \"A\"}) { id } }",
    )
    .await;
    assert!(receiver.told().is_empty());
    let lost = json!({"type": "pg_create_insert_permission", "args": {"table": "author", "role": "other", "permission":
        {"check": {}, "columns": "*", "validate_input": {"type": "http", "definition": {"url": "{{NOWHERE}}"}}}}});
    let refused = engine.admin().post("/v1/metadata", &lost).await.expect(400).json();
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|text| text.contains("validate_input: environment variables not set")),
        "{refused}"
    );
}
