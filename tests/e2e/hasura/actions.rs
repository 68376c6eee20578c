//! Actions: root fields that a handler answers.

use super::{Engine, admin, ask, command, serve};
use portico_tests::{Client, Database, Receiver, Socket};
use serde_json::{Value, json};
use std::time::Duration;

/// Authors and articles, and actions about them.
async fn with_actions(more: &[(&str, &str)], receiver: &Receiver) -> Engine {
    let mut settings = vec![("HANDLER", receiver.url.as_str()), ("TOKEN", "from the environment")];
    settings.extend(more);
    let engine = Engine::start(&settings).await;
    engine.library().await;
    let types = json!({
        "input_objects": [{"name": "Person", "fields": [{"name": "name", "type": "String!"}, {"name": "mood", "type": "Mood"},
            {"name": "amount", "type": "numeric"}, {"name": "friends", "type": "[Person!]"}]}],
        "enums": [{"name": "Mood", "values": [{"value": "GLAD"}, {"value": "SAD", "description": "not glad"}]}],
        "scalars": [{"name": "Anything"}],
        "objects": [
            {"name": "Made", "description": "what was made", "fields": [{"name": "id", "type": "Int!"},
                {"name": "note", "type": "String"}, {"name": "place", "type": "Place"}, {"name": "places", "type": "[Place!]"},
                {"name": "more", "type": "Anything"}],
             "relationships": [
                {"name": "author", "type": "object", "remote_table": "author", "field_mapping": {"id": "id"}},
                {"name": "articles", "type": "array", "remote_table": "article", "field_mapping": {"id": "author_id"}}]},
            {"name": "Place", "fields": [{"name": "city", "type": "String!"}]}]});
    engine.command("set_custom_types", types).await;
    let action = |name: &str, definition: Value| json!({"name": name, "definition": definition});
    for args in [
        action(
            "make",
            json!({"handler": "{{HANDLER}}/make", "output_type": "Made!", "arguments": [
            {"name": "person", "type": "Person!"}, {"name": "n", "type": "Int"}],
            "forward_client_headers": true, "headers": [{"name": "x-token", "value_from_env": "TOKEN"}]}),
        ),
        action(
            "found",
            json!({"type": "query", "handler": "{{HANDLER}}/found", "output_type": "[Made]"}),
        ),
        action(
            "count",
            json!({"type": "query", "handler": "{{HANDLER}}/count", "output_type": "Int!"}),
        ),
        action(
            "later",
            json!({"kind": "asynchronous", "handler": "{{HANDLER}}/later-on", "output_type": "Made",
            "arguments": [{"name": "name", "type": "String!"}]}),
        ),
    ] {
        engine.command("create_action", args).await;
    }
    engine
}

#[tokio::test]
async fn a_handler_answers_in_the_shape_that_is_asked_for() {
    let receiver = Receiver::start().await;
    let engine = with_actions(&[], &receiver).await;
    receiver.reply(
        "/make",
        200,
        json!({"id": 1, "note": "x", "place": {"city": "Rome", "hidden": 1},
        "places": [{"city": "A"}, {"city": "B"}], "more": {"any": [1, "thing"]}}),
    );
    let query =
        "mutation($person: Person!) { made: make(person: $person, n: 3) { __typename key: id more place { city }
        places { town: city __typename } author { name } articles(order_by: {id: desc}, limit: 1) { title }
        articles_aggregate { aggregate { count } } } }";
    let person = json!({"name": "Ada", "mood": "SAD", "amount": 12.5, "friends": [{"name": "Bob", "mood": null}]});
    let asking = engine
        .admin()
        .with("x-hasura-user-id", "7")
        .with("x-mine", "kept")
        .with("x-token", "mine");
    let answer = asking
        .post("/v1/graphql", &json!({"query": query, "variables": {"person": person}}))
        .await
        .expect(200);
    assert_eq!(answer.headers["set-cookie"], "seen=1");
    let made = answer.json();
    assert_eq!(
        made["data"]["made"],
        json!({"__typename": "Made", "key": 1, "more": {"any": [1, "thing"]}, "place": {"city": "Rome"},
            "places": [{"town": "A", "__typename": "Place"}, {"town": "B", "__typename": "Place"}], "author": {"name": "Ada"},
            "articles": [{"title": "Numbers"}], "articles_aggregate": {"aggregate": {"count": 2}}}),
        "{made}"
    );
    let told = receiver.told().remove(0);
    let body = told.json();
    assert_eq!(body["input"], json!({"person": person, "n": 3}));
    assert_eq!(body["action"], json!({"name": "make"}));
    assert_eq!(
        body["session_variables"],
        json!({"x-hasura-role": "admin", "x-hasura-user-id": "7"})
    );
    assert_eq!(body["request_query"], query);
    assert_eq!(
        (told.headers["x-token"].as_str(), told.headers["x-mine"].as_str()),
        ("from the environment", "kept")
    );

    receiver.reply("/found", 200, json!([{"id": 2}, null, {"id": 1}, {"id": 99}]));
    receiver.reply("/count", 200, json!(42));
    let found = ask(
        &engine.admin(),
        "{ found { id author { name } articles { title } } count author_aggregate { aggregate { count } } }",
    )
    .await;
    assert_eq!(
        found["data"],
        json!({"found": [{"id": 2, "author": {"name": "Bob"}, "articles": [{"title": "Boats"}]}, null,
            {"id": 1, "author": {"name": "Ada"}, "articles": [{"title": "Engines"}, {"title": "Numbers"}]},
            {"id": 99, "author": null, "articles": []}], "count": 42, "author_aggregate": {"aggregate": {"count": 2}}}),
        "{found}"
    );
    let wrong = ask(
        &engine.admin(),
        "mutation { make(person: {name: \"x\", mood: CROSS}) { id } }",
    )
    .await;
    assert_eq!(
        wrong["errors"][0]["message"],
        "expected one of the values ['GLAD', 'SAD'] for type 'Mood', but found 'CROSS'"
    );
}

#[tokio::test]
async fn a_role_uses_the_actions_it_may_and_sees_its_own_rows_behind_them() {
    let receiver = Receiver::start().await;
    let engine = with_actions(&[], &receiver).await;
    receiver.reply("/found", 200, json!([{"id": 1}, {"id": 2}]));
    engine
        .command("create_action_permission", json!({"action": "found", "role": "reader"}))
        .await;
    let own = json!({"table": "author", "role": "reader", "permission": {"columns": ["name"], "filter": {"id": "X-Hasura-User-Id"}}});
    engine.command("pg_create_select_permission", own).await;
    let reader = engine
        .admin()
        .with("x-hasura-role", "reader")
        .with("x-hasura-user-id", "2");
    let seen = ask(&reader, "{ found { id author { name } } }").await;
    assert_eq!(
        seen["data"]["found"],
        json!([{"id": 1, "author": null}, {"id": 2, "author": {"name": "Bob"}}]),
        "{seen}"
    );
    let hidden = ask(&reader, "{ found { articles { title } } }").await;
    assert_eq!(
        hidden["errors"][0]["message"],
        "field 'articles' not found in type: 'Made'"
    );
    let forbidden = ask(&reader, "{ count }").await;
    assert_eq!(
        forbidden["errors"][0]["message"],
        "field 'count' not found in type: 'query_root'"
    );
    engine
        .command(
            "add_inherited_role",
            json!({"role_name": "heir", "role_set": ["reader"]}),
        )
        .await;
    let heir = reader.with("x-hasura-role", "heir");
    assert_eq!(
        ask(&heir, "{ found { id } }").await["data"]["found"][1],
        json!({"id": 2})
    );
    engine
        .command("drop_action_permission", json!({"action": "found", "role": "reader"}))
        .await;
    let forbidden = ask(&reader, "{ found { id } }").await;
    assert_eq!(
        forbidden["errors"][0]["message"],
        "field 'found' not found in type: 'query_root'"
    );
}

#[tokio::test]
async fn what_a_handler_refuses_or_answers_wrongly_is_told() {
    let receiver = Receiver::start().await;
    let engine = with_actions(&[], &receiver).await;
    let error = async |status: u16, body: String| {
        receiver.reply("/count", status, body);
        receiver.reply("/found", status, "[]");
        ask(&engine.admin(), "{ count }").await["errors"][0].clone()
    };
    let told = error(400, json!({"message": "no", "code": "too-bad"}).to_string()).await;
    assert_eq!(
        told,
        json!({"message": "no", "extensions": {"path": "$", "code": "too-bad"}})
    );
    let told = error(422, json!({"message": "no", "extensions": {"why": [1]}}).to_string()).await;
    assert_eq!(told, json!({"message": "no", "extensions": {"why": [1]}}));
    let told = error(500, "oh".to_owned()).await;
    assert_eq!(
        (&told["message"], &told["extensions"]["code"]),
        (&json!("internal error"), &json!("unexpected"))
    );
    assert!(
        told["extensions"]["internal"]["error"]
            .as_str()
            .is_some_and(|text| text.contains("500 oh")),
        "{told}"
    );
    let told = error(200, "no JSON".to_owned()).await;
    assert_eq!(told["message"], "not a valid json response from webhook");
    let told = error(200, "null".to_owned()).await;
    assert_eq!(told["message"], "got null for the action webhook response");
    let told = error(200, "\"text\"".to_owned()).await;
    assert_eq!(told["message"], "got scalar String for the action webhook response");
    receiver.reply("/found", 200, json!([{"note": "x"}]));
    let told = ask(&engine.admin(), "{ found { note } }").await;
    assert_eq!(
        told["errors"][0]["message"],
        "field \"id\" expected in webhook response, but not found"
    );
    receiver.reply("/found", 200, json!([{"id": 1, "places": [null]}]));
    let told = ask(&engine.admin(), "{ found { id } }").await;
    assert_eq!(told["errors"][0]["message"], "got null for the action webhook response");
    engine
        .command("create_action_permission", json!({"action": "count", "role": "reader"}))
        .await;
    receiver.reply("/count", 500, "a secret");
    let told = ask(&engine.admin().with("x-hasura-role", "reader"), "{ count }").await;
    assert_eq!(
        told,
        json!({"errors": [{"message": "internal error", "extensions": {"path": "$", "code": "unexpected"}}]})
    );
    let gone = json!({"name": "count", "definition": {"type": "query", "handler": "http://127.0.0.1:1/", "output_type": "Int!"}});
    engine.command("update_action", gone).await;
    let told = ask(&engine.admin(), "{ count }").await;
    assert_eq!(
        told["errors"][0]["message"], "http exception when calling webhook",
        "{told}"
    );
    let slow = json!({"name": "count", "definition": {"type": "query", "handler": "{{HANDLER}}/slow", "output_type": "Int!", "timeout": 1}});
    engine.command("update_action", slow).await;
    let told = ask(&engine.admin(), "{ count }").await;
    assert_eq!(
        told["errors"][0]["extensions"]["internal"]["error"], "no answer within 1 s",
        "{told}"
    );
}

#[tokio::test]
async fn a_handler_is_asked_before_or_after_the_transaction_never_inside_it() {
    let receiver = Receiver::start().await;
    let engine = with_actions(&[], &receiver).await;
    receiver.reply("/make", 200, json!({"id": 3}));
    let make = "make(person: {name: \"x\"}) { id author { name } }";
    let insert = "insert_author_one(object: {id: 3, name: \"Cy\"}) { id }";
    let failing = "insert_article_one(object: {title: \"none\", author_id: 77}) { id }";
    // The handler's answer leads to a row that was committed before.
    let done = ask(&engine.admin(), &format!("mutation {{ {insert} {make} }}")).await;
    assert_eq!(
        done["data"]["make"],
        json!({"id": 3, "author": {"name": "Cy"}}),
        "{done}"
    );
    let done = ask(&engine.admin(), &format!("mutation {{ {make} {failing} }}")).await;
    assert_eq!(
        done["errors"][0]["extensions"]["code"], "constraint-violation",
        "{done}"
    );
    assert_eq!(receiver.told().len(), 2, "it was asked before");
    let done = ask(&engine.admin(), &format!("mutation {{ {failing} {make} }}")).await;
    assert_eq!(
        done["errors"][0]["extensions"]["code"], "constraint-violation",
        "{done}"
    );
    assert_eq!(receiver.told().len(), 2, "it was not asked after");
}

async fn result(client: &Client, id: &Value) -> Value {
    let query = "query($id: uuid!) { later(id: $id) { id created_at errors output { id author { name } } } }";
    let asked = json!({"query": query, "variables": {"id": id}});
    client.post("/v1/graphql", &asked).await.expect(200).json()["data"]["later"].clone()
}

async fn settled(client: &Client, id: &Value) -> Value {
    for _ in 0..400 {
        let seen = result(client, id).await;
        if !seen["output"].is_null() || !seen["errors"].is_null() {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never done: {}", result(client, id).await);
}

#[tokio::test]
async fn an_asynchronous_action_is_done_later_and_told_to_who_asked() {
    let receiver = Receiver::start().await;
    let engine = with_actions(&[], &receiver).await;
    engine
        .command("create_action_permission", json!({"action": "later", "role": "user"}))
        .await;
    let names = json!({"table": "author", "role": "user", "permission": {"columns": ["name"], "filter": {}}});
    engine.command("pg_create_select_permission", names).await;
    receiver.reply("/later-on", 200, json!({"id": 2}));
    let one = engine
        .admin()
        .with("x-hasura-role", "user")
        .with("x-hasura-user-id", "1");
    let made = ask(&one, "mutation { later(name: \"x\") }").await;
    let id = made["data"]["later"].clone();
    let done = settled(&one, &id).await;
    assert_eq!(
        (&done["id"], &done["errors"], &done["output"]["id"]),
        (&id, &Value::Null, &json!(2)),
        "{done}"
    );
    assert!(done["created_at"].is_string(), "{done}");
    let told = receiver.told().remove(0).json();
    assert_eq!(
        (&told["input"], &told["action"]["id"]),
        (&json!({"name": "x"}), &id),
        "{told}"
    );
    assert_eq!(
        result(&one.with("x-hasura-user-id", "2"), &id).await,
        Value::Null,
        "somebody else's"
    );
    assert_eq!(result(&engine.admin(), &id).await["output"]["author"]["name"], "Bob");

    // A subscription waits for it.
    receiver.reply("/later-on", 400, json!({"message": "not today"}));
    let secret = json!({"x-hasura-admin-secret": super::SECRET, "x-hasura-role": "user", "x-hasura-user-id": "1"});
    let mut socket = Socket::open(&engine.address, "/v1/graphql", secret).await;
    let made = ask(&one, "mutation { later(name: \"y\") }").await;
    let id = made["data"]["later"].as_str().expect("an id").to_owned();
    socket
        .subscribe(
            "1",
            &format!("subscription {{ later(id: \"{id}\") {{ errors output {{ id }} }} }}"),
        )
        .await;
    let mut seen = socket.data().await;
    if seen["later"]["errors"].is_null() {
        seen = socket.data().await;
    }
    assert_eq!(seen["later"]["errors"]["error"], "not today", "{seen}");
    assert_eq!(seen["later"]["output"], Value::Null);
}

#[tokio::test]
async fn an_asynchronous_action_survives_a_kill() {
    let receiver = Receiver::start().await;
    let engine = with_actions(&[], &receiver).await;
    let slow = json!({"name": "later", "definition": {"kind": "asynchronous", "handler": "{{HANDLER}}/slow", "output_type": "Anything",
        "arguments": [{"name": "name", "type": "String!"}]}});
    engine.command("update_action", slow).await;
    let made = ask(&engine.admin(), "mutation { later(name: \"x\") }").await;
    let id = made["data"]["later"].clone();
    receiver.wait(1).await;
    engine.process.kill();
    let client = Database::connect(engine.database.url.expose()).await;
    // Its lease runs out.
    let aged = client
        .execute(
            "update hdb_catalog.hdb_action_log set leased_until = now() where status = 'processing'",
            &[],
        )
        .await;
    assert_eq!(aged.expect("a row"), 1);
    let (_process, address) = serve(&engine.settings, &engine.directory);
    let query = json!({"query": format!("{{ later(id: {id}) {{ output errors }} }}")});
    for _ in 0..400 {
        let seen = admin(&address).post("/v1/graphql", &query).await.expect(200).json();
        if !seen["data"]["later"]["output"].is_null() {
            assert_eq!(receiver.told().len(), 2);
            assert_eq!(receiver.told()[0].json()["action"], receiver.told()[1].json()["action"]);
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it was never done");
}

#[tokio::test]
async fn actions_and_types_that_do_not_fit_are_refused_and_kept_apart() {
    let receiver = Receiver::start().await;
    let engine = with_actions(&[], &receiver).await;
    let refused = async |name: &str, args: Value| {
        let told = engine.refused(name, args).await;
        told["error"].as_str().unwrap_or_default().to_owned()
    };
    let action = |definition: Value| json!({"name": "odd", "definition": definition});
    for (definition, wanted) in [
        (
            json!({"handler": "http://h/", "output_type": "Nothing"}),
            "\"Nothing\" is not an object type",
        ),
        (
            json!({"handler": "http://h/", "output_type": "Made", "arguments": [{"name": "a", "type": "Made"}]}),
            "not an input type",
        ),
        (
            json!({"handler": "{{NOWHERE}}", "output_type": "Made"}),
            "environment variables not set: \"NOWHERE\"",
        ),
        (
            json!({"handler": "http://h/", "output_type": "Made", "kind": "sometimes"}),
            "'synchronous' or 'asynchronous'",
        ),
        (
            json!({"handler": "http://h/", "output_type": "[Made"}),
            "is no GraphQL type",
        ),
        (
            json!({"handler": "http://h/", "output_type": "Made", "headers": [{"name": "x", "value_from_env": "HASURA_GRAPHQL_X"}]}),
            "env variables starting with",
        ),
    ] {
        let told = refused("create_action", action(definition)).await;
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    let told = refused(
        "create_action",
        json!({"name": "make", "definition": {"handler": "http://h/", "output_type": "Made"}}),
    )
    .await;
    assert_eq!(told, "action with name \"make\" already exists");
    let told = refused(
        "create_action",
        json!({"name": "insert_author", "definition": {"handler": "http://h/", "output_type": "Made"}}),
    )
    .await;
    assert!(
        told.contains("a root field of a table or function has its name"),
        "{told}"
    );
    let told = refused(
        "set_custom_types",
        json!({"objects": [{"name": "author", "fields": [{"name": "id", "type": "Int"}]}]}),
    )
    .await;
    assert!(told.contains("has the name of a table's type"), "{told}");
    let lost = json!({"objects": [{"name": "Made", "fields": [{"name": "id", "type": "Int!"}],
        "relationships": [{"name": "r", "type": "object", "remote_table": "nothing", "field_mapping": {"id": "id"}}]}]});
    let told = refused("set_custom_types", lost).await;
    assert!(told.contains("leads to table \"nothing\""), "{told}");
    // What actions speak of cannot be taken away.
    let told = refused("set_custom_types", json!({})).await;
    assert!(told.contains("inconsistent"), "{told}");
    let told = refused("pg_untrack_table", json!({"table": "article", "cascade": false})).await;
    assert!(told.contains("dependent"), "{told}");
    let document = command(&engine.admin(), "export_metadata", json!({})).await;
    assert_eq!(document["actions"].as_array().map(Vec::len), Some(4), "{document}");
    command(&engine.admin(), "replace_metadata", document.clone()).await;
    assert_eq!(command(&engine.admin(), "export_metadata", json!({})).await, document);
    engine.command("drop_action", json!({"name": "later"})).await;
    assert!(
        refused("drop_action", json!({"name": "later"}))
            .await
            .contains("does not exist")
    );
}
