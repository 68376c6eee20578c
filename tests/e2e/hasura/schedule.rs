//! Cron triggers and one-off scheduled events.

use super::Engine;
use portico_tests::{Database, Receiver};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Seconds from now, as RFC 3339.
async fn at(engine: &Engine, seconds: i64) -> String {
    let sql = format!(
        "select to_char((now() + interval '{seconds} seconds') at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    );
    engine.sql(&sql).await["result"][1][0]
        .as_str()
        .expect("a time")
        .to_owned()
}

#[tokio::test]
async fn a_cron_trigger_is_called_at_its_times() {
    let receiver = Receiver::start().await;
    let engine = Engine::start(&[("HOOK", &receiver.url)]).await;
    let daily = json!({"name": "daily", "webhook": "{{HOOK}}/daily", "schedule": "30 4 * * *", "include_in_metadata": true,
        "payload": {"what": "reports"}, "comment": "every night", "headers": [{"name": "x-a", "value": "b"}]});
    engine.command("create_cron_trigger", daily.clone()).await;
    let mut hidden = daily.clone();
    hidden["name"] = json!("hidden");
    hidden["include_in_metadata"] = json!(false);
    engine.command("create_cron_trigger", hidden).await;
    let asked = json!({"type": "cron", "trigger_name": "daily", "limit": 2, "get_rows_count": true});
    let planned = engine.command("get_scheduled_events", asked.clone()).await;
    assert_eq!(
        (&planned["count"], planned["events"].as_array().map(Vec::len)),
        (&json!(100), Some(2)),
        "{planned}"
    );
    assert!(
        planned["events"][0]["scheduled_time"]
            .as_str()
            .is_some_and(|time| time.contains("T04:30:00")),
        "{planned}"
    );

    let client = Database::connect(engine.database.url.expose()).await;
    let due = "update hdb_catalog.hdb_cron_events set scheduled_time = now() - interval '1 second'
        where id = (select id from hdb_catalog.hdb_cron_events where trigger_name = 'daily' order by scheduled_time limit 1)";
    client.batch_execute(due).await.expect("time passes");
    // A change of the metadata makes the clock look again.
    engine
        .command(
            "create_cron_trigger",
            json!({"name": "other", "webhook": "{{HOOK}}/other", "schedule": "0 0 1 1 *",
        "include_in_metadata": true}),
        )
        .await;
    let told = receiver.wait(1).await.remove(0);
    let body = told.json();
    assert_eq!((told.path.as_str(), told.headers["x-a"].as_str()), ("/daily", "b"));
    assert_eq!(
        (&body["name"], &body["payload"]),
        (&json!("daily"), &json!({"what": "reports"})),
        "{body}"
    );
    assert_eq!(body["comment"], "every night");
    assert!(
        body["scheduled_time"].as_str().is_some_and(|time| time.ends_with('Z')),
        "{body}"
    );
    let mut calls = Value::Null;
    for _ in 0..200 {
        let asked = json!({"type": "cron", "trigger_name": "daily"});
        calls = engine.command("get_scheduled_event_invocations", asked).await;
        if calls["invocations"].as_array().is_some_and(|list| !list.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(
        (&calls["invocations"][0]["status"], &calls["invocations"][0]["event_id"]),
        (&json!(200), &body["id"])
    );

    // An export shows what is meant for it, and an import takes away nothing else.
    let document = engine.command("export_metadata", json!({})).await;
    let names = |list: &Value| {
        list.as_array()
            .into_iter()
            .flatten()
            .map(|one| one["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&document["cron_triggers"]),
        [json!("daily"), json!("other")],
        "{document}"
    );
    let mut document = document;
    document["cron_triggers"] = json!([document["cron_triggers"][0].clone()]);
    document["cron_triggers"][0]["schedule"] = json!("15 5 * * *");
    engine.command("replace_metadata", document).await;
    let all = engine.command("get_cron_triggers", json!({})).await;
    assert_eq!(names(&all["cron_triggers"]), [json!("daily"), json!("hidden")], "{all}");
    let planned = engine
        .command(
            "get_scheduled_events",
            json!({"type": "cron", "trigger_name": "daily",
        "status": ["scheduled"], "get_rows_count": true}),
        )
        .await;
    assert_eq!(planned["count"], 100, "{planned}");
    assert!(
        planned["events"][99]["scheduled_time"]
            .as_str()
            .is_some_and(|time| time.contains("T05:15:00")),
        "{planned}"
    );
    engine.command("delete_cron_trigger", json!({"name": "daily"})).await;
    let gone = engine
        .command(
            "get_scheduled_events",
            json!({"type": "cron", "trigger_name": "daily",
        "status": ["scheduled"]}),
        )
        .await;
    assert_eq!(gone["events"], json!([]), "{gone}");
}

#[tokio::test]
async fn mistakes_in_a_cron_trigger_are_told() {
    let engine = Engine::start(&[]).await;
    let with = |key: &str, value: Value| {
        let mut trigger = json!({"name": "odd", "webhook": "http://localhost/", "schedule": "* * * * *",
            "include_in_metadata": true});
        trigger[key] = value;
        trigger
    };
    for (args, wanted) in [
        (
            with("schedule", json!("every day")),
            "'every day' is no cron expression",
        ),
        (with("schedule", json!("61 * * * *")), "no cron expression"),
        (
            with("webhook", json!("{{HOOK}}")),
            "environment variables not set: \"HOOK\"",
        ),
        (
            with("include_in_metadata", Value::Null),
            "key \"include_in_metadata\" not found",
        ),
    ] {
        let told = engine.refused("create_cron_trigger", args).await;
        assert!(
            told["error"].as_str().is_some_and(|text| text.contains(wanted)),
            "{wanted}: {told}"
        );
    }
    engine.command("create_cron_trigger", with("name", json!("one"))).await;
    let twice = engine.refused("create_cron_trigger", with("name", json!("one"))).await;
    assert_eq!(twice["error"], "cron trigger with name: one already exists");
    let mut again = with("name", json!("one"));
    again["replace"] = json!(true);
    engine.command("create_cron_trigger", again).await;
    let unknown = engine.refused("delete_cron_trigger", json!({"name": "two"})).await;
    assert_eq!(unknown["code"], "not-exists", "{unknown}");
}

#[tokio::test]
async fn a_single_event_is_called_at_its_time_and_not_when_it_is_too_late() {
    let receiver = Receiver::start().await;
    let engine = Engine::start(&[("HOOK", &receiver.url)]).await;
    let began = SystemTime::now();
    let soon = at(&engine, 1).await;
    let event = json!({"webhook": "{{HOOK}}/one", "schedule_at": soon, "payload": {"n": 1}, "comment": "once",
        "headers": [{"name": "x-a", "value": "b"}]});
    let made = engine.command("create_scheduled_event", event.clone()).await;
    let told = receiver.wait(1).await.remove(0);
    assert!(began.elapsed().expect("time goes on") >= Duration::from_millis(900));
    let body = told.json();
    assert_eq!(
        (&body["id"], &body["payload"], &body["comment"]),
        (&made["event_id"], &json!({"n": 1}), &json!("once"))
    );
    assert_eq!(told.headers["x-a"], "b");

    let mut late = event.clone();
    late["schedule_at"] = json!(at(&engine, -3600).await);
    late["retry_conf"] = json!({"tolerance_seconds": 60});
    let late = engine.command("create_scheduled_event", late).await;
    let mut failing = event.clone();
    failing["webhook"] = json!("{{HOOK}}/fail");
    failing["retry_conf"] = json!({"num_retries": 1, "retry_interval_seconds": 1});
    let failing = engine.command("create_scheduled_event", failing).await;
    receiver.wait(3).await;
    let status = async |id: &Value, wanted: &str| {
        let asked = json!({"type": "one_off", "event_id": id});
        for _ in 0..200 {
            let event = engine.command("get_scheduled_events", asked.clone()).await["events"][0].clone();
            if event["status"] == wanted {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never {wanted}")
    };
    let dead = status(&late["event_id"], "dead").await;
    assert_eq!(dead["tries"], 0, "{dead}");
    let failed = status(&failing["event_id"], "error").await;
    assert_eq!(failed["tries"], 2, "{failed}");
    assert_eq!(receiver.told().len(), 3, "the late one was not called");

    let mut far = event.clone();
    far["schedule_at"] = json!(at(&engine, 3600).await);
    let far = engine.command("create_scheduled_event", far).await;
    let cancel = json!({"type": "one_off", "event_id": far["event_id"]});
    engine.command("delete_scheduled_event", cancel.clone()).await;
    let again = engine.refused("delete_scheduled_event", cancel).await;
    assert_eq!(again["code"], "not-exists", "{again}");
    let mut odd = event;
    odd["schedule_at"] = json!("tomorrow");
    let told = engine.refused("create_scheduled_event", odd).await;
    assert!(
        told["error"]
            .as_str()
            .is_some_and(|text| text.starts_with("'tomorrow' is no time")),
        "{told}"
    );
}
