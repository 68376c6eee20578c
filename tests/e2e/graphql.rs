//! `/v1/links/graphql`: links through GraphQL, and what each role may see.

use crate::core::token;
use portico_tests::{Client, Receiver, Shape, Stack};
use serde_json::{Value, json};
use std::time::Duration;

/// Message, path and code.
fn error(answer: &Value) -> (&str, &str, &str) {
    let error = &answer["errors"][0];
    let extensions = &error["extensions"];
    (
        text(&error["message"]),
        text(&extensions["path"]),
        text(&extensions["code"]),
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

async fn create(client: &Client, slug: &str, target: &str, active: bool) -> Value {
    let query = "mutation($slug: String!, $target: String!, $active: Boolean) {
        insert_links_links_one(object: {slug: $slug, target_url: $target, is_active: $active}) {
            id slug target_url clicks is_active
        }
    }";
    client
        .graphql(query, json!({"slug": slug, "target": target, "active": active}))
        .await
}

#[tokio::test]
async fn a_link_is_made_followed_and_its_clicks_are_read() {
    let stack = Stack::start(Shape::OneProcess).await;
    let owner = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let other = stack.client().bearer(&token(&stack.client(), "bob@example.org").await);
    let made = create(&owner, "hello", "https://example.org/there", true).await;
    let link = made["data"]["insert_links_links_one"].clone();
    assert_eq!(link["slug"], "hello", "{made}");
    assert_eq!(link["clicks"], 0);
    for _ in 0..3 {
        stack.client().get("/l/hello").await.expect(302);
    }
    let query = "query($id: uuid!) {
        links_links(where: {id: {_eq: $id}}) { clicks link_clicks_aggregate { aggregate { count } } }
        links_clicks(where: {link_id: {_eq: $id}}, order_by: {clicked_at: desc}, limit: 2) { link { slug } __typename }
        total: links_clicks_aggregate(where: {link: {slug: {_eq: \"hello\"}}}) { aggregate { count max { clicked_at } } }
    }";
    let ask = json!({"id": link["id"]});
    let mut seen = Value::Null;
    for _ in 0..100 {
        seen = owner.graphql(query, ask.clone()).await;
        if seen["data"]["total"]["aggregate"]["count"] == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(seen["data"]["total"]["aggregate"]["count"], 3, "{seen}");
    assert_eq!(
        seen["data"]["links_links"],
        json!([{"clicks": 3, "link_clicks_aggregate": {"aggregate": {"count": 3}}}])
    );
    let click = json!({"link": {"slug": "hello"}, "__typename": "links_clicks"});
    assert_eq!(seen["data"]["links_clicks"], json!([click, click]));

    let nothing = other.graphql(query, ask).await;
    assert_eq!(nothing["data"]["links_links"], json!([]), "{nothing}");
    assert_eq!(nothing["data"]["links_clicks"], json!([]));
    assert_eq!(nothing["data"]["total"]["aggregate"]["count"], 0);
    let stolen = "mutation($id: uuid!) {
        update_links_links(where: {id: {_eq: $id}}, _set: {title: \"mine\"}) { affected_rows }
        delete_links_links_by_pk(id: $id) { id }
    }";
    let stolen = other.graphql(stolen, json!({"id": link["id"]})).await;
    assert_eq!(
        stolen["data"],
        json!({"update_links_links": {"affected_rows": 0}, "delete_links_links_by_pk": null})
    );
    let own = "mutation($id: uuid!) {
        update_links_links_by_pk(pk_columns: {id: $id}, _set: {title: \"Ours\"}) { title }
        delete_links_links(where: {slug: {_in: [\"hello\"]}}) { affected_rows returning { slug } }
    }";
    let own = owner.graphql(own, json!({"id": link["id"]})).await;
    assert_eq!(
        own["data"]["update_links_links_by_pk"],
        json!({"title": "Ours"}),
        "{own}"
    );
    assert_eq!(
        own["data"]["delete_links_links"],
        json!({"affected_rows": 1, "returning": [{"slug": "hello"}]})
    );
}

#[tokio::test]
async fn strangers_see_active_links_only_and_only_their_columns() {
    let stack = Stack::start(Shape::OneProcess).await;
    let owner = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    create(&owner, "shown", "https://example.org/a", true).await;
    create(&owner, "hidden", "https://example.org/b", false).await;
    let stranger = stack.client();
    let seen = stranger.graphql("{ links_links { slug } }", json!({})).await;
    assert_eq!(seen, json!({"data": {"links_links": [{"slug": "shown"}]}}));
    let refused = stranger.graphql("{ links_links { user_id } }", json!({})).await;
    let expected = "field 'user_id' not found in type: 'links_links'";
    assert_eq!(
        error(&refused),
        (
            expected,
            "$.selectionSet.links_links.selectionSet.user_id",
            "validation-failed"
        )
    );
    let refused = stranger.graphql("{ links_clicks { id } }", json!({})).await;
    assert_eq!(
        error(&refused).0,
        "field 'links_clicks' not found in type: 'query_root'"
    );
    let refused = create(&stranger, "x", "https://example.org", true).await;
    assert_eq!(error(&refused).0, "no mutations exist");
}

#[tokio::test]
async fn session_headers_count_only_beside_the_admin_secret() {
    let stack = Stack::start_with(
        Shape::OneProcess,
        &[("HASURA_GRAPHQL_ADMIN_SECRET", "the admin secret")],
    )
    .await;
    let owner = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    create(&owner, "hers", "https://example.org/a", false).await;
    let everything = "{ links_links { slug user_id } }";
    let hers = owner.graphql(everything, json!({})).await;
    let user_id = hers["data"]["links_links"][0]["user_id"]
        .as_str()
        .expect("a user")
        .to_owned();

    let other = stack.client().bearer(&token(&stack.client(), "bob@example.org").await);
    let posing = other.with("x-hasura-user-id", &user_id);
    assert_eq!(
        posing.graphql(everything, json!({})).await,
        json!({"data": {"links_links": []}})
    );
    let climbing = other.with("x-hasura-role", "admin");
    let refused = climbing.graphql(everything, json!({})).await;
    assert_eq!(
        error(&refused),
        ("Your requested role is not in allowed roles", "$", "access-denied")
    );
    let unknown = stack
        .client()
        .with("x-hasura-role", "user")
        .with("x-hasura-user-id", &user_id);
    assert_eq!(
        error(&unknown.graphql(everything, json!({})).await).2,
        "validation-failed"
    );

    let wrong = stack.client().with("x-hasura-admin-secret", "a guess");
    let message = "invalid \"x-hasura-admin-secret\"/\"x-hasura-access-key\"";
    assert_eq!(
        error(&wrong.graphql(everything, json!({})).await),
        (message, "$", "access-denied")
    );
    let admin = stack.client().with("x-hasura-admin-secret", "the admin secret");
    assert_eq!(admin.graphql(everything, json!({})).await, hers);
    let acting = admin.with("x-hasura-role", "user").with("x-hasura-user-id", &user_id);
    assert_eq!(acting.graphql(everything, json!({})).await, hers);
    let invalid = stack
        .client()
        .bearer("no.such.token")
        .graphql(everything, json!({}))
        .await;
    assert_eq!(error(&invalid).2, "invalid-jwt");
}

#[tokio::test]
async fn bad_requests_and_bad_links_are_refused_in_hasuras_words() {
    let stack = Stack::start(Shape::OneProcess).await;
    let owner = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let asked = async |query: &str, variables: Value| owner.graphql(query, variables).await;
    let syntax = asked("{ links_links { slug ", json!({})).await;
    assert_eq!(
        error(&syntax),
        ("not a valid graphql query", "$.query", "validation-failed")
    );
    let typed = asked("{ links_links(limit: \"many\") { slug } }", json!({})).await;
    let message = "expected a 32-bit integer for type 'Int', but found a string";
    assert_eq!(
        error(&typed),
        (message, "$.selectionSet.links_links.args.limit", "validation-failed")
    );
    let foreign = "mutation($u: uuid) { insert_links_links_one(object: {target_url: \"https://a.example\", user_id: $u}) { id } }";
    let foreign = asked(foreign, json!({"u": "00000000-0000-0000-0000-000000000000"})).await;
    assert_eq!(
        error(&foreign).0,
        "field 'user_id' not found in type: 'links_links_insert_input'"
    );
    let script = create(&owner, "bad", "javascript:alert(1)", true).await;
    assert_eq!(error(&script).2, "permission-error");
    assert!(error(&script).0.starts_with("Check constraint violation."), "{script}");
    create(&owner, "once", "https://example.org", true).await;
    let twice = create(&owner, "once", "https://example.org", true).await;
    assert_eq!(error(&twice).2, "constraint-violation");
    let quoted = "{ links_links(where: {title: {_eq: \"x' or '1'='1\"}}) { slug } }";
    assert_eq!(asked(quoted, json!({})).await, json!({"data": {"links_links": []}}));
    let inside = "{ __schema { queryType { name fields { name } } } __type(name: \"links_links\") { kind name } }";
    let inside = asked(inside, json!({})).await;
    assert_eq!(
        inside["data"]["__schema"]["queryType"]["name"], "query_root",
        "{inside}"
    );
    assert_eq!(
        inside["data"]["__type"],
        json!({"kind": "OBJECT", "name": "links_links"})
    );
    let upsert = "mutation { insert_links_links(
            objects: [{slug: \"once\", target_url: \"https://example.org/2\"}, {target_url: \"https://example.org/3\", metadata: {a: [1]}}],
            on_conflict: {constraint: links_slug_key, update_columns: [target_url]}) {
        affected_rows returning { target_url metadata } } }";
    let upsert = asked(upsert, json!({})).await;
    assert_eq!(upsert["data"]["insert_links_links"]["affected_rows"], 2, "{upsert}");
    let rows = &upsert["data"]["insert_links_links"]["returning"];
    assert_eq!(rows[0]["target_url"], "https://example.org/2");
    assert_eq!(rows[1]["metadata"], json!({"a": [1]}));
}

#[tokio::test]
async fn a_webhook_is_told_of_new_links_by_a_service_that_owns_no_table() {
    let receiver = Receiver::start().await;
    let stack = Stack::start_with(
        Shape::TwoCopies,
        &[
            ("HASURA_GRAPHQL_ADMIN_SECRET", "the admin secret"),
            ("MY_HOOK", &receiver.url),
        ],
    )
    .await;
    let admin = stack.client().with("x-hasura-admin-secret", "the admin secret");
    let on = |table: Value| {
        json!({"type": "pg_create_event_trigger", "args": {"name": "made", "table": table, "webhook": "{{MY_HOOK}}",
            "insert": {"columns": "*", "payload": ["slug"]}}})
    };
    let links = json!({"schema": "links", "name": "links"});
    admin.post("/v1/links/v1/metadata", &on(links)).await.expect(200);
    let owner = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    create(&owner, "told", "https://example.org/a", true).await;
    let told = receiver.wait(1).await[0].json();
    assert_eq!(
        told["event"]["data"],
        json!({"old": null, "new": {"slug": "told"}}),
        "{told}"
    );
    assert_eq!(told["event"]["session_variables"]["x-hasura-role"], "user", "{told}");

    // What the service's login may not read it may not have told either.
    let database = portico_tests::Database::connect(&stack.database_url()).await;
    let refused = database
        .batch_execute(
            "set session authorization portico_links;
             select links.portico_set_event_trigger('core', 'users', 'notify_hasura_x_INSERT', 'INSERT', '{}', false)",
        )
        .await
        .expect_err("refused");
    let told = refused.as_db_error().expect("by the database").message();
    assert!(
        told.contains("permission denied") || told.contains("may not read"),
        "{told}"
    );
}
