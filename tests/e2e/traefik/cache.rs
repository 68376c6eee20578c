//! Answers kept by the gateway (RFC 9111), as the origin behind it sees it.

use super::Lone;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use portico_tests::Answer;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

#[derive(Default)]
struct Origin {
    asked: AtomicUsize,
    fails: AtomicBool,
}

impl Origin {
    /// The path says what the answer's headers are.
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let number = self.asked.fetch_add(1, SeqCst) + 1;
        if self.fails.load(SeqCst) {
            let mut response = Response::new(Full::from("broken"));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            return response;
        }
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or("")
        };
        let builder = Response::builder();
        let builder = match request.uri().path() {
            "/minute" | "/slow" => builder.header("cache-control", "max-age=60"),
            "/etag" => builder.header("cache-control", "max-age=0").header("etag", "\"one\""),
            "/vary" => builder
                .header("cache-control", "max-age=60")
                .header("vary", "accept-language"),
            "/private" => builder.header("cache-control", "private, max-age=60"),
            "/cookie" => builder
                .header("cache-control", "max-age=60")
                .header("set-cookie", "a=b"),
            "/error" => builder
                .header("cache-control", "max-age=0, stale-if-error=60")
                .header("etag", "\"one\""),
            _ => builder,
        };
        if request.uri().path() == "/etag" && header("if-none-match").contains("\"one\"") {
            return builder.status(304).body(Full::default()).expect("an answer");
        }
        if request.uri().path() == "/slow" {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let body = match request.uri().path() {
            "/large" => {
                return builder
                    .header("cache-control", "max-age=60")
                    .body(Full::from("x".repeat(200_000)))
                    .expect("an answer");
            }
            "/vary" => format!("{number} {}", header("accept-language")),
            _ => number.to_string(),
        };
        builder.body(Full::from(body)).expect("an answer")
    }
}

async fn start() -> (Arc<Origin>, Lone) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let origin = Arc::new(Origin::default());
    let kept = origin.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let origin = kept.clone();
            let answer = service_fn(move |request| {
                let origin = origin.clone();
                async move { Ok::<_, Infallible>(origin.answer(request).await) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    let gateway = Lone::start(
        &format!(
            "http:
  routers:
    all: {{rule: 'PathPrefix(`/`)', service: origin, middlewares: [kept]}}
  middlewares:
    kept: {{cache: {{maxBytes: 10000000, maxEntryBytes: 100000}}}}
  services:
    origin: {{loadBalancer: {{servers: [{{url: 'http://{address}'}}]}}}}
"
        ),
        &[],
    );
    (origin, gateway)
}

fn how(answer: &Answer) -> &str {
    answer.header("cache-status")
}

#[tokio::test]
async fn a_fresh_answer_is_used_again_and_an_unsafe_method_ends_it() {
    let (origin, gateway) = start().await;
    let client = gateway.client();
    let first = client.get("/minute").await.expect(200);
    assert_eq!(
        (first.text().as_str(), how(&first)),
        ("1", "portico; fwd=uri-miss; stored")
    );
    let second = client.get("/minute").await.expect(200);
    assert_eq!(second.text(), "1");
    assert!(how(&second).starts_with("portico; hit; ttl="), "{}", how(&second));
    assert!(second.header("age").parse::<u64>().is_ok());
    let head = client.send(Method::HEAD, "/minute", "", None).await.expect(200);
    assert!(how(&head).starts_with("portico; hit"), "{}", how(&head));
    assert_eq!(
        client.get("/minute?x=1").await.text(),
        "2",
        "another URL is another answer"
    );
    assert_eq!(
        client.with("cache-control", "no-cache").get("/minute").await.text(),
        "3"
    );
    assert_eq!(client.get("/minute").await.text(), "3");
    client.send(Method::POST, "/minute", "{}", None).await.expect(200);
    assert_eq!(client.get("/minute").await.text(), "5");
    assert_eq!(origin.asked.load(SeqCst), 5);
}

#[tokio::test]
async fn what_is_for_one_visitor_or_too_large_is_not_kept() {
    let (_, gateway) = start().await;
    let client = gateway.client();
    for path in ["/private", "/cookie", "/plain", "/large"] {
        client.get(path).await.expect(200);
        let again = client.get(path).await.expect(200);
        assert!(!how(&again).contains("hit"), "{path}: {}", how(&again));
    }
    // With credentials only what the server says may be shared.
    let known = client.bearer("somebody");
    known.get("/minute").await.expect(200);
    assert!(!how(&known.get("/minute").await).contains("hit"));
    let part = client.with("range", "bytes=0-1").get("/minute").await;
    assert_eq!(how(&part), "portico; fwd=bypass");
}

#[tokio::test]
async fn a_stale_answer_is_validated_and_forms_are_kept_apart() {
    let (origin, gateway) = start().await;
    let client = gateway.client();
    assert_eq!(client.get("/etag").await.text(), "1");
    let validated = client.get("/etag").await.expect(200);
    assert_eq!(validated.text(), "1");
    assert_eq!(how(&validated), "portico; hit; fwd=stale; fwd-status=304");
    client.with("if-none-match", "\"one\"").get("/etag").await.expect(304);
    let asked = origin.asked.load(SeqCst);

    let (german, french) = (
        client.with("accept-language", "de"),
        client.with("accept-language", "fr"),
    );
    let (one, two) = (german.get("/vary").await.text(), french.get("/vary").await.text());
    assert_ne!(one, two);
    for _ in 0..2 {
        assert_eq!(german.get("/vary").await.text(), one);
        assert_eq!(french.get("/vary").await.text(), two);
    }
    assert_eq!(origin.asked.load(SeqCst), asked + 2);
}

#[tokio::test]
async fn many_askers_cause_one_fetch_and_a_failing_server_is_covered() {
    let (origin, gateway) = start().await;
    let client = gateway.client();
    let asking = (0..20).map(|_| client.get("/slow"));
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(|answer| answer.text() == "1"));
    assert_eq!(origin.asked.load(SeqCst), 1);

    assert_eq!(client.get("/error").await.text(), "2");
    origin.fails.store(true, SeqCst);
    let covered = client.get("/error").await.expect(200);
    assert_eq!(covered.text(), "2");
    assert!(how(&covered).contains("stale-if-error"), "{}", how(&covered));
    client.get("/etag").await.expect(502);
}
