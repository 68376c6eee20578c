//! What a webhook is sent, made anew by templates.

use super::Engine;
use portico_tests::Receiver;
use serde_json::{Value, json};

#[tokio::test]
async fn a_webhook_is_sent_what_its_transform_makes() {
    let receiver = Receiver::start().await;
    let engine = Engine::start(&[("HOOK", &receiver.url)]).await;
    engine.sql("create table note (id serial primary key, body text)").await;
    engine.command("pg_track_table", json!({"table": "note"})).await;
    let trigger = |name: &str, transform: Value| {
        json!({"name": name, "table": "note", "webhook": "{{HOOK}}/base", "insert": {"columns": "*"},
            "headers": [{"name": "x-old", "value": "1"}], "request_transform": transform})
    };
    let put = json!({"version": 2, "template_engine": "Kriti", "method": "PUT", "url": "{{$base_url}}/notes",
        "query_params": {"id": "{{$body.event.data.new.id}}"},
        "request_headers": {"add_headers": {"X-Role": "{{getSessionVariable(\"x-hasura-role\")}}"}, "remove_headers": ["X-Old"]},
        "body": {"action": "transform", "template": "{\"text\": {{ toUpper($body.event.data.new.body) }}, \"op\": {{$body.event.op}}}"}});
    engine.command("pg_create_event_trigger", trigger("put", put)).await;
    let made = "mutation { insert_note_one(object: {body: \"quiet\"}) { id } }";
    super::ask(&engine.admin(), made).await;
    let told = receiver.wait(1).await.remove(0);
    assert_eq!((told.method.as_str(), told.path.as_str()), ("PUT", "/base/notes?id=1"));
    assert_eq!(
        (told.headers.get("x-old"), told.headers["x-role"].as_str()),
        (None, "admin")
    );
    assert_eq!(told.json(), json!({"text": "QUIET", "op": "INSERT"}));
    assert_eq!(told.headers["content-type"], "application/json");
    engine.command("pg_delete_event_trigger", json!({"name": "put"})).await;

    receiver.forget();
    let form = json!({"version": 2, "body": {"action": "x_www_form_urlencoded",
        "form_template": {"text": "{{$body.event.data.new.body}}&", "n": "{{$body.event.data.new.id}}"}}});
    engine.command("pg_create_event_trigger", trigger("form", form)).await;
    engine.sql("insert into note (body) values ('a b')").await;
    let told = receiver.wait(1).await.remove(0);
    assert_eq!((told.method.as_str(), told.text.as_str()), ("POST", "n=2&text=a+b%26"));
    assert_eq!(told.headers["content-type"], "application/x-www-form-urlencoded");
    engine.command("pg_delete_event_trigger", json!({"name": "form"})).await;

    // A template that cannot be read is refused, one that cannot be worked out fails its event and says why.
    let broken = json!({"version": 2, "body": {"action": "transform", "template": "{{ $body. }}"}});
    let asked = json!({"type": "pg_create_event_trigger", "args": trigger("broken", broken)});
    let refused = engine.admin().post("/v1/metadata", &asked).await.expect(400).json();
    let text = refused["error"].as_str().unwrap_or_default();
    assert!(
        text.contains("request_transform.body.template: Parse Error in line 1, column 12"),
        "{refused}"
    );
    let lost = json!({"version": 2, "body": {"action": "transform", "template": "{{ $body.nothing }}"}});
    engine.command("pg_create_event_trigger", trigger("lost", lost)).await;
    engine.sql("insert into note (body) values ('c')").await;
    let mut calls = Value::Null;
    for _ in 0..200 {
        calls = engine
            .command("pg_get_event_invocation_logs", json!({"name": "lost"}))
            .await;
        if calls.as_array().is_some_and(|calls| !calls.is_empty()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let message = calls[0]["response"]["data"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("'Object' has no attribute 'nothing'"), "{calls}");
}

#[tokio::test]
async fn a_transform_can_be_tried_before_it_is_used() {
    let engine = Engine::start(&[("HOOK", "http://hooks.example")]).await;
    let tried = engine
        .command(
            "test_webhook_transform",
            json!({"webhook_url": "{{HOOK}}/a", "body": {"n": 1}, "session_variables": {"x-hasura-user-id": "7"},
                "request_headers": [["X-A", "b"]],
                "request_transform": {"version": 2, "method": "POST",
                    "body": {"action": "transform", "template": "[{{$body.n}}, {{$session_variables['x-hasura-user-id']}}]"}}}),
        )
        .await;
    assert_eq!(
        tried,
        json!({"webhook_url": "http://hooks.example/a", "method": "POST", "headers": [["x-a", "b"]], "body": [1, "7"]})
    );
    let asked = json!({"type": "test_webhook_transform", "args": {"webhook_url": "http://h/", "body": {},
        "request_transform": {"version": 2, "url": "{{$body.no}}", "body": {"action": "transform", "template": "{{ $body.neither }}"}}}});
    let refused = engine.admin().post("/v1/metadata", &asked).await.expect(400).json();
    assert_eq!(refused["error"], "request transform validation failed");
    assert_eq!(refused["internal"].as_array().map(Vec::len), Some(2), "{refused}");
    assert_eq!(
        refused["internal"][1]["source_position"]["start_column"], 4,
        "{refused}"
    );
}
