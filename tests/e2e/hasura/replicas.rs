//! Queries are answered by copies of the database, changes are not.

use super::{Engine, ask, with_database};
use portico_tests::Database;
use serde_json::json;

#[tokio::test]
async fn queries_go_to_the_replicas_in_turn_and_to_the_database_where_none_is_there() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let url = engine.database.url.expose().to_owned();
    let client = Database::connect(&url).await;
    for name in ["one", "two"] {
        client
            .batch_execute(&format!("create database {name}"))
            .await
            .expect("a database");
        let copy = Database::connect(&with_database(&url, name)).await;
        let rows = format!(
            "create table author (id serial primary key, name text not null unique); insert into author (name) values ('{name}')"
        );
        copy.batch_execute(&rows).await.expect("rows");
    }
    let replicas = |names: &[&str]| {
        let replicas: Vec<_> = names
            .iter()
            .map(|name| json!({"database_url": with_database(&url, name), "pool_settings": {"max_connections": 2}}))
            .collect();
        json!({"name": "default", "configuration": {"connection_info": {"database_url": {"from_env": "HASURA_GRAPHQL_DATABASE_URL"}},
            "read_replicas": replicas}})
    };
    engine.command("pg_update_source", replicas(&["one", "two"])).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(ask(&engine.admin(), "{ author { name } }").await["data"]["author"][0]["name"].clone());
    }
    assert!(
        seen[0] != seen[1] && seen[0] == seen[2] && seen[1] == seen[3],
        "{seen:?}"
    );
    let changed = ask(
        &engine.admin(),
        "mutation { insert_author_one(object: {name: \"Cy\"}) { id name } }",
    )
    .await;
    assert_eq!(
        changed["data"]["insert_author_one"],
        json!({"id": 3, "name": "Cy"}),
        "the database itself"
    );

    // One that cannot be reached is no harm.
    engine.command("pg_update_source", replicas(&["gone", "two"])).await;
    for _ in 0..2 {
        assert_eq!(
            ask(&engine.admin(), "{ author { name } }").await["data"]["author"],
            json!([{"name": "two"}])
        );
    }
    engine.command("pg_update_source", replicas(&["gone"])).await;
    let seen = ask(&engine.admin(), "{ author(order_by: {id: asc}) { name } }").await;
    assert_eq!(seen["data"]["author"][2], json!({"name": "Cy"}), "{seen}");
    let wrong = json!({"type": "pg_update_source", "args": {"name": "default", "configuration": {"connection_info":
        {"database_url": {"from_env": "HASURA_GRAPHQL_DATABASE_URL"}}, "read_replicas": [{"database_url": {"from_env": "NOWHERE"}}]}}});
    engine.admin().post("/v1/metadata", &wrong).await.expect(400);
}
