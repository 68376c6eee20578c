//! The access log as Traefik writes it, and spans where its configuration says.

use super::Lone;
use serde_json::Value;
use std::{fs, path::Path, time::Duration};

const ROUTES: &str = "http:
  routers:
    ping: {rule: 'Path(`/ping`)', service: ping@internal}
    quiet: {rule: 'Path(`/quiet`)', service: ping@internal, observability: {accessLogs: false}}
    guarded: {rule: 'Path(`/guarded`)', service: ping@internal, middlewares: [auth]}
  middlewares:
    auth: {basicAuth: {users: ['ada:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=']}}
";

async fn lines(path: &Path, at_least: usize) -> Vec<String> {
    for _ in 0..50 {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= at_least {
            return text.lines().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} has too few lines: {:?}", path.display(), fs::read_to_string(path));
}

#[tokio::test]
async fn lines_have_the_common_format_and_follow_a_moved_file() {
    let gateway = Lone::start(ROUTES, &["--accesslog.filepath=access.log"]);
    let client = gateway
        .client()
        .with("user-agent", "a \"quoted\" agent")
        .with("referer", "https://from.test/");
    client.get("/ping?a=b").await.expect(200);
    client.get("/quiet").await.expect(200);
    client.get("/nowhere").await.expect(404);
    let basic = client.with("authorization", "Basic YWRhOnRlc3Q=");
    basic.get("/guarded").await.expect(200);
    let path = gateway.place("access.log");
    let seen = lines(&path, 3).await;
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[0].starts_with("127.0.0.1 - - ["), "{}", seen[0]);
    let expected =
        "\"GET /ping?a=b HTTP/1.1\" 200 2 \"https://from.test/\" \"a \\\"quoted\\\" agent\" 1 \"ping@file\" \"-\" ";
    assert!(seen[0].contains(expected) && seen[0].ends_with("ms"), "{}", seen[0]);
    assert!(seen[1].contains("\"GET /nowhere HTTP/1.1\" 404 "), "{}", seen[1]);
    assert!(seen[2].starts_with("127.0.0.1 - ada ["), "{}", seen[2]);

    fs::rename(&path, gateway.place("access.log.1")).expect("moved");
    gateway.process.signal(rustix::process::Signal::USR1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.get("/ping").await.expect(200);
    assert_eq!(lines(&path, 1).await.len(), 1);
}

#[tokio::test]
async fn json_has_traefiks_names_and_filters_and_modes_hold() {
    let gateway = Lone::start(
        ROUTES,
        &[
            "--accesslog.filepath=access.log",
            "--accesslog.format=json",
            "--accesslog.filters.statuscodes=404",
            "--accesslog.fields.names.ClientHost=redact",
            "--accesslog.fields.names.RequestPort=drop",
            "--accesslog.fields.headers.names.User-Agent=keep",
            "--accesslog.fields.headers.names.Authorization=redact",
        ],
    );
    let client = gateway.client().with("user-agent", "test").bearer("secret");
    client.get("/ping").await.expect(200);
    client.get("/nowhere").await.expect(404);
    let seen = lines(&gateway.place("access.log"), 1).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    let line: Value = serde_json::from_str(&seen[0]).expect("JSON");
    for (name, value) in [
        ("RequestPath", "/nowhere"),
        ("RequestMethod", "GET"),
        ("RequestProtocol", "HTTP/1.1"),
        ("RequestScheme", "http"),
        ("entryPointName", "web"),
        ("ClientHost", "REDACTED"),
        ("request_User-Agent", "test"),
        ("request_Authorization", "REDACTED"),
        ("level", "info"),
    ] {
        assert_eq!(line[name], value, "{name} in {line}");
    }
    assert_eq!(line["DownstreamStatus"], 404);
    assert_eq!(line["RequestCount"], 2);
    assert!(line["Duration"].is_u64() && line["RequestPort"].is_null(), "{line}");
    assert!(!seen[0].contains("secret"), "{line}");
}

#[tokio::test]
async fn spans_go_where_traefiks_configuration_says() {
    let collector = portico_tests::Receiver::start().await;
    let endpoint = format!("--tracing.otlp.http.endpoint={}/v1/traces", collector.url);
    let gateway = Lone::start(ROUTES, &["--tracing.servicename=edge", &endpoint]);
    for _ in 0..3 {
        gateway.client().get("/ping").await.expect(200);
    }
    for _ in 0..100 {
        if collector.told().iter().any(|told| told.path == "/v1/traces") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no span came: {:?}", collector.told());
}
