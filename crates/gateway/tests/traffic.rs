//! Requests through a real listener: refusals, forwarding, limits, failover, WebSockets, reloads.

mod kit;

use axum::{
    Router,
    extract::ws::{Message, WebSocketUpgrade},
    routing::any,
};
use futures_util::{SinkExt, StreamExt};
use gateway::{Admin, At, Builtin, EntryPoint, Settings, model};
use http_chassis::health::{Check, Health, Status};
use kit::{echo, get, header, inputs, origin, raw, start, status};
use std::time::Duration;

fn builtin(at: At) -> Builtin {
    Builtin {
        core: Some(at.clone()),
        media: Some(at.clone()),
        links: Some(at),
        ..Builtin::default()
    }
}

fn all_in_process() -> Vec<(String, Router)> {
    ["core", "media", "links"]
        .map(|name| (name.to_owned(), echo(name)))
        .into()
}

#[tokio::test]
async fn built_in_routes_lead_to_their_services_with_the_path_unchanged() {
    let gateway = start(inputs(all_in_process(), Some(builtin(At::InProcess)))).await;
    for (path, service) in [
        ("/v1/core/users/me", "core"),
        ("/.well-known/jwks.json", "core"),
        ("/v1/media/assets?x=1", "media"),
        ("/cdn/a/b.png", "media"),
        ("/v1/links/v1/graphql", "links"),
        ("/l/abc", "links"),
    ] {
        let answer = get(gateway.address, path, "").await;
        assert!(answer.contains(&format!("{service} GET {path}\n")), "{path}: {answer}");
        assert!(header(&answer, "x-request-id").is_some(), "{answer}");
    }
    let unknown = get(gateway.address, "/nowhere", "X-Request-ID: kept-1\r\n").await;
    assert_eq!(
        (status(&unknown), header(&unknown, "x-request-id")),
        (404, Some("kept-1"))
    );
    assert!(unknown.contains("application/problem+json") && unknown.contains("ROUTE_NOT_FOUND"));
    assert_eq!(status(&get(gateway.address, "/", "").await), 200);
}

#[tokio::test]
async fn ambiguous_and_smuggled_requests_are_refused_before_any_service() {
    let gateway = start(inputs(all_in_process(), Some(builtin(At::InProcess)))).await;
    let paths = [
        "/l/%2e%2e%2fv1",
        "/l/..%2Fx",
        "/l/..;/x",
        "/l/%00",
        "/l/%zz",
        "/l/%",
        "/l/..%5Cx",
        "/l/a\\b",
        "/l/%252e%252e/x",
        "/l/%0d%0aX",
        "/l/x#y",
    ];
    for path in paths {
        let answer = get(gateway.address, path, "").await;
        assert_eq!(status(&answer), 400, "{path}: {answer}");
    }
    let raws = [
        "GET /l/x HTTP/1.1\nHost: a\n\n",
        "GET /l/x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET /l/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /l/x HTTP/1.1\r\n\r\n",
        "POST /l/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /l/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "POST /l/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /l/x HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        "POST /l/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /l/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "GET /l/x HTTP/1.1\r\nHost: a\r\nX-Bad : 1\r\n\r\n",
        "GET /l/x HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET /l/x HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /l/x HTTP/9.9\r\nHost: a\r\n\r\n",
    ];
    for bytes in raws {
        let answer = raw(gateway.address, bytes).await;
        assert!(
            answer.is_empty() || (400..506).contains(&status(&answer)),
            "{bytes:?}: {answer}"
        );
        assert!(
            !answer.contains("links GET") && !answer.contains("links POST"),
            "{bytes:?} reached the service: {answer}"
        );
    }
}

#[tokio::test]
async fn forged_forwarding_headers_are_replaced_by_the_truth() {
    let gateway = start(inputs(all_in_process(), Some(builtin(At::InProcess)))).await;
    let forged = "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Portico-User: 6.6.6.6\r\n";
    let seen = get(gateway.address, "/l/x", forged).await;
    assert!(!seen.contains("6.6.6.6"), "{seen}");
    assert!(
        seen.contains("x-forwarded-for: 127.0.0.1") && seen.contains("x-forwarded-proto: http\n"),
        "{seen}"
    );
    let seen = raw(
        gateway.address,
        "GET /l/x HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-For, X-Hop\r\nX-Hop: 1\r\n\r\n",
    )
    .await;
    assert!(
        seen.contains("x-forwarded-for: 127.0.0.1") && !seen.contains("x-hop"),
        "{seen}"
    );
    assert!(seen.contains("traceparent: 00-"), "{seen}");
}

#[tokio::test]
async fn limits_are_exact_told_on_every_answer_and_keep_refused_requests_from_the_service() {
    let mut builtin = builtin(At::InProcess);
    builtin.media_rate = Some((5, Duration::from_secs(60)));
    builtin.links_rate = Some((7, Duration::from_secs(60)));
    builtin.links_anonymous = Some((3, Duration::from_secs(60)));
    let gateway = start(inputs(all_in_process(), Some(builtin))).await;
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(get(gateway.address, "/v1/media/assets", "").await);
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| status(answer)).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(header(&answers[0], "x-ratelimit-remaining"), Some("4"));
    assert_eq!(header(&answers[7], "x-ratelimit-limit"), Some("5"));
    assert!(header(&answers[7], "retry-after").is_some() && header(&answers[7], "x-ratelimit-reset").is_some());
    assert!(!answers[7].contains("media GET"));
    let mut refused = 0;
    for _ in 0..5 {
        refused += usize::from(status(&get(gateway.address, "/v1/links/graphql", "").await) == 429);
    }
    assert_eq!(refused, 2);
    for _ in 0..20 {
        let redirect = get(gateway.address, "/l/x", "").await;
        assert!(status(&redirect) == 200 && header(&redirect, "x-ratelimit-limit").is_none());
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_except_where_one_logs_in() {
    let gateway = start(inputs(all_in_process(), Some(builtin(At::InProcess)))).await;
    let bad = "Authorization: Bearer abc.def.ghi\r\n";
    let refused = get(gateway.address, "/v1/core/users/me", bad).await;
    assert_eq!(status(&refused), 401);
    assert!(
        header(&refused, "www-authenticate").is_some() && header(&refused, "x-ratelimit-limit") == Some("100"),
        "{refused}"
    );
    assert_eq!(status(&get(gateway.address, "/v1/core/auth/login", bad).await), 200);
    assert_eq!(status(&get(gateway.address, "/v1/links/graphql", bad).await), 200);
}

#[tokio::test]
async fn a_killed_copy_costs_no_idempotent_request() {
    let ((first, kill), (second, _keep)) = (origin(echo("one")).await, origin(echo("two")).await);
    let mut builtin = builtin(At::Urls(vec![format!("http://{first}"), format!("http://{second}")]));
    builtin.media_rate = None;
    let gateway = start(inputs(Vec::new(), Some(builtin))).await;
    let address = gateway.address;
    let clients = (0..8).map(|_| {
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..60 {
                seen.push(get(address, "/v1/media/assets", "").await);
            }
            seen
        })
    });
    let clients: Vec<_> = clients.collect();
    tokio::time::sleep(Duration::from_millis(30)).await;
    kill.cancel();
    let mut by_two = 0;
    for client in clients {
        for answer in client.await.expect("client") {
            assert_eq!(status(&answer), 200, "{answer}");
            by_two += usize::from(answer.contains("two GET"));
        }
    }
    assert!(by_two > 240, "{by_two}");
}

#[tokio::test]
async fn nobody_there_is_502_or_503_as_a_problem() {
    let gateway = start(inputs(
        Vec::new(),
        Some(builtin(At::Urls(vec!["http://127.0.0.1:9".into()]))),
    ))
    .await;
    let answer = get(gateway.address, "/l/x", "").await;
    assert!(
        status(&answer) == 502 && answer.contains("UPSTREAM_UNREACHABLE"),
        "{answer}"
    );
    let health = get(gateway.address, "/health", "").await;
    assert!(
        status(&health) == 503
            && health.contains("\"status\":\"degraded\"")
            && header(&health, "retry-after").is_some(),
        "{health}"
    );
}

#[tokio::test]
async fn health_names_every_service_and_what_they_stand_on() {
    let service = |name: &'static str| {
        let health = move || async move {
            let check = |name: &str| Check {
                name: name.into(),
                status: Status::Healthy,
                latency_ms: 0.2,
                error: None,
            };
            Health::of(name, vec![check("database"), check("store")])
        };
        (
            name.to_owned(),
            Router::new().route(&format!("/v1/{name}/health"), any(health)),
        )
    };
    let services = vec![service("core"), service("media"), service("links")];
    let gateway = start(inputs(services, Some(builtin(At::InProcess)))).await;
    let answer = get(gateway.address, "/health", "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    for name in ["core", "media", "links", "database", "store", "gateway"] {
        assert!(answer.contains(&format!("\"service\":\"{name}\"")), "{name}: {answer}");
    }
}

fn websocket_echo() -> Router {
    let handler = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Text(text) = message {
                    socket.send(Message::Text(text)).await.expect("send");
                }
            }
        })
    };
    Router::new().fallback(any(handler))
}

#[tokio::test]
async fn websockets_pass_in_process_and_to_remote_servers() {
    let (remote, _keep) = origin(websocket_echo()).await;
    let in_process = builtin(At::InProcess);
    let over_network = builtin(At::Urls(vec![format!("http://{remote}")]));
    let services = vec![
        ("links".to_owned(), websocket_echo()),
        ("core".to_owned(), echo("core")),
        ("media".to_owned(), echo("media")),
    ];
    for inputs in [
        inputs(services, Some(in_process)),
        inputs(Vec::new(), Some(over_network)),
    ] {
        let gateway = start(inputs).await;
        let url = format!("ws://{}/v1/links/v1/graphql", gateway.address);
        let stream = tokio::net::TcpStream::connect(gateway.address).await.expect("connect");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("handshake");
        for text in ["hello", "world"] {
            socket
                .send(tokio_tungstenite::tungstenite::Message::text(text))
                .await
                .expect("send");
            let back = socket.next().await.expect("message").expect("frame");
            assert_eq!(back.into_text().expect("text").as_str(), text);
        }
    }
}

#[tokio::test]
async fn a_reload_changes_routes_and_keeps_the_counts() {
    let (one, _keep) = origin(echo("one")).await;
    let gateway = start(inputs(Vec::new(), None)).await;
    let config = |prefix: &str| {
        let text = format!(
            "http:\n  routers:\n    r: {{rule: 'PathPrefix(`{prefix}`)', service: s, middlewares: [lim]}}\n  services:\n    s: {{loadBalancer: {{servers: [{{url: 'http://{one}'}}]}}}}\n  middlewares:\n    lim: {{rateLimit: {{average: 1, period: 1h, burst: 3}}}}\n"
        );
        model::Dynamic::read(&model::text::yaml("test.yml", &text).expect("yaml")).expect("valid")
    };
    gateway.control.apply("file", config("/a"));
    assert_eq!(status(&get(gateway.address, "/a", "").await), 200);
    assert_eq!(status(&get(gateway.address, "/a", "").await), 200);
    gateway.control.apply("file", config("/b"));
    assert_eq!(status(&get(gateway.address, "/a", "").await), 404);
    assert_eq!(status(&get(gateway.address, "/b", "").await), 200);
    assert_eq!(status(&get(gateway.address, "/b", "").await), 429);
}

#[tokio::test]
async fn no_request_fails_while_the_configuration_is_replaced() {
    let ((one, _a), (two, _b)) = (origin(echo("one")).await, origin(echo("two")).await);
    let gateway = start(inputs(Vec::new(), None)).await;
    let config = |round: usize| {
        let url = if round.is_multiple_of(2) { one } else { two };
        let text = format!(
            "http:\n  routers:\n    r: {{rule: 'PathPrefix(`/`)', service: s, priority: {}}}\n  services:\n    s: {{loadBalancer: {{servers: [{{url: 'http://{url}'}}]}}}}\n",
            round + 1
        );
        model::Dynamic::read(&model::text::yaml("test.yml", &text).expect("yaml")).expect("valid")
    };
    gateway.control.apply("file", config(0));
    let address = gateway.address;
    let client = tokio::spawn(async move {
        let mut statuses = Vec::new();
        for _ in 0..300 {
            statuses.push(status(&get(address, "/x", "").await));
        }
        statuses
    });
    for round in 1..500 {
        gateway.control.apply("file", config(round));
        tokio::task::yield_now().await;
    }
    let statuses = client.await.expect("client");
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test]
async fn the_admin_entrypoint_shows_metrics_and_configuration() {
    let settings = Settings {
        entry_points: vec![
            EntryPoint::new("web", "127.0.0.1:0"),
            EntryPoint::new("traefik", "127.0.0.1:0"),
        ],
        admin: Some(Admin::whole("traefik")),
        ..Settings::default()
    };
    let gateway = gateway::open(settings, inputs(all_in_process(), Some(builtin(At::InProcess))))
        .await
        .expect("gateway");
    let (web, admin) = (gateway.addresses()[0].1, gateway.addresses()[1].1);
    let stop = tokio_util::sync::CancellationToken::new();
    for (_, task) in gateway.tasks(&stop) {
        tokio::spawn(task);
    }
    assert_eq!(status(&get(web, "/l/x", "").await), 200);
    assert!(get(admin, "/ping", "").await.ends_with("OK"));
    let metrics = get(admin, "/metrics", "").await;
    for line in [
        "traefik_entrypoint_requests_total{code=\"200\",method=\"GET\",protocol=\"http\",entrypoint=\"web\"} 1",
        "traefik_router_requests_total{code=\"200\",method=\"GET\",protocol=\"http\",router=\"redirect@internal\",service=\"links@internal\"} 1",
        "traefik_config_reloads_total 1",
        "traefik_open_connections{entrypoint=\"web\",protocol=\"TCP\"}",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let routers = get(admin, "/api/http/routers/core@internal", "").await;
    assert!(
        routers.contains("\"status\":\"enabled\"") && routers.contains("PathPrefix(`/v1/core/`)"),
        "{routers}"
    );
    assert_eq!(status(&get(web, "/api/rawdata", "").await), 404);
    stop.cancel();
}
