//! `portico serve graphql`: the engine alone, with Hasura's environment, paths and commands.

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
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
    let action = json!({"type": "create_action", "args": {"name": "x"}});
    let refused = engine.admin().post("/v1/metadata", &action).await.expect(400).json();
    assert_eq!(refused["code"], "not-supported", "{refused}");
    let document =
        json!({"type": "replace_metadata", "args": {"version": 3, "sources": [], "actions": [{"name": "x"}]}});
    let refused = engine.admin().post("/v1/metadata", &document).await.expect(400).json();
    assert!(
        refused["error"].as_str().is_some_and(|text| text.contains("'actions'")),
        "{refused}"
    );
}
