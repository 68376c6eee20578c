//! The whole road, in each shape.

use crate::core::{login, register};
use portico_tests::{Shape, Stack};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn the_road_in_one_process() {
    walk(&Stack::start(Shape::OneProcess).await).await;
}

#[tokio::test]
async fn the_road_in_four_processes() {
    walk(&Stack::start(Shape::FourProcesses).await).await;
}

#[tokio::test]
async fn the_road_with_two_copies_of_each_service() {
    walk(&Stack::start(Shape::TwoCopies).await).await;
}

async fn walk(stack: &Stack) {
    accounts(stack).await;
    crate::media::walk(stack).await;
    crate::links::walk(stack).await;
    health(stack).await;
}

/// Step 1: register, log in, who am I, refresh, log out.
async fn accounts(stack: &Stack) {
    let client = stack.client();
    let made = register(&client, "ada@example.org").await.expect(201).json();
    assert_eq!(made["user"]["email"], "ada@example.org");
    assert_eq!(made["user"]["role"], "user");
    let tokens = login(&client, "ada@example.org").await;
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 900);
    let known = client.bearer(tokens["access_token"].as_str().expect("a token"));
    let me = known.get("/v1/core/users/me").await.expect(200).json();
    assert_eq!(me, made["user"]);

    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    let next = client.post("/v1/core/auth/refresh", &refresh).await.expect(200).json();
    assert!(next["user"].is_null());
    let known = client.bearer(next["access_token"].as_str().expect("a token"));
    known.get("/v1/core/users/me").await.expect(200);

    known
        .send(http::Method::POST, "/v1/core/auth/logout", "", None)
        .await
        .expect(204);
    let refresh = json!({ "refresh_token": next["refresh_token"] });
    client
        .post("/v1/core/auth/refresh", &refresh)
        .await
        .problem(401, "REFRESH_TOKEN_INVALID");
    // The other copies hear of it within a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..4 {
        known.get("/v1/core/users/me").await.problem(401, "SESSION_ENDED");
    }
}

/// Step 4: one request id everywhere, health and metrics.
async fn health(stack: &Stack) {
    let client = stack.client();
    let health = client.get("/health").await.expect(200).json();
    assert_eq!(health["status"], "healthy", "{health}");
    let names: Vec<&str> = health["services"]
        .as_array()
        .expect("services")
        .iter()
        .filter_map(|service| service["service"].as_str())
        .collect();
    for name in ["core", "media", "links", "database", "store"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let metrics = stack.admin().get("/metrics").await.expect(200).text();
    assert!(metrics.contains("traefik_entrypoint_requests_total{"), "{metrics}");

    let asked = client
        .with("x-request-id", "road-test-4711")
        .get("/v1/core/users/me")
        .await;
    assert_eq!(asked.header("x-request-id"), "road-test-4711");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let access: Vec<_> = stack
        .processes
        .iter()
        .flat_map(|(_, process)| process.logs())
        .filter(|line| line["request_id"] == "road-test-4711")
        .collect();
    assert!(!access.is_empty(), "the request id must be in the log");
    // Where the service is a process of its own, its log has it, too.
    let of = |name: &str| {
        let lines = stack.processes.iter().filter(|(known, _)| known.starts_with(name));
        lines
            .flat_map(|(_, process)| process.logs())
            .any(|line| line["request_id"] == "road-test-4711")
    };
    if stack.processes.len() > 1 {
        assert!(of("gateway") && of("core"), "the request id is in the logs of both");
    }
}

#[tokio::test]
async fn everything_is_still_there_after_ctrl_c() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    register(&stack.client(), "ada@example.org").await.expect(201);
    let status = stack.take("up").interrupt();
    assert!(status.success(), "{status}");
    stack.up();
    login(&stack.client(), "ada@example.org").await;
}

#[tokio::test]
async fn acknowledged_accounts_survive_a_kill() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    for round in 0..2 {
        let client = stack.client();
        let writing = tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let email = format!("user-{round}-{number}@example.org");
                let body = json!({ "email": email, "password": crate::core::PASSWORD });
                let sent = client
                    .try_send(
                        http::Method::POST,
                        "/v1/core/auth/register",
                        body.to_string(),
                        Some("application/json"),
                    )
                    .await;
                match sent {
                    Ok(answer) if answer.status == 201 => acknowledged.push(email),
                    _ => break,
                }
            }
            acknowledged
        });
        tokio::time::sleep(Duration::from_millis(1500)).await;
        stack.take("up").kill();
        let acknowledged = writing.await.expect("the writer");
        assert!(!acknowledged.is_empty());
        stack.up();
        for email in acknowledged {
            login(&stack.client(), &email).await;
        }
    }
}

#[tokio::test]
async fn no_idempotent_request_fails_when_a_copy_is_killed() {
    let mut stack = Stack::start(Shape::TwoCopies).await;
    let client = stack.client();
    register(&client, "ada@example.org").await.expect(201);
    let tokens = login(&client, "ada@example.org").await;
    let known = client.bearer(tokens["access_token"].as_str().expect("a token"));
    let made = known
        .graphql(
            "mutation { insert_links_links_one(object: {slug: \"steady\", target_url: \"https://example.org/\"}) { id } }",
            json!({}),
        )
        .await;
    assert!(made["errors"].is_null(), "{made}");
    let asking: Vec<_> = (0..6)
        .map(|number| {
            let known = known.clone();
            let (path, expected) = [
                ("/v1/core/users/me", 200),
                ("/v1/media/assets", 200),
                ("/l/steady", 302),
            ][number % 3];
            tokio::spawn(async move {
                let mut failures = Vec::new();
                for _ in 0..400 {
                    let answer = known.get(path).await;
                    if answer.status != expected {
                        failures.push(format!("{path}: {} {}", answer.status, answer.text()));
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                failures
            })
        })
        .collect();
    for copy in ["core-1", "media-1", "links-1"] {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stack.take(copy).kill();
    }
    for asked in asking {
        let failures = asked.await.expect("the asker");
        assert!(failures.is_empty(), "{failures:?}");
    }
}

/// A collector that answers 200 and keeps what it was sent.
async fn collector() -> (String, tokio::sync::mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let (sender, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                let mut buffer = [0; 64 * 1024];
                while let Ok(read) = stream.read(&mut buffer).await {
                    bytes.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, _)) = text.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let length = head
                        .to_ascii_lowercase()
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                    if read == 0 || bytes.len() >= head.len() + 4 + length.unwrap_or(0) {
                        let first = head.lines().next().unwrap_or_default().to_owned();
                        // The test may have seen enough already.
                        let _ = sender.send((first, bytes.clone()));
                        let _ = stream
                            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                            .await;
                        return;
                    }
                }
            });
        }
    });
    (url, received)
}

#[tokio::test]
async fn traces_are_exported_where_the_standard_variables_say() {
    let (url, mut received) = collector().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_SERVICE_NAME", "road-test"),
    ];
    let stack = Stack::start_with(Shape::OneProcess, &settings).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let client = stack
        .client()
        .with("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    client.get("/v1/core/users/me").await.expect(401);
    let id: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&trace[2 * at..2 * at + 2], 16).expect("hex"))
        .collect();
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let seen = async {
        loop {
            let (first, bytes) = received.recv().await.expect("an export");
            assert!(first.starts_with("POST /v1/traces "), "{first}");
            assert!(holds(&bytes, b"road-test"), "the service name is sent");
            if holds(&bytes, &id) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen)
        .await
        .expect("the caller's trace is continued and exported");
}
