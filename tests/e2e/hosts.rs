//! Hosts that are wholly ours: short-link domains and the CDN's.

use crate::{core::token, media::photo};
use portico_tests::{Shape, Stack, database::Database};

const SETTINGS: [(&str, &str); 2] = [
    ("PORTICO_SHORT_DOMAINS", "s.test,go.test"),
    ("PORTICO_CDN_DOMAIN", "cdn.test"),
];

#[tokio::test]
async fn the_hosts_are_served_in_one_process() {
    walk(&Stack::start_with(Shape::OneProcess, &SETTINGS).await).await;
}

#[tokio::test]
async fn the_hosts_are_served_by_processes_of_their_own() {
    walk(&Stack::start_with(Shape::FourProcesses, &SETTINGS).await).await;
}

async fn walk(stack: &Stack) {
    let client = stack.client();
    let database = Database::connect(&stack.database_url()).await;
    database
        .execute(
            "insert into links.links (slug, target_url) values ('here', 'https://example.org/there')",
            &[],
        )
        .await
        .expect("a link");
    for host in ["s.test", "go.test", "S.TEST"] {
        let short = client.with("host", host);
        let answer = short.get("/here").await.expect(302);
        assert_eq!(answer.header("location"), "https://example.org/there");
        short.get("/nowhere").await.problem(404, "LINK_NOT_FOUND");
        // The host shows links and nothing of the platform.
        short.get("/v1/core/users/me").await.problem(404, "NOT_FOUND");
    }
    client
        .with("host", "else.test")
        .get("/here")
        .await
        .problem(404, "ROUTE_NOT_FOUND");

    let ada = client.bearer(&token(&client, "ada@example.org").await);
    let asset = ada
        .upload("/v1/media/upload", "photo.jpg", "image/jpeg", &photo())
        .await
        .expect(201)
        .json();
    let list = ada.get("/v1/media/assets").await.expect(200).json();
    let key = list["assets"][0]["key"].as_str().expect("a key");
    assert!(asset["url"].as_str().expect("a URL").contains("cdn.test"), "{asset}");
    let cdn = client.with("host", "cdn.test");
    let whole = cdn.get(&format!("/{key}")).await.expect(200);
    assert_eq!(whole.body, photo());
    let etag = whole.header("etag").to_owned();
    cdn.with("if-none-match", &etag)
        .get(&format!("/{key}"))
        .await
        .expect(304);
    let part = cdn.with("range", "bytes=5-9").get(&format!("/{key}")).await.expect(206);
    assert_eq!(part.body, photo()[5..10]);
    cdn.get("/nothing/here").await.expect(404);
}
