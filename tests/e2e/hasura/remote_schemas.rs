//! Remote schemas: `tests/clients/graphql/remote.mjs` is the other GraphQL server.

use super::{Engine, admin, ask, serve};
use portico_tests::Client;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// Ends with the test.
struct Remote {
    child: Child,
    url: String,
}

impl Remote {
    fn start() -> Self {
        let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "target", "clients"].iter().collect();
        let script = root.join("remote.mjs");
        assert!(script.exists(), "{} is missing; make e2e prepares it", script.display());
        let mut command = Command::new("node");
        let mut child = command.arg(script).stdout(Stdio::piped()).spawn().expect("node starts");
        let mut url = String::new();
        let said = child.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut url).expect("its address");
        Remote {
            child,
            url: url.trim().to_owned(),
        }
    }

    /// The operations since the last look.
    async fn asked(&self) -> Vec<String> {
        let asked = Client::new(&self.url).get("/asked").await.expect(200).json();
        serde_json::from_value(asked).expect("texts")
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn with(remote: &Remote, more: Value) -> Engine {
    let engine = Engine::start(&[("SHIPS", &remote.url), ("TOKEN", "from the environment")]).await;
    engine.library().await;
    let mut definition = json!({"url": "{{SHIPS}}/graphql"});
    for (key, value) in more.as_object().expect("an object") {
        definition[key] = value.clone();
    }
    let args = json!({"name": "ships", "definition": definition});
    engine.command("add_remote_schema", args).await;
    remote.asked().await;
    engine
}

#[tokio::test]
async fn a_remote_schema_answers_beside_the_tables() {
    let remote = Remote::start();
    let engine = with(&remote, json!({})).await;
    let query = "query($name: String!, $n: Int!, $no: Boolean!) {
        a: ship(name: $name) { __typename it: name tons(unit: \"kg\") home @skip(if: $no) fleet(first: $n) { ...f } }
        author(order_by: {id: asc}) { name }
        named { __typename name ... on Ship { tons } ...c }
        search(filter: {place: LAND, odd: {x: [1, \"2\"]}}) { ... on Captain { ships { name } } ... on Named { name } }
        none: ship(name: \"none\") { name } }
        fragment f on Ship { name home } fragment c on Captain { ships { name } }";
    let asked = json!({"query": query, "variables": {"name": "Argo \"I\"", "n": 1, "no": true}});
    let answer = engine.admin().post("/v1/graphql", &asked).await.expect(200).json();
    assert_eq!(
        answer["data"],
        json!({"a": {"__typename": "Ship", "it": "Argo \"I\"", "tons": 10000, "fleet": [{"name": "Argo \"I\" 0", "home": "SEA"}]},
            "author": [{"name": "Ada"}, {"name": "Bob"}],
            "named": [{"__typename": "Ship", "name": "Argo", "tons": 10}, {"__typename": "Captain", "name": "Ada", "ships": []}],
            "search": [{"ships": [], "name": "Ada"}, {"name": "Argo"}], "none": null}),
        "{answer}"
    );
    assert_eq!(remote.asked().await.len(), 1, "one operation for all of its fields");
    ask(&engine.admin(), "{ author { name } }").await;
    assert_eq!(remote.asked().await, Vec::<String>::new());
    let echo = ask(
        &engine.admin(),
        "{ echo(filter: {number: 1.5, deep: [{place: SEA}]}, odd: \"007\") }",
    )
    .await;
    let echoed: Value = serde_json::from_str(echo["data"]["echo"].as_str().expect("text")).expect("JSON");
    assert_eq!(
        echoed,
        json!({"filter": {"place": "SEA", "number": 1.5, "deep": [{"place": "SEA"}]}, "odd": "007"})
    );
    let changed = ask(
        &engine.admin(),
        "mutation { rename(from: \"a\", to: \"b\") { name } insert_author_one(object: {name: \"Eve\"}) { id } }",
    )
    .await;
    assert_eq!(
        changed["data"],
        json!({"rename": {"name": "b"}, "insert_author_one": {"id": 3}}),
        "{changed}"
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_sent() {
    let remote = Remote::start();
    let engine = with(&remote, json!({})).await;
    for (query, message) in [
        ("{ ship { name } }", "missing required field 'name'"),
        (
            "{ ship(name: \"x\") { nothing } }",
            "field 'nothing' not found in type: 'Ship'",
        ),
        ("{ ship(name: \"x\") }", "missing selection set for 'Ship'"),
        (
            "{ search(filter: {place: AIR}) { __typename } }",
            "expected one of the values ['LAND', 'SEA'] for type 'Place', but found 'AIR'",
        ),
        (
            "subscription { ship(name: \"x\") { name } }",
            "field 'ship' not found in type: 'subscription_root'",
        ),
    ] {
        let answer = ask(&engine.admin(), query).await;
        assert_eq!(answer["errors"][0]["message"], message, "{query}: {answer}");
    }
    assert_eq!(remote.asked().await, Vec::<String>::new());
    let broken = ask(&engine.admin(), "{ it: broken author { name } }").await;
    assert_eq!(broken["errors"][0]["message"], "it broke");
    assert_eq!(broken["errors"][0]["path"], json!(["it"]), "{broken}");
    assert_eq!(broken.get("data"), None);
}

#[tokio::test]
async fn headers_and_who_asks_go_along() {
    let remote = Remote::start();
    let headers = json!([{"name": "x-token", "value_from_env": "TOKEN"}]);
    let engine = with(&remote, json!({"forward_client_headers": true, "headers": headers})).await;
    let asking = engine
        .admin()
        .with("x-hasura-role", "user")
        .with("x-hasura-user-id", "7")
        .with("x-mine", "kept")
        .with("x-token", "mine");
    let query = "{ a: who(header: \"x-mine\") b: who(header: \"x-token\") c: who(header: \"x-hasura-user-id\")
        d: who(header: \"x-hasura-role\") e: who(header: \"x-hasura-admin-secret\") }";
    assert_eq!(
        ask(&asking, query).await["data"],
        json!({"a": "kept", "b": "from the environment", "c": "7", "d": "user", "e": null})
    );
}

#[tokio::test]
async fn names_are_shown_as_they_are_customized() {
    let remote = Remote::start();
    let customization = json!({"root_fields_namespace": "sea", "type_names": {"prefix": "Sea", "mapping": {"Ship": "Boat"}},
        "field_names": [{"parent_type": "Ship", "mapping": {"tons": "weight"}}, {"parent_type": "Query", "prefix": "my_"}]});
    let engine = with(&remote, json!({ "customization": customization })).await;
    let answer = ask(
        &engine.admin(),
        "{ sea { my_ship(name: \"A\") { weight captain { __typename } } my_named { __typename name ... on Boat { weight } } }
           __type(name: \"SeaNamed\") { kind possibleTypes { name } } }",
    )
    .await;
    assert_eq!(
        answer["data"],
        json!({"sea": {"my_ship": {"weight": 10, "captain": {"__typename": "SeaCaptain"}},
                "my_named": [{"__typename": "Boat", "name": "Argo", "weight": 10}, {"__typename": "SeaCaptain", "name": "Ada"}]},
            "__type": {"kind": "INTERFACE", "possibleTypes": [{"name": "Boat"}, {"name": "SeaCaptain"}]}}),
        "{answer}"
    );
}

#[tokio::test]
async fn one_that_cannot_be_read_is_told_and_stops_nothing() {
    let remote = Remote::start();
    let mut engine = with(&remote, json!({})).await;
    let args = json!({"name": "gone", "definition": {"url": "http://127.0.0.1:1/graphql"}});
    let refused = engine.refused("add_remote_schema", args).await;
    assert_eq!(refused["code"], "remote-schema-error", "{refused}");
    let again = json!({"name": "ships", "definition": {"url": "http://127.0.0.1:1/graphql"}});
    let refused = engine.refused("add_remote_schema", again).await;
    assert_eq!(refused["error"], "remote schema with name \"ships\" already exists");
    // The same server once more: all of its root fields are taken.
    let twice = json!({"name": "twice", "definition": {"url_from_env": "SHIPS"}});
    let refused = engine.refused("add_remote_schema", twice).await;
    assert!(
        refused["error"]
            .as_str()
            .expect("text")
            .contains("conflicting definitions"),
        "{refused}"
    );
    let shown = engine
        .command("introspect_remote_schema", json!({"name": "ships"}))
        .await;
    assert_eq!(shown["data"]["__schema"]["queryType"]["name"], "Query");
    drop(remote);
    let down = ask(&engine.admin(), "{ ship(name: \"x\") { name } }").await;
    assert_eq!(down["errors"][0]["extensions"]["code"], "remote-schema-error", "{down}");
    engine.process.kill();
    (engine.process, engine.address) = serve(&engine.settings, &engine.directory);
    let found = admin(&engine.address)
        .post(
            "/v1/metadata",
            &json!({"type": "get_inconsistent_metadata", "args": {}}),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(found["inconsistent_objects"][0]["type"], "remote_schema", "{found}");
    let answer = ask(&engine.admin(), "{ author { name } }").await;
    assert_eq!(answer["data"]["author"][0]["name"], "Ada");
    engine.command("remove_remote_schema", json!({"name": "ships"})).await;
    let exported = engine.command("export_metadata", json!({})).await;
    assert_eq!(exported.get("remote_schemas"), None);
}
