//! Event triggers: changes of tables told to webhooks.

use super::{Engine, admin, ask, serve, with_database};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use portico_tests::{Database, Receiver, receiver::Told};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &[u8] = b"a signing key of 24 bytes or more";

async fn with_table(more: &[(&str, &str)], receiver: &Receiver) -> Engine {
    let secret = format!("whsec_{}", STANDARD.encode(KEY));
    let mut settings = vec![
        ("HOOK", receiver.url.as_str()),
        ("HOOK_WORD", "from the environment"),
        ("PORTICO_WEBHOOK_SECRET", &secret),
    ];
    settings.extend(more);
    let engine = Engine::start(&settings).await;
    engine
        .sql("create table note (id serial primary key, body text, price numeric, seen int)")
        .await;
    engine.command("pg_track_table", json!({"table": "note"})).await;
    engine
}

fn on_note(name: &str, path: &str) -> Value {
    json!({"name": name, "table": "note", "webhook": format!("{{{{HOOK}}}}{path}"), "insert": {"columns": "*"}})
}

/// A trigger's events, the newest first.
async fn events(engine: &Engine, name: &str) -> Value {
    engine.command("pg_get_event_logs", json!({ "name": name })).await
}

/// Waits until the newest event of a trigger is as the test wants it.
async fn settled(engine: &Engine, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..400 {
        let newest = events(engine, name).await[0].clone();
        if wanted(&newest) {
            return newest;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never settled: {}", events(engine, name).await);
}

fn is_signed(told: &Told) -> bool {
    let (id, time) = (&told.headers["webhook-id"], &told.headers["webhook-timestamp"]);
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    let tag = hmac::sign(&key, format!("{id}.{time}.{}", told.text).as_bytes());
    told.headers["webhook-signature"] == format!("v1,{}", STANDARD.encode(tag))
}

#[tokio::test]
async fn a_change_is_told_with_its_rows_its_writer_and_a_signature() {
    let receiver = Receiver::start().await;
    let engine = with_table(&[], &receiver).await;
    let trigger = json!({"name": "all", "table": "note", "webhook_from_env": "HOOK", "insert": {"columns": "*"},
        "update": {"columns": ["body"], "payload": ["id", "body"]}, "delete": {"columns": "*", "payload": ["id"]},
        "headers": [{"name": "X-Word", "value_from_env": "HOOK_WORD"}, {"name": "X-Value", "value": "given"}]});
    engine.command("pg_create_event_trigger", trigger).await;
    let asking = engine.admin().with("x-hasura-user-id", "7");
    let made = "mutation { insert_note_one(object: {body: \"a\", price: \"12345678901234567890.12345678901234567890\"}) { id } }";
    ask(&asking, made).await;
    let told = receiver.wait(1).await.remove(0);
    let body = told.json();
    assert_eq!((told.method.as_str(), told.path.as_str()), ("POST", "/"));
    assert_eq!(told.headers["x-word"], "from the environment");
    assert_eq!(told.headers["x-value"], "given");
    assert_eq!(told.headers["webhook-id"], body["id"]);
    assert!(is_signed(&told), "{told:?}");
    assert!(
        told.text.contains("12345678901234567890.12345678901234567890"),
        "every digit: {}",
        told.text
    );
    assert_eq!(
        (&body["trigger"]["name"], &body["table"]),
        (&json!("all"), &json!({"schema": "public", "name": "note"}))
    );
    assert_eq!(body["delivery_info"], json!({"max_retries": 0, "current_retry": 0}));
    let event = &body["event"];
    assert_eq!((&event["op"], &event["data"]["old"]), (&json!("INSERT"), &Value::Null));
    assert_eq!(
        event["session_variables"],
        json!({"x-hasura-role": "admin", "x-hasura-user-id": "7"})
    );
    assert_eq!(event["data"]["new"]["body"], "a");

    receiver.forget();
    // Neither another column nor the same value counts.
    engine
        .sql("update note set seen = 1; update note set body = body; update note set body = 'b'; delete from note")
        .await;
    let told = receiver.wait(2).await;
    // Calls run side by side.
    let of = |operation: &str| {
        let bodies = told.iter().map(Told::json);
        bodies
            .into_iter()
            .find(|body| body["event"]["op"] == operation)
            .expect("a call")
    };
    let (update, delete) = (of("UPDATE"), of("DELETE"));
    let data = |body: &Value| body["event"]["data"].clone();
    assert_eq!(
        data(&update),
        json!({"old": {"id": 1, "body": "a"}, "new": {"id": 1, "body": "b"}})
    );
    assert_eq!(data(&delete), json!({"old": {"id": 1}, "new": null}), "{delete}");

    // A login that knows nothing of us writes too.
    engine
        .sql("create role writer login; grant insert on note to writer; grant usage on sequence note_id_seq to writer")
        .await;
    receiver.forget();
    let client = Database::connect(engine.database.url.expose()).await;
    client
        .batch_execute("set role writer; set time zone 'Asia/Tokyo'; insert into note (body) values ('w')")
        .await
        .expect("a row");
    let told = receiver.wait(1).await[0].json();
    assert_eq!(told["event"]["session_variables"], Value::Null, "{told}");
    let newest = events(&engine, "all").await[0].clone();
    let seconds = engine
        .sql("select extract(epoch from (now() at time zone 'utc') - max(created_at)) < 60 from hdb_catalog.event_log")
        .await;
    assert_eq!(seconds["result"][1][0], "t", "times are in UTC: {newest}");
}

#[tokio::test]
async fn rows_of_partitions_and_shapes_are_told_as_their_table_shows_them() {
    let receiver = Receiver::start().await;
    let engine = with_table(&[("HASURA_GRAPHQL_STRINGIFY_NUMERIC_TYPES", "true")], &receiver).await;
    engine
        .sql(
            "create extension if not exists postgis;
             create table place (at int, big int8, spot geography(point)) partition by range (at);
             create table place_early partition of place for values from (0) to (10)",
        )
        .await;
    engine.command("pg_track_table", json!({"table": "place"})).await;
    let trigger = json!({"name": "places", "table": "place", "webhook": "{{HOOK}}", "insert": {"columns": "*"}});
    engine.command("pg_create_event_trigger", trigger).await;
    engine
        .sql("insert into place values (1, 9007199254740993, 'POINT(-43.77 45.64)'), (2, null, null)")
        .await;
    let told = receiver.wait(2).await;
    let mut rows: Vec<Value> = told
        .iter()
        .map(|told| told.json()["event"]["data"]["new"].clone())
        .collect();
    rows.sort_by_key(|row| row["at"].as_i64());
    assert_eq!(told[0].json()["table"]["name"], "place");
    assert_eq!(rows[0]["big"], "9007199254740993", "{rows:?}");
    assert_eq!(rows[0]["spot"]["type"], "Point", "{rows:?}");
    assert_eq!(rows[0]["spot"]["coordinates"], json!([-43.77, 45.64]));
    assert_eq!((&rows[1]["big"], &rows[1]["spot"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_call_that_fails_is_made_again_as_often_as_it_is_told() {
    let receiver = Receiver::start().await;
    let engine = with_table(&[("HASURA_GRAPHQL_EVENTS_FETCH_INTERVAL", "100")], &receiver).await;
    let mut trigger = on_note("failing", "/fail");
    trigger["retry_conf"] = json!({"num_retries": 2, "interval_sec": 1});
    trigger["enable_manual"] = json!(true);
    engine.command("pg_create_event_trigger", trigger).await;
    engine.sql("insert into note (body) values ('x')").await;
    let told = receiver.wait(3).await;
    let tried: Vec<Value> = told
        .iter()
        .map(|told| told.json()["delivery_info"]["current_retry"].clone())
        .collect();
    assert_eq!(tried, [json!(0), json!(1), json!(2)]);
    assert!(told[1].at - told[0].at >= Duration::from_secs(1), "{told:?}");
    let event = settled(&engine, "failing", |event| event["error"] == true).await;
    assert_eq!(
        (&event["tries"], &event["delivered"]),
        (&json!(3), &json!(false)),
        "{event}"
    );
    let calls = engine
        .command("pg_get_event_invocation_logs", json!({"name": "failing"}))
        .await;
    assert_eq!(calls.as_array().map(Vec::len), Some(3), "{calls}");
    assert_eq!(
        (&calls[0]["status"], &calls[0]["response"]["type"]),
        (&json!(500), &json!("webhook_response"))
    );
    assert_eq!(calls[0]["request"]["payload"]["id"], event["id"]);

    // Once more from the beginning, and by hand.
    receiver.forget();
    engine
        .command("pg_redeliver_event", json!({"event_id": event["id"]}))
        .await;
    assert_eq!(receiver.wait(1).await[0].json()["delivery_info"]["current_retry"], 0);
    let by_id = engine
        .command("pg_get_event_by_id", json!({"event_id": event["id"]}))
        .await;
    assert!(
        by_id["invocations"].as_array().is_some_and(|calls| calls.len() >= 3),
        "{by_id}"
    );
    receiver.forget();
    let made = engine
        .command(
            "pg_invoke_event_trigger",
            json!({"name": "failing", "payload": {"by": "hand"}}),
        )
        .await;
    let told = receiver.wait(1).await;
    let by_hand = told.iter().find(|told| told.json()["id"] == made["event_id"]);
    let by_hand = match by_hand {
        Some(told) => told.json(),
        None => receiver.wait(told.len() + 1).await.last().expect("a call").json(),
    };
    assert_eq!(by_hand["event"]["op"], "MANUAL", "{by_hand}");
    assert_eq!(by_hand["event"]["data"], json!({"old": null, "new": {"by": "hand"}}));
}

#[tokio::test]
async fn a_webhook_says_when_it_wants_to_be_called_again_and_is_not_waited_for_without_end() {
    let receiver = Receiver::start().await;
    let engine = with_table(&[("HASURA_GRAPHQL_EVENTS_FETCH_INTERVAL", "100")], &receiver).await;
    engine
        .command("pg_create_event_trigger", on_note("later", "/later"))
        .await;
    engine.sql("insert into note (body) values ('x')").await;
    let told = receiver.wait(2).await;
    assert!(told[1].at - told[0].at >= Duration::from_secs(1), "{told:?}");
    engine
        .command("pg_delete_event_trigger", json!({"name": "later"}))
        .await;

    let mut slow = on_note("slow", "/slow");
    slow["retry_conf"] = json!({"num_retries": 0, "interval_sec": 1, "timeout_sec": 1});
    engine.command("pg_create_event_trigger", slow).await;
    engine.sql("insert into note (body) values ('y')").await;
    settled(&engine, "slow", |event| event["error"] == true).await;
    let calls = engine
        .command("pg_get_event_invocation_logs", json!({"name": "slow"}))
        .await;
    assert_eq!(
        (&calls[0]["status"], &calls[0]["response"]["type"]),
        (&json!(1000), &json!("client_error")),
        "{calls}"
    );
    assert_eq!(calls[0]["response"]["data"]["message"], "no answer within 1 s");
    let refused = json!({"type": "pg_invoke_event_trigger", "args": {"name": "slow", "payload": {}}});
    let refused = engine.admin().post("/v1/metadata", &refused).await.expect(400).json();
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|text| text.contains("enable_manual")),
        "{refused}"
    );
}

#[tokio::test]
async fn the_triggers_of_the_database_follow_the_metadata() {
    let receiver = Receiver::start().await;
    let engine = with_table(&[], &receiver).await;
    let names = async || {
        let sql = "select coalesce(string_agg(tgrelid::regclass || ' ' || tgname, ', ' order by tgname), '')
            from pg_trigger where tgname like 'notify\\_hasura\\_%'";
        engine.sql(sql).await["result"][1][0]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let mut trigger = on_note("first", "/a");
    trigger["update"] = json!({"columns": ["body"], "payload": ["body"]});
    engine.command("pg_create_event_trigger", trigger.clone()).await;
    assert_eq!(
        names().await,
        "note notify_hasura_first_INSERT, note notify_hasura_first_UPDATE"
    );
    let twice = json!({"type": "pg_create_event_trigger", "args": trigger});
    let refused = engine.admin().post("/v1/metadata", &twice).await.expect(400).json();
    assert_eq!(
        refused["error"], "event trigger with name \"first\" already exists",
        "{refused}"
    );

    // Names of the database that change are followed; what an event trigger needs is not dropped.
    engine
        .sql("alter table note rename to memo; alter table memo rename column body to words")
        .await;
    assert_eq!(
        names().await,
        "memo notify_hasura_first_INSERT, memo notify_hasura_first_UPDATE"
    );
    engine
        .sql("insert into memo (words) values ('x'); update memo set words = 'y'")
        .await;
    let told: Vec<Value> = receiver.wait(2).await.iter().map(Told::json).collect();
    let updated = told
        .iter()
        .find(|body| body["event"]["op"] == "UPDATE")
        .expect("a call");
    assert_eq!(updated["event"]["data"]["new"], json!({"words": "y"}));
    assert_eq!(updated["table"]["name"], "memo");
    let dropping = json!({"type": "run_sql", "args": {"sql": "alter table memo drop column words"}});
    let refused = engine.admin().post("/v2/query", &dropping).await.expect(400).json();
    assert_eq!(refused["code"], "dependency-error", "{refused}");
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|text| text.contains("event-trigger memo.first")),
        "{refused}"
    );

    // A whole document brings what it has and takes away what it has not.
    let mut document = engine.command("export_metadata", json!({})).await;
    let list = &mut document["sources"][0]["tables"][0]["event_triggers"];
    list[0]["name"] = json!("second");
    list[0]["definition"]["update"].take();
    engine.command("replace_metadata", document).await;
    assert_eq!(names().await, "memo notify_hasura_second_INSERT");
    engine.command("pg_untrack_table", json!({"table": "memo"})).await;
    assert_eq!(names().await, "");

    // Events nobody waits for any more are not told later.
    engine.command("pg_track_table", json!({"table": "memo"})).await;
    let mut waiting = on_note("third", "/fail");
    waiting["table"] = json!("memo");
    waiting["retry_conf"] = json!({"num_retries": 9, "interval_sec": 600});
    engine.command("pg_create_event_trigger", waiting).await;
    engine.sql("insert into memo (words) values ('z')").await;
    receiver.wait(3).await;
    settled(&engine, "third", |event| event["tries"] == 1).await;
    engine.command("clear_metadata", json!({})).await;
    assert_eq!(names().await, "");
    let left = engine
        .sql("select count(*) from hdb_catalog.event_log where not archived and not delivered")
        .await;
    assert_eq!(left["result"][1][0], "0");
}

#[tokio::test]
async fn mistakes_in_an_event_trigger_are_told_and_nothing_is_made() {
    let receiver = Receiver::start().await;
    let engine = with_table(&[], &receiver).await;
    engine.sql("create view glance as select id from note").await;
    engine.command("pg_track_table", json!({"table": "glance"})).await;
    let with = |key: &str, value: Value| {
        let mut trigger = on_note("odd", "/");
        trigger[key] = value;
        trigger
    };
    for (args, wanted) in [
        (
            with("name", json!("no spaces")),
            "only alphanumeric and underscore and hyphens allowed for name",
        ),
        (with("name", json!("x".repeat(43))), "at most 42 characters"),
        (with("insert", Value::Null), "atleast one amongst insert/update/delete"),
        (
            with("insert", json!({"columns": ["nope"]})),
            "column \"nope\" does not exist",
        ),
        (
            with("webhook", json!("{{NOWHERE}}/x")),
            "environment variables not set: \"NOWHERE\"",
        ),
        (with("webhook", json!("ftp://x/y")), "http:// or https://"),
        (
            with("webhook_from_env", json!("HOOK")),
            "only one of webhook or webhook_from_env",
        ),
        (
            with("headers", json!([{"name": "x"}])),
            "either value or value_from_env",
        ),
        (with("table", json!("glance")), "is no table"),
        (
            with("cleanup_config", json!({"schedule": "* * * * *"})),
            "cleanup_config is not supported",
        ),
        (with("replace", json!(true)), "does not exist"),
    ] {
        let asked = json!({"type": "pg_create_event_trigger", "args": args});
        let refused = engine.admin().post("/v1/metadata", &asked).await.expect(400).json();
        let text = refused["error"].as_str().unwrap_or_default();
        assert!(text.contains(wanted), "{wanted}: {refused}");
    }
    let document = engine.command("export_metadata", json!({})).await;
    assert!(!document.to_string().contains("event_triggers"), "{document}");
}

#[tokio::test]
async fn an_event_survives_a_kill_and_a_stop_gives_back_what_was_not_told() {
    let receiver = Receiver::start().await;
    let Engine {
        process,
        settings,
        database,
        directory,
        address,
        ..
    } = with_table(&[], &receiver).await;
    let command = |address: &str, name: &str, args: Value| {
        let (client, asked) = (admin(address), json!({"type": name, "args": args}));
        async move { client.post("/v1/metadata", &asked).await.expect(200).json() }
    };
    let mut trigger = on_note("slow", "/slow");
    trigger["retry_conf"] = json!({"num_retries": 0, "interval_sec": 1, "timeout_sec": 30});
    command(&address, "pg_create_event_trigger", trigger).await;
    let client = Database::connect(database.url.expose()).await;
    client
        .batch_execute("insert into note (body) values ('x')")
        .await
        .expect("a row");
    receiver.wait(1).await;
    process.kill();
    // Written while nobody is there.
    client
        .batch_execute("insert into note (body) values ('y')")
        .await
        .expect("a row");
    // A minute passes.
    let locked = client
        .execute(
            "update hdb_catalog.event_log set locked = locked - interval '1 minute' where locked is not null",
            &[],
        )
        .await;
    assert_eq!(locked.expect("a lease"), 1);
    let (process, address) = serve(&settings, &directory);
    let told = receiver.wait(3).await;
    let ids: Vec<Value> = told.iter().map(|told| told.json()["id"].clone()).collect();
    assert!(ids[1..].contains(&ids[0]), "told again under the same id: {ids:?}");
    let mut tries = Value::Null;
    for _ in 0..200 {
        tries = command(&address, "pg_get_event_logs", json!({"name": "slow"})).await;
        if tries
            .as_array()
            .is_some_and(|list| list.iter().all(|event| event["delivered"] == true))
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        tries
            .as_array()
            .is_some_and(|list| list.len() == 2 && list[0]["delivered"] == true),
        "{tries}"
    );

    // A call that runs when we stop may end, and is written down.
    receiver.forget();
    client
        .batch_execute("insert into note (body) values ('z')")
        .await
        .expect("a row");
    receiver.wait(1).await;
    tokio::task::spawn_blocking(move || process.interrupt())
        .await
        .expect("it ends");
    let row = client
        .query_one(
            "select delivered, tries, locked is null from hdb_catalog.event_log order by created_at desc limit 1",
            &[],
        )
        .await
        .expect("the event");
    assert_eq!(
        (row.get::<_, bool>(0), row.get::<_, i32>(1), row.get::<_, bool>(2)),
        (true, 1, true)
    );
}

#[tokio::test]
async fn many_events_are_told_once_each_by_two_copies() {
    let receiver = Receiver::start().await;
    let engine = with_table(&[("HASURA_GRAPHQL_EVENTS_HTTP_POOL_SIZE", "8")], &receiver).await;
    let (_other, _) = serve(&engine.settings, &engine.directory);
    engine.command("pg_create_event_trigger", on_note("flood", "/")).await;
    engine
        .sql("insert into note (body) select 'x' from generate_series(1, 1000)")
        .await;
    receiver.wait(1000).await;
    // What was told twice would come now.
    let left = "select count(*) from hdb_catalog.event_log where not delivered";
    for _ in 0..200 {
        if engine.sql(left).await["result"][1][0] == "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = receiver.told();
    let ids: std::collections::BTreeSet<String> = told.iter().map(|told| told.headers["webhook-id"].clone()).collect();
    assert_eq!((told.len(), ids.len()), (1000, 1000));
}

/// What Hasura v2 leaves behind: its tables, a trigger of its own, an event that was not told.
const LEFT_BY_HASURA: &str = "
    create schema hdb_catalog;
    create table hdb_catalog.hdb_version (hasura_uuid uuid primary key default gen_random_uuid(), version text not null,
        upgraded_on timestamptz not null, cli_state jsonb not null default '{}', console_state jsonb not null default '{}');
    insert into hdb_catalog.hdb_version (version, upgraded_on) values ('48', now());
    create table hdb_catalog.hdb_metadata (id integer primary key, metadata json not null,
        resource_version integer not null default 1 unique);
    create table hdb_catalog.event_log (id text default gen_random_uuid() primary key, schema_name text not null,
        table_name text not null, trigger_name text not null, payload jsonb not null, delivered boolean not null default false,
        error boolean not null default false, tries integer not null default 0, created_at timestamp default now(),
        locked timestamptz, next_retry_at timestamp, archived boolean not null default false);
    create table hdb_catalog.event_invocation_logs (id text default gen_random_uuid() primary key, trigger_name text,
        event_id text, status integer, request json, response json, created_at timestamp default now());
    create table public.visit (id int primary key);
    create function hdb_catalog.\"notify_hasura_visits_INSERT\"() returns trigger language plpgsql as $$
    begin
        insert into hdb_catalog.event_log (schema_name, table_name, trigger_name, payload)
            values ('public', 'visit', 'visits', jsonb_build_object('op', tg_op, 'by', 'the old one',
                'data', jsonb_build_object('old', null, 'new', row_to_json(new))));
        return null;
    end $$;
    create trigger \"notify_hasura_visits_INSERT\" after insert on public.visit
        for each row execute function hdb_catalog.\"notify_hasura_visits_INSERT\"();
    insert into public.visit values (1)";

#[tokio::test]
async fn a_database_hasura_ran_on_is_taken_over_and_nothing_is_told_twice() {
    let receiver = Receiver::start().await;
    let engine = Engine::start(&[("HOOK", &receiver.url)]).await;
    let Engine {
        process,
        mut settings,
        database,
        directory,
        ..
    } = engine;
    tokio::task::spawn_blocking(move || process.interrupt())
        .await
        .expect("it ends");
    let client = Database::connect(database.url.expose()).await;
    client.batch_execute("create database old").await.expect("a database");
    let url = with_database(database.url.expose(), "old");
    let old = Database::connect(&url).await;
    old.batch_execute(LEFT_BY_HASURA).await.expect("what Hasura left");
    let document = json!({"version": 3, "sources": [{"name": "default", "kind": "postgres",
        "configuration": {"connection_info": {"database_url": {"from_env": "HASURA_GRAPHQL_DATABASE_URL"}}},
        "tables": [{"table": {"schema": "public", "name": "visit"}, "event_triggers": [{"name": "visits",
            "definition": {"enable_manual": false, "insert": {"columns": "*"}}, "webhook": "{{HOOK}}",
            "retry_conf": {"num_retries": 0, "interval_sec": 10, "timeout_sec": 60}}]}]}]});
    old.execute("insert into hdb_catalog.hdb_metadata values (1, $1, 17)", &[&document])
        .await
        .expect("the metadata");
    settings.insert("HASURA_GRAPHQL_DATABASE_URL".to_owned(), url);
    let (_process, address) = serve(&settings, &directory);
    let left = receiver.wait(1).await[0].json();
    assert_eq!(
        (&left["event"]["by"], &left["event"]["data"]["new"]),
        (&json!("the old one"), &json!({"id": 1}))
    );
    ask(
        &admin(&address),
        "mutation { insert_visit_one(object: {id: 2}) { id } }",
    )
    .await;
    let told = receiver.wait(2).await;
    assert_eq!(told[1].json()["event"].get("by"), None, "{:?}", told[1]);
    assert_eq!(told[1].json()["event"]["data"]["new"], json!({"id": 2}));
    let rows = old
        .query_one("select count(*) from hdb_catalog.event_log", &[])
        .await
        .expect("events");
    assert_eq!(rows.get::<_, i64>(0), 2);
}
