//! GraphQL over server-sent events, and over HTTP as its specification has it.

use super::{Engine, SECRET};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An event stream, read as it comes.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    async fn open(address: &str, query: &str) -> Self {
        let body = json!({ "query": query }).to_string();
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = format!(
            "POST /v1/graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nx-hasura-admin-secret: {SECRET}\r\n\
             accept-encoding: gzip\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let text = String::new();
        Events { stream, text }
    }

    /// The next event: its name and data.
    async fn next(&mut self) -> (String, Value) {
        loop {
            let begin = self.text.find("event: ");
            let found = begin.and_then(|at| Some((at, self.text[at..].find("\n\n")?)));
            if let Some((at, length)) = found {
                let event = self.text[at..at + length].to_owned();
                self.text = self.text[at + length..].to_owned();
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name)).unwrap_or_default()
                };
                let data = serde_json::from_str(field("data: ")).unwrap_or_default();
                return (field("event: ").to_owned(), data);
            }
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut bytes)).await;
            let read = read.expect("an event in time").expect("a connection");
            assert!(read > 0, "the stream ended: {}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
}

#[tokio::test]
async fn a_subscription_is_a_stream_of_events() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let mut events = Events::open(&engine.address, "subscription { author(order_by: {id: asc}) { name } }").await;
    let (name, first) = events.next().await;
    assert_eq!(
        (name.as_str(), &first["data"]["author"][1]["name"]),
        ("next", &json!("Bob")),
        "{first}"
    );
    engine.sql("update author set name = 'Bea' where id = 2").await;
    assert_eq!(events.next().await.1["data"]["author"][1]["name"], "Bea");

    let mut events = Events::open(&engine.address, "{ author(where: {id: {_eq: 1}}) { name } }").await;
    assert_eq!(events.next().await.1, json!({"data": {"author": [{"name": "Ada"}]}}));
    assert_eq!(events.next().await.0, "complete");
    let mut events = Events::open(&engine.address, "subscription { nothing }").await;
    let (name, told) = events.next().await;
    assert_eq!(
        (name.as_str(), &told["errors"][0]["extensions"]["code"]),
        ("next", &json!("validation-failed")),
        "{told}"
    );
    assert_eq!(events.next().await.0, "complete");

    // By URL as browsers ask, and nothing is changed that way.
    let asking = engine.admin().with("accept", "text/event-stream");
    let answer = asking.get("/v1/graphql?query=%7Bauthor%7Bname%7D%7D").await.expect(200);
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert!(String::from_utf8_lossy(&answer.body).contains("event: complete"));
    asking
        .get("/v1/graphql?query=mutation%7Bdelete_author(where:%7B%7D)%7Baffected_rows%7D%7D")
        .await
        .expect(400);
}

#[tokio::test]
async fn who_accepts_a_graphql_response_is_told_by_the_status_whether_it_is_one() {
    let engine = Engine::start(&[]).await;
    engine.library().await;
    let asking = engine
        .admin()
        .with("accept", "application/graphql-response+json, application/json;q=0.9");
    let good = asking
        .post("/v1/graphql", &json!({"query": "{ author { name } }"}))
        .await
        .expect(200);
    assert_eq!(
        good.headers["content-type"],
        "application/graphql-response+json; charset=utf-8"
    );
    let wrong = asking
        .post("/v1/graphql", &json!({"query": "{ nothing }"}))
        .await
        .expect(400);
    assert_eq!(wrong.json()["errors"][0]["extensions"]["code"], "validation-failed");
    // As Hasura answers everybody else.
    engine
        .admin()
        .post("/v1/graphql", &json!({"query": "{ nothing }"}))
        .await
        .expect(200);
}
