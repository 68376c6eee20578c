//! Services: what is tried anew, who is left out, which server a client gets.

use super::{Lone, Origin};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use portico_tests::python;
use std::{
    collections::HashSet,
    convert::Infallible,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

/// Answers with its status and its name, and counts.
struct Server {
    address: String,
    status: AtomicU16,
    asked: AtomicUsize,
}

async fn server(name: &'static str, status: u16) -> Arc<Server> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = Arc::new(Server {
        address: listener.local_addr().expect("an address").to_string(),
        status: AtomicU16::new(status),
        asked: AtomicUsize::new(0),
    });
    let kept = server.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = kept.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let server = server.clone();
                async move {
                    server.asked.fetch_add(1, SeqCst);
                    let body = request.into_body().collect().await.expect("a body").to_bytes();
                    let text = format!("{name} {}", String::from_utf8_lossy(&body));
                    let mut response = Response::new(Full::<Bytes>::from(text));
                    *response.status_mut() = server.status.load(SeqCst).try_into().expect("a status");
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    server
}

fn routed(middlewares: &str, services: &str) -> String {
    format!(
        "http:
  routers:
    all: {{rule: 'PathPrefix(`/`)', service: s, middlewares: [m]}}
  middlewares:
    m: {middlewares}
  services:
{services}
"
    )
}

fn balanced(servers: &[&Arc<Server>], more: &str) -> String {
    let urls: Vec<String> = servers
        .iter()
        .map(|server| format!("{{url: 'http://{}'}}", server.address))
        .collect();
    format!("    s: {{loadBalancer: {{servers: [{}]{more}}}}}", urls.join(", "))
}

#[tokio::test]
async fn an_answer_is_tried_anew_within_the_budget() {
    let (bad, good) = (server("bad", 503).await, server("good", 200).await);
    let retry = "{retry: {attempts: 3, status: ['500-504'], maxRequestBodyBytes: 100, retryNonIdempotentMethod: true}}";
    let gateway = Lone::start(&routed(retry, &balanced(&[&bad, &good], "")), &[]);
    let client = gateway.client();
    for _ in 0..5 {
        let answer = client.get("/").await.expect(200);
        assert!(answer.text().starts_with("good"));
    }
    let posted = client
        .send(Method::POST, "/", "the body", Some("text/plain"))
        .await
        .expect(200);
    assert_eq!(posted.text(), "good the body", "the body was sent again, whole");
    // A server that always fails is asked a fifth more often than clients ask, and a few times in reserve.
    good.status.store(503, SeqCst);
    let before = bad.asked.load(SeqCst) + good.asked.load(SeqCst);
    for _ in 0..100 {
        client.get("/").await.expect(503);
    }
    let asked = bad.asked.load(SeqCst) + good.asked.load(SeqCst) - before;
    assert!((110..=135).contains(&asked), "{asked} for 100 requests");
}

#[tokio::test]
async fn a_server_that_fails_too_often_is_left_out_for_a_while() {
    let (bad, good) = (server("bad", 500).await, server("good", 200).await);
    let passive = ", passiveHealthCheck: {failureWindow: 1s, maxFailedAttempts: 3}";
    let gateway = Lone::start(
        &routed("{chain: {middlewares: []}}", &balanced(&[&bad, &good], passive)),
        &[],
    );
    let client = gateway.client();
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(client.get("/").await.status.as_u16());
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 500).count(),
        3,
        "{statuses:?}"
    );
    assert_eq!(bad.asked.load(SeqCst), 3);
    bad.status.store(200, SeqCst);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for _ in 0..4 {
        client.get("/").await.expect(200);
    }
    assert!(bad.asked.load(SeqCst) > 3, "it was put back");
}

#[tokio::test]
async fn a_client_stays_with_its_service() {
    let (one, two) = (server("one", 200).await, server("two", 200).await);
    let services = format!(
        "    s: {{highestRandomWeight: {{services: [{{name: a, weight: 1}}, {{name: b, weight: 1}}]}}}}
    a: {{loadBalancer: {{servers: [{{url: 'http://{}'}}]}}}}
    b: {{loadBalancer: {{servers: [{{url: 'http://{}'}}]}}}}",
        one.address, two.address
    );
    let gateway = Lone::start(&routed("{chain: {middlewares: []}}", &services), &[]);
    let mut said = HashSet::new();
    for _ in 0..20 {
        said.insert(gateway.client().get("/").await.expect(200).text());
    }
    assert_eq!(said.len(), 1, "{said:?}");
}

#[tokio::test]
async fn health_is_asked_by_grpc_and_at_another_port() {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "clients", "grpc_echo.py"].iter().collect();
    let mut command = Command::new(python());
    command.arg(script).arg("serve");
    let healthy = Origin::start(command);
    let (served, sick) = (server("served", 200).await, server("sick", 503).await);
    let grpc = format!(
        ", healthCheck: {{mode: grpc, scheme: h2c, port: {}, interval: 100ms, timeout: 2s}}",
        healthy.port
    );
    let gateway = Lone::start(&routed("{chain: {middlewares: []}}", &balanced(&[&served], &grpc)), &[]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    gateway.client().get("/").await.expect(200);

    let port = sick.address.rsplit(':').next().expect("a port");
    let other = format!(", healthCheck: {{path: /health, port: {port}, interval: 100ms}}");
    gateway.configure(&routed("{chain: {middlewares: []}}", &balanced(&[&served], &other)));
    let mut status = 200;
    for _ in 0..50 {
        let answer = gateway.client().get("/").await;
        status = answer.status.as_u16();
        if status == 503 {
            assert!(answer.header("retry-after").parse::<u32>().is_ok());
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status, 503, "the check at the other port found it sick");
    sick.status.store(200, SeqCst);
    for _ in 0..50 {
        if gateway.client().get("/").await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it was not put back");
}
