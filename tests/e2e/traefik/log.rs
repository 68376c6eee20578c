//! The access log as Traefik writes it, and spans where its configuration says.

use super::Lone;
use portico_tests::Directory;
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

#[tokio::test]
async fn the_processs_own_log_goes_to_a_file_and_follows_when_that_is_moved() {
    let directory = Directory::make();
    let port = portico_tests::edge::free_port();
    let path = directory.path().join("logs/traefik.log");
    let mut environment = std::collections::HashMap::new();
    let data = directory.path().join("data").display().to_string();
    environment.insert("PORTICO_DATA_DIR".to_owned(), data);
    let mut gateway = portico_tests::process::command(&environment, directory.path())
        .args(["serve", "gateway", "--"])
        .arg(format!("--entrypoints.web.address=127.0.0.1:{port}"))
        .arg(format!("--log.filepath={}", path.display()))
        .args(["--log.level=INFO", "--ping=true", "--ping.entrypoint=web"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let first = lines(&path, 1).await;
    let line: Value = serde_json::from_str(&first[0]).expect("JSON");
    assert_eq!(line["level"], "info", "{line}");
    let client = portico_tests::Client::new(&format!("http://127.0.0.1:{port}"));
    client.get("/ping").await.expect(200);
    fs::rename(&path, directory.path().join("logs/traefik.log.1")).expect("moved");
    // The end is told in the new file.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(gateway.id()).expect("small")).expect("not 0"),
        rustix::process::Signal::TERM,
    )
    .expect("told");
    let mut out = String::new();
    std::io::Read::read_to_string(&mut gateway.stdout.take().expect("piped"), &mut out).expect("text");
    gateway.wait().expect("ended");
    let last = lines(&path, 1).await.join("\n");
    assert!(last.contains("\"signal\":\"SIGTERM\""), "{last}");
    assert_eq!(out, "", "nothing of the log goes to standard output");
}

#[test]
fn a_log_that_cannot_be_written_and_rotation_are_refused_by_name() {
    let directory = Directory::make();
    let told = |flags: &[&str]| {
        let arguments: Vec<&str> = ["check", "--"].iter().chain(flags).copied().collect();
        let (code, out, errors) =
            portico_tests::process::run(&arguments, &portico_tests::environment(), directory.path(), "");
        (code, out + &errors)
    };
    let (code, text) = told(&[
        "--entrypoints.web.address=127.0.0.1:0",
        "--log.filepath=a.log",
        "--log.maxsize=10",
    ]);
    assert!(code != 0 && text.contains("logrotate"), "{text}");
    let arguments = [
        "serve",
        "gateway",
        "--",
        "--entrypoints.web.address=127.0.0.1:0",
        "--log.filepath=/proc/a.log",
    ];
    let (code, out, errors) =
        portico_tests::process::run(&arguments, &portico_tests::environment(), directory.path(), "");
    assert!(code != 0 && (out + &errors).contains("/proc/a.log"));
}
