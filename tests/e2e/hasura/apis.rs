//! The engine's APIs beside plain GraphQL: REST endpoints, Relay, API limits, metadata as a directory.

use super::{Engine, SECRET, ask};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use portico_tests::{Client, environment, process};
use serde_json::{Value, json};

#[tokio::test]
async fn a_listed_query_is_a_path_of_its_own() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let listed = json!([
        {"type": "create_query_collection", "args": {"name": "shop", "definition": {"queries": [
            {"name": "of", "query": "query ($name: String!, $most: Int = 5) {
                article(where: {author: {name: {_eq: $name}}}, limit: $most, order_by: {id: asc}) { title } }"}]}}},
        {"type": "create_rest_endpoint", "args": {"name": "of", "url": "authors/:name/articles", "methods": ["GET"],
            "definition": {"query": {"collection_name": "shop", "query_name": "of"}}}},
    ]);
    engine.command("bulk", listed).await;
    let seen = engine
        .admin()
        .get("/api/rest/authors/Ada/articles?most=1")
        .await
        .expect(200)
        .json();
    assert_eq!(seen, json!({"article": [{"title": "Engines"}]}));
    engine.admin().get("/api/rest/authors/Ada").await.expect(404);
    engine
        .admin()
        .delete("/api/rest/authors/Ada/articles")
        .await
        .expect(405);
    let described = engine.admin().get("/api/swagger/json").await.expect(200).json();
    let got = &described["paths"]["/api/rest/authors/{name}/articles"]["get"];
    let parameters: Vec<Value> = got["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|one| json!([one["name"], one["in"], one["required"], one["schema"]]))
        .collect();
    assert_eq!(
        parameters[1..],
        [
            json!(["name", "path", true, {"type": "string"}]),
            json!(["most", "query", false, {"type": "integer", "default": 5}]),
        ]
    );
    let answer = &got["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["article"];
    assert_eq!(answer["items"]["properties"]["title"]["type"], "string", "{answer}");
    let nobody = Client::new(&format!("http://{}", engine.address));
    nobody.get("/api/swagger/json").await.expect(401);
}

#[tokio::test]
async fn relay_pages_over_every_row_once_in_both_directions() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    engine
        .sql(
            "create table mark (id int primary key, rank int, author_id int references author);
            insert into mark select n, nullif(n % 4, 0), 1 from generate_series(1, 11) n",
        )
        .await;
    let track = json!({"source": "default", "table": "mark"});
    engine.command("pg_track_table", track).await;
    let client = engine.admin();
    let relay = async |query: String| {
        let answer = client.post("/v1beta1/relay", &json!({"query": query})).await;
        let answer = answer.expect(200).json();
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].clone()
    };
    for order in ["asc", "asc_nulls_first", "desc", "desc_nulls_last"] {
        let listed = ask(
            &client,
            &format!("{{ mark(order_by: [{{rank: {order}}}, {{id: asc}}]) {{ id }} }}"),
        )
        .await;
        let wanted: Vec<Value> = listed["data"]["mark"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["id"].clone())
            .collect();
        for (size, side, start) in [("first", "after", "endCursor"), ("last", "before", "startCursor")] {
            let mut pages: Vec<Vec<Value>> = Vec::new();
            let mut from = String::new();
            loop {
                let page = relay(format!(
                    "{{ mark_connection(order_by: {{rank: {order}}}, {size}: 3{from}) {{
                        pageInfo {{ startCursor endCursor hasNextPage hasPreviousPage }} edges {{ node {{ rank key: id }} }} }} }}"
                ))
                .await;
                let page = &page["mark_connection"];
                let keys = page["edges"]
                    .as_array()
                    .expect("edges")
                    .iter()
                    .map(|edge| edge["node"]["key"].clone());
                pages.push(keys.collect());
                let info = &page["pageInfo"];
                let (ahead, behind) = match size {
                    "first" => ("hasNextPage", "hasPreviousPage"),
                    _ => ("hasPreviousPage", "hasNextPage"),
                };
                assert_eq!(info[behind], pages.len() > 1, "{order} {size}: {info}");
                if info[ahead] != true {
                    break;
                }
                from = format!(", {side}: {}", info[start]);
            }
            assert_eq!(pages.len(), 4, "{order} {size}");
            if size == "last" {
                pages.reverse();
            }
            let mut seen = Vec::new();
            for id in pages.concat() {
                let row = relay(format!("{{ node(id: {id}) {{ __typename id ... on Node {{ same: id }} ... on mark {{ rank }} ... on author {{ name }} }} }}")).await;
                assert_eq!(
                    (&row["node"]["__typename"], &row["node"]["same"]),
                    (&json!("mark"), &row["node"]["id"])
                );
                assert!(row["node"].get("name").is_none(), "{row}");
                assert_eq!(row["node"]["id"], id);
                seen.push(id);
            }
            let ids: Vec<Value> = seen.iter().map(key_of).collect();
            assert_eq!(ids, wanted, "{order} {size}");
        }
    }
    let known =
        relay("{ __type(name: \"Node\") { kind possibleTypes { name interfaces { name } } } }".to_owned()).await;
    let mark = json!({"name": "mark", "interfaces": [{"name": "Node"}]});
    let types = known["__type"]["possibleTypes"].as_array().expect("types");
    assert!(
        known["__type"]["kind"] == "INTERFACE" && types.contains(&mark),
        "{known}"
    );
}

/// The primary key in a global id.
fn key_of(id: &Value) -> Value {
    let text = STANDARD.decode(id.as_str().expect("an id")).expect("base64");
    serde_json::from_slice::<Value>(&text).expect("JSON")[3].clone()
}

#[tokio::test]
async fn api_limits_refuse_what_is_too_much_and_the_administrator_is_free() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    engine
        .sql("create view slow as select 1 as id, pg_sleep(20)::text as slept")
        .await;
    let may = |table: &str| {
        json!({"type": "pg_create_select_permission", "args": {"table": table, "role": "user",
            "permission": {"columns": "*", "filter": {}}}})
    };
    let limits = json!({
        "depth_limit": {"global": 9, "per_role": {"user": 2}},
        "node_limit": {"global": 2},
        "time_limit": {"global": 1},
        "batch_limit": {"global": 2},
    });
    let track = json!({"type": "pg_track_table", "args": {"table": "slow"}});
    let set = json!({"type": "set_api_limits", "args": limits});
    let commands = json!([track, may("slow"), may("author"), may("article"), set]);
    engine.command("bulk", commands).await;
    let user = engine.admin().with("x-hasura-role", "user");
    let code = async |client: &Client, query: &str| ask(client, query).await["errors"][0]["extensions"]["code"].clone();
    let deep = "{ author { articles { author { name } } } }";
    assert_eq!(code(&user, deep).await, "depth-limit-exceeded");
    assert_eq!(code(&engine.admin(), deep).await, Value::Null);
    let wide = "{ author { id } article { id } more: author { id } }";
    assert_eq!(code(&user, wide).await, "node-limit-exceeded");
    assert_eq!(code(&user, "{ author { id } article { id } }").await, Value::Null);
    let batch = |many: usize| Value::from(vec![json!({"query": "{ author { id } }"}); many]);
    let two = user.post("/v1/graphql", &batch(2)).await.expect(200).json();
    assert_eq!(two.as_array().map(Vec::len), Some(2), "{two}");
    let three = user.post("/v1/graphql", &batch(3)).await.expect(200).json();
    assert_eq!(three["errors"][0]["extensions"]["code"], "batch-limit-exceeded");

    assert_eq!(code(&user, "{ slow { slept } }").await, "time-limit-exceeded");
    let running = engine
        .sql("select count(*) from pg_stat_activity where state = 'active' and query like '%\"slow\"%' and pid <> pg_backend_pid()")
        .await;
    assert_eq!(running["result"][1][0], "0", "the statement was ended: {running}");

    let rate = json!({"rate_limit": {"global": {"max_reqs_per_min": 2, "unique_params": ["x-hasura-user-id"]}}});
    engine.command("set_api_limits", rate).await;
    let of = |id: &str| user.clone().with("x-hasura-user-id", id);
    for (id, wanted) in [
        ("1", Value::Null),
        ("1", Value::Null),
        ("1", json!("rate-limit-exceeded")),
        ("2", Value::Null),
    ] {
        assert_eq!(code(&of(id), "{ author { id } }").await, wanted, "user {id}");
    }
    engine.command("remove_api_limits", json!({})).await;
    assert_eq!(code(&of("1"), deep).await, Value::Null);
    let wrong = json!({"type": "set_api_limits", "args": {"depht_limit": {"global": 1}}});
    let refused = engine.admin().post("/v1/metadata", &wrong).await.expect(400).json();
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|text| text.contains("depht_limit")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_directory_of_metadata_is_exported_compared_and_applied() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let mut environment = environment();
    environment.insert(
        "HASURA_GRAPHQL_ENDPOINT".to_owned(),
        format!("http://{}", engine.address),
    );
    environment.insert("HASURA_GRAPHQL_ADMIN_SECRET".to_owned(), SECRET.to_owned());
    let run = |verb: &str| process::run(&["metadata", verb, "kept"], &environment, engine.directory.path(), "");
    let (code, told, errors) = run("export");
    assert_eq!(
        (code, told.starts_with("exported: 1 source, 2 tables")),
        (0, true),
        "{told}{errors}"
    );
    assert_eq!(run("diff"), (0, String::new(), String::new()));

    let article = engine
        .directory
        .path()
        .join("kept/databases/default/tables/public_article.yaml");
    let text = std::fs::read_to_string(&article).expect("the table's file");
    std::fs::write(&article, text.replace("name: author", "name: writer")).expect("changed");
    let (code, told, _) = run("diff");
    assert_eq!(code, 1);
    for part in [
        "+++ directory/databases/default/tables/public_article.yaml",
        "-  - name: author",
        "+  - name: writer",
    ] {
        assert!(told.contains(part), "{part} in:\n{told}");
    }
    let (code, told, errors) = run("apply");
    assert_eq!((code, told.as_str()), (0, "applied: 1 source, 2 tables\n"), "{errors}");
    let seen = ask(
        &engine.admin(),
        "{ article(limit: 1, order_by: {id: asc}) { writer { name } } }",
    )
    .await;
    assert_eq!(seen["data"]["article"][0]["writer"]["name"], "Ada", "{seen}");

    std::fs::write(&article, "table: {schema: public, name: nowhere}\n").expect("broken");
    let (code, _, errors) = run("apply");
    assert_eq!(code, 1);
    assert!(
        errors.contains("inconsistent") && errors.contains("nowhere"),
        "{errors}"
    );
    let seen = ask(&engine.admin(), "{ article(limit: 1) { id } }").await;
    assert!(seen.get("errors").is_none(), "what was refused changed nothing: {seen}");
    std::fs::write(&article, "table: [\n").expect("no YAML");
    let (code, _, errors) = run("apply");
    assert_eq!(code, 1);
    assert!(errors.contains("public_article.yaml:"), "{errors}");

    let untrack = json!({"table": "article", "cascade": true});
    engine.command("pg_untrack_table", untrack).await;
    assert_eq!(run("export").0, 0);
    assert!(!article.exists(), "the file of a table that is no more is taken away");
}

#[tokio::test]
async fn a_schema_is_dumped_for_administrators_and_nothing_else_is() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let trigger =
        json!({"name": "told", "table": "author", "webhook": "http://localhost/", "insert": {"columns": "*"}});
    engine.command("pg_create_event_trigger", trigger).await;
    let asked = json!({"opts": ["-O", "-x", "--schema-only", "--schema", "public"], "clean_output": true});
    let dump = engine.admin().post("/v1alpha1/pg_dump", &asked).await.expect(200);
    let text = String::from_utf8_lossy(&dump.body).into_owned();
    assert!(
        text.contains("CREATE TABLE public.article (") && text.contains("FOREIGN KEY (author_id)"),
        "{text}"
    );
    assert!(
        !text.contains("--") && !text.contains("TRIGGER") && !text.contains("\n\n"),
        "{text}"
    );
    let data = json!({"opts": ["--data-only", "-t", "author"]});
    let dump = engine.admin().post("/v1alpha1/pg_dump", &data).await.expect(200);
    assert!(String::from_utf8_lossy(&dump.body).contains("1\tAda\n"));
    let elsewhere = json!({"opts": ["--file=/tmp/stolen"]});
    let refused = engine
        .admin()
        .post("/v1alpha1/pg_dump", &elsewhere)
        .await
        .expect(400)
        .json();
    assert_eq!(refused["code"], "not-supported", "{refused}");
    engine
        .admin()
        .with("x-hasura-role", "user")
        .post("/v1alpha1/pg_dump", &asked)
        .await
        .expect(400);
}
