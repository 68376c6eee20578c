//! `portico serve graphql`: the engine alone, with Hasura's environment, paths and commands.

mod actions;
mod apis;
mod clients;
mod events;
mod native;
mod remote_schemas;
mod replicas;
mod schedule;
mod sse;
mod transforms;
mod validation;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_tests::{Client, Database, Directory, Process, Socket, environment, process};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

const SECRET: &str = "an administrator's secret";
const JWT_KEY: &str = "a shared key of at least thirty-two bytes";

struct Engine {
    process: Process,
    address: String,
    settings: HashMap<String, String>,
    database: Database,
    directory: Directory,
}

impl Engine {
    async fn start(more: &[(&str, &str)]) -> Self {
        let directory = Directory::make();
        let database = Database::start(&directory).await;
        let mut settings = environment();
        settings.insert(
            "HASURA_GRAPHQL_DATABASE_URL".to_owned(),
            database.url.expose().to_owned(),
        );
        for (name, value) in [
            ("SERVER_PORT", "0"),
            ("SERVER_HOST", "127.0.0.1"),
            ("ADMIN_SECRET", SECRET),
        ] {
            settings.insert(format!("HASURA_GRAPHQL_{name}"), value.to_owned());
        }
        settings.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let (process, address) = serve(&settings, &directory);
        Engine {
            process,
            address,
            settings,
            database,
            directory,
        }
    }

    fn admin(&self) -> Client {
        admin(&self.address)
    }

    /// One command of `/v1/metadata`; it must be done.
    async fn command(&self, name: &str, args: Value) -> Value {
        command(&self.admin(), name, args).await
    }

    /// The answer to a command that must not be done.
    async fn refused(&self, name: &str, args: Value) -> Value {
        let asked = json!({"type": name, "args": args});
        self.admin().post("/v1/metadata", &asked).await.expect(400).json()
    }

    async fn sql(&self, sql: &str) -> Value {
        let asked = json!({"type": "run_sql", "args": {"sql": sql}});
        self.admin().post("/v2/query", &asked).await.expect(200).json()
    }

    /// Authors with their articles, tracked and related.
    async fn library(&self) {
        self.sql(
            "create table author (id serial primary key, name text not null unique);
             create table article (id serial primary key, title text not null, rank int not null default 0,
                 author_id int not null references author);
             insert into author (name) values ('Ada'), ('Bob');
             insert into article (title, author_id) values ('Engines', 1), ('Numbers', 1), ('Boats', 2);",
        )
        .await;
        let to_author =
            json!({"table": "article", "name": "author", "using": {"foreign_key_constraint_on": "author_id"}});
        let to_articles = json!({"table": "author", "name": "articles",
            "using": {"foreign_key_constraint_on": {"table": "article", "column": "author_id"}}});
        let commands = json!([
            {"type": "pg_track_table", "args": {"table": "author"}},
            {"type": "pg_track_table", "args": {"table": "article"}},
            {"type": "pg_create_object_relationship", "args": to_author},
            {"type": "pg_create_array_relationship", "args": to_articles},
        ]);
        self.command("bulk", commands).await;
    }
}

fn serve(settings: &HashMap<String, String>, directory: &Directory) -> (Process, String) {
    let mut process = Process::start("graphql", &["serve", "graphql"], settings, directory.path());
    let address = process.listeners(&["graphql"])["graphql"].clone();
    (process, address)
}

fn admin(address: &str) -> Client {
    Client::new(&format!("http://{address}")).with("x-hasura-admin-secret", SECRET)
}

/// The same server's other database.
fn with_database(url: &str, name: &str) -> String {
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = address.rsplit_once('/').expect("a path");
    format!("{server}/{name}?{parameters}")
}

async fn command(client: &Client, name: &str, args: Value) -> Value {
    let asked = json!({"type": name, "args": args});
    client.post("/v1/metadata", &asked).await.expect(200).json()
}

async fn ask(client: &Client, query: &str) -> Value {
    client
        .post("/v1/graphql", &json!({ "query": query }))
        .await
        .expect(200)
        .json()
}

fn token(claims: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = format!("{}.{}", part(json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, JWT_KEY.as_bytes());
    format!("{head}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, head.as_bytes())))
}

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    now.as_secs() as i64 + seconds
}

#[tokio::test]
async fn sql_that_renames_is_followed_and_what_others_depend_on_stays() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    engine
        .sql("alter table article rename column title to headline; alter table author rename to writer")
        .await;
    let seen = ask(
        &engine.admin(),
        "{ writer(order_by: {id: asc}) { name articles(order_by: {id: asc}) { headline } } }",
    )
    .await;
    assert_eq!(
        seen["data"]["writer"][0]["articles"][1]["headline"], "Numbers",
        "{seen}"
    );
    let untrack = json!({"type": "pg_untrack_table", "args": {"table": "writer"}});
    let refused = engine.admin().post("/v1/metadata", &untrack).await.expect(400).json();
    assert_eq!(refused["code"], "dependency-error", "{refused}");
    assert_eq!(
        refused["error"],
        "cannot drop due to the following dependent objects: relationship article.author in source \"default\""
    );
    let dropping = json!({"type": "run_sql", "args": {"sql": "alter table article drop column author_id"}});
    engine.admin().post("/v2/query", &dropping).await.expect(400);
    let seen = ask(
        &engine.admin(),
        "{ article_aggregate(where: {author_id: {_eq: 1}}) { aggregate { count } } }",
    )
    .await;
    assert_eq!(
        seen["data"]["article_aggregate"]["aggregate"]["count"], 2,
        "nothing was half done: {seen}"
    );
    engine
        .command("pg_untrack_table", json!({"table": "writer", "cascade": true}))
        .await;
    let document = engine.command("export_metadata", json!({})).await;
    assert_eq!(
        document["sources"][0]["tables"].as_array().map(Vec::len),
        Some(1),
        "{document}"
    );
}

#[tokio::test]
async fn a_bulk_is_done_whole_or_not_at_all() {
    let engine = Engine::start(&[]).await;
    let commands = json!({"type": "bulk", "args": [
        {"type": "run_sql", "args": {"sql": "create table kept (id int primary key)"}},
        {"type": "track_table", "args": "kept"},
        {"type": "track_table", "args": "missing"},
    ]});
    let refused = engine.admin().post("/v1/query", &commands).await.expect(400).json();
    assert_eq!(refused["path"], "$.args[2].args", "{refused}");
    let seen = engine.sql("select to_regclass('kept') is null").await;
    assert_eq!(seen["result"][1][0], "t", "{seen}");
    let document = engine.command("export_metadata", json!({})).await;
    assert_eq!(document["sources"][0]["tables"], json!([]), "{document}");
}

#[tokio::test]
async fn a_token_gives_its_roles_and_variables_and_no_others() {
    let secret = json!({"type": "HS256", "key": JWT_KEY}).to_string();
    let engine = Engine::start(&[("HASURA_GRAPHQL_JWT_SECRET", &secret)]).await;
    engine.library().await;
    let permission = json!({"table": "article", "role": "writer",
        "permission": {"columns": ["title"], "filter": {"author_id": {"_eq": "X-Hasura-User-Id"}}}});
    engine.command("pg_create_select_permission", permission).await;
    let claims = |until: i64| {
        json!({"exp": until, "https://hasura.io/jwt/claims": {
            "x-hasura-default-role": "writer", "x-hasura-allowed-roles": ["writer"], "x-hasura-user-id": "2"}})
    };
    let stranger = Client::new(&format!("http://{}", engine.address));
    let writer = stranger.bearer(&token(claims(in_seconds(600))));
    let seen = ask(&writer, "{ article { title } }").await;
    assert_eq!(seen["data"]["article"], json!([{"title": "Boats"}]), "{seen}");
    let hidden = ask(&writer, "{ article { rank } }").await;
    assert_eq!(
        hidden["errors"][0]["message"],
        "field 'rank' not found in type: 'article'"
    );
    let raised = ask(&writer.with("x-hasura-role", "admin"), "{ article { title } }").await;
    assert_eq!(
        raised["errors"][0]["message"],
        "Your requested role is not in allowed roles"
    );
    let late = ask(
        &stranger.bearer(&token(claims(in_seconds(-5)))),
        "{ article { title } }",
    )
    .await;
    assert_eq!(late["errors"][0]["message"], "Could not verify JWT: JWTExpired");
    let query = json!({"type": "run_sql", "args": {"sql": "select 1"}});
    writer.post("/v2/query", &query).await.expect(400);
    stranger.post("/v2/query", &query).await.expect(400);
    Client::new(&format!("http://{}", engine.address))
        .with("x-hasura-admin-secret", "wrong")
        .post("/v2/query", &query)
        .await
        .expect(401);
}

#[tokio::test]
async fn nested_rows_are_inserted_together_or_not_at_all() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let made = ask(
        &engine.admin(),
        "mutation { insert_author_one(object: {name: \"Cy\", articles: {data: [{title: \"Maps\"}, {title: \"Seas\"}]}}) {
            name articles(order_by: {title: asc}) { title author { name } } } }",
    )
    .await;
    let author = &made["data"]["insert_author_one"];
    assert_eq!(
        author["articles"][1],
        json!({"title": "Seas", "author": {"name": "Cy"}}),
        "{made}"
    );
    let both = [
        json!({"table": "author", "role": "editor", "permission": {"check": {}, "columns": "*"}}),
        json!({"table": "article", "role": "editor",
            "permission": {"check": {"author": {"name": {"_neq": "Eve"}}}, "columns": "*"}}),
    ];
    for permission in both {
        engine.command("pg_create_insert_permission", permission).await;
    }
    let editor = engine.admin().with("x-hasura-role", "editor");
    let nested = |name: &str| {
        format!(
            "mutation {{ insert_author(objects: {{name: \"{name}\", articles: {{data: {{title: \"X\"}}}}}}) {{ affected_rows }} }}"
        )
    };
    let done = ask(&editor, &nested("Dan")).await;
    assert_eq!(done["data"]["insert_author"]["affected_rows"], 2, "{done}");
    let refused = ask(&editor, &nested("Eve")).await;
    assert_eq!(
        refused["errors"][0]["extensions"]["code"], "permission-error",
        "{refused}"
    );
    let left = ask(
        &engine.admin(),
        "{ author_aggregate(where: {name: {_eq: \"Eve\"}}) { aggregate { count } } }",
    )
    .await;
    assert_eq!(left["data"]["author_aggregate"]["aggregate"]["count"], 0, "{left}");
}

#[tokio::test]
async fn functions_and_computed_fields_take_arguments_and_the_session() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    engine
        .sql(
            "create function search_articles(word text, most int default 10) returns setof article language sql stable as
                 $$ select * from article where title ilike '%' || word || '%' order by id limit most $$;
             create function greeting(author author, session json, mark text default '!') returns text language sql stable as
                 $$ select session ->> 'x-hasura-word' || ' ' || author.name || mark $$;",
        )
        .await;
    engine
        .command("pg_track_function", json!({"function": "search_articles"}))
        .await;
    let greeting = json!({"table": "author", "name": "greeting",
        "definition": {"function": "greeting", "session_argument": "session"}});
    engine.command("pg_add_computed_field", greeting).await;
    let asking = engine.admin().with("x-hasura-word", "hello");
    let seen = ask(
        &asking,
        "{ search_articles(args: {word: \"b\"}) { title }
           search_articles_aggregate(args: {word: \"e\", most: 1}) { aggregate { count } }
           author(where: {id: {_eq: 1}}) { greeting aloud: greeting(args: {mark: \"?\"}) } }",
    )
    .await;
    let data = &seen["data"];
    assert_eq!(
        data["search_articles"],
        json!([{"title": "Numbers"}, {"title": "Boats"}]),
        "{seen}"
    );
    assert_eq!(data["search_articles_aggregate"]["aggregate"]["count"], 1);
    assert_eq!(
        data["author"],
        json!([{"greeting": "hello Ada!", "aloud": "hello Ada?"}])
    );
}

#[tokio::test]
async fn a_subscription_hears_of_changes_whoever_makes_them() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let secret = json!({"x-hasura-admin-secret": SECRET});
    let mut socket = Socket::open(&engine.address, "/v1/graphql", secret).await;
    socket
        .subscribe(
            "1",
            "subscription { author(order_by: {id: asc}) { name articles_aggregate { aggregate { count } } } }",
        )
        .await;
    let first = socket.data().await;
    assert_eq!(
        first["author"][1]["articles_aggregate"]["aggregate"]["count"], 1,
        "{first}"
    );
    let client = Database::connect(engine.database.url.expose()).await;
    client
        .batch_execute("insert into article (title, author_id) values ('Oars', 2)")
        .await
        .expect("a row");
    let second = socket.data().await;
    assert_eq!(
        second["author"][1]["articles_aggregate"]["aggregate"]["count"], 2,
        "{second}"
    );
    ask(
        &engine.admin(),
        "mutation { update_author_by_pk(pk_columns: {id: 1}, _set: {name: \"Ava\"}) { id } }",
    )
    .await;
    assert_eq!(socket.data().await["author"][0]["name"], "Ava");
    socket.send(json!({"type": "complete", "id": "1"})).await;
    socket
        .subscribe("2", "{ author(where: {id: {_eq: 2}}) { name } }")
        .await;
    let answer = socket.next().await;
    assert_eq!(
        (&answer["type"], &answer["id"]),
        (&json!("next"), &json!("2")),
        "{answer}"
    );
    assert_eq!(socket.next().await, json!({"type": "complete", "id": "2"}));
}

#[tokio::test]
async fn a_stream_hands_out_every_row_once_even_where_the_cursor_ties() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    engine
        .sql("update article set rank = 1 where id in (1, 2); update article set rank = 2 where id = 3")
        .await;
    let secret = json!({"x-hasura-admin-secret": SECRET});
    let mut socket = Socket::open(&engine.address, "/v1/graphql", secret).await;
    let query = "subscription { article_stream(batch_size: 1, cursor: {initial_value: {rank: 0}}) { id rank } }";
    socket.subscribe("s", query).await;
    let first = socket.data().await;
    assert_eq!(
        first["article_stream"].as_array().map(Vec::len),
        Some(2),
        "both of rank 1: {first}"
    );
    assert_eq!(socket.data().await["article_stream"], json!([{"id": 3, "rank": 2}]));
    engine
        .sql("insert into article (title, rank, author_id) values ('Late', 3, 1)")
        .await;
    assert_eq!(socket.data().await["article_stream"], json!([{"id": 4, "rank": 3}]));
}

#[tokio::test]
async fn metadata_survives_a_kill_and_reaches_every_copy() {
    let engine = Engine::start(&[]).await;
    let (other, address) = serve(&engine.settings, &engine.directory);
    engine.library().await;
    let copy = admin(&address);
    let mut seen = Value::Null;
    for _ in 0..100 {
        seen = ask(&copy, "{ author(order_by: {id: asc}) { name } }").await;
        if seen.get("data").is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(seen["data"]["author"][0]["name"], "Ada", "{seen}");
    let stale =
        json!({"type": "pg_untrack_table", "args": {"table": "article", "cascade": true}, "resource_version": 0});
    copy.post("/v1/metadata", &stale).await.expect(409);
    other.kill();
    engine.process.kill();
    let (_process, address) = serve(&engine.settings, &engine.directory);
    let seen = ask(&admin(&address), "{ article_aggregate { aggregate { count } } }").await;
    assert_eq!(seen["data"]["article_aggregate"]["aggregate"]["count"], 3, "{seen}");
    drop(engine.database);
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_name() {
    let directory = Directory::make();
    let mut settings = environment();
    settings.insert("HASURA_GRAPHQL_DATABASE_URL".to_owned(), "mysql://nowhere".to_owned());
    settings.insert("HASURA_GRAPHQL_READ_ONLY_MODE".to_owned(), "true".to_owned());
    let (code, _, errors) = process::run(&["serve", "graphql"], &settings, directory.path(), "");
    assert_eq!(code, 1, "{errors}");
    for name in [
        "HASURA_GRAPHQL_DATABASE_URL: must start with postgres://",
        "HASURA_GRAPHQL_READ_ONLY_MODE: is not supported",
    ] {
        assert!(errors.contains(name), "{errors}");
    }
    let (code, _, errors) = process::run(&["serve", "graphql", "links"], &settings, directory.path(), "");
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("runs alone"), "{errors}");
    let engine = Engine::start(&[]).await;
    for command in [
        "add_remote_schema_permissions",
        "create_remote_relationship",
        "pg_create_remote_relationship",
    ] {
        let remote = json!({"type": command, "args": {"name": "x"}});
        let refused = engine.admin().post("/v1/metadata", &remote).await.expect(400).json();
        assert_eq!(refused["code"], "not-supported", "{command}: {refused}");
    }
    let source = json!({"name": "default", "kind": "postgres", "tables": [], "configuration": {},
        "native_queries": [{"root_field_name": "x", "code": "", "returns": "y", "array_relationships": [{"name": "z"}]}]});
    let document = json!({"type": "replace_metadata", "args": {"version": 3, "sources": [source]}});
    let refused = engine.admin().post("/v1/metadata", &document).await.expect(400).json();
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|text| text.contains("'relationships of native queries'")),
        "{refused}"
    );
}
