//! `/l/{slug}`: redirects and clicks.

mod analytics;
mod belongings;
mod manage;
mod options;
mod pipeline;

use portico_tests::{Shape, Stack, database::Database};
use serde_json::json;
use std::time::Duration;
use tokio_postgres::Client;

async fn add(client: &Client, slug: &str, target: &str, active: bool) {
    client
        .execute(
            "insert into links.links (slug, target_url, is_active) values ($1, $2, $3)",
            &[&slug, &target, &active],
        )
        .await
        .expect("a link");
}

/// (rows, the number on the link)
pub async fn clicks(client: &Client, slug: &str) -> (i64, i32) {
    let row = client
        .query_one(
            "select (select count(*) from links.clicks where link_id = links.id), clicks from links.links where slug = $1",
            &[&slug],
        )
        .await
        .expect("a count");
    (row.get(0), row.get(1))
}

pub async fn await_clicks(client: &Client, slug: &str, expected: i64) {
    for _ in 0..100 {
        if clicks(client, slug).await.0 >= expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        clicks(client, slug).await,
        (expected, expected as i32),
        "rows and number of {slug}"
    );
}

#[tokio::test]
async fn a_link_is_followed_and_every_click_counted_once() {
    let stack = Stack::start(Shape::OneProcess).await;
    let database = Database::connect(&stack.database_url()).await;
    // What a stranger says of itself does not count.
    let client = stack
        .client()
        .with("user-agent", "road test")
        .with("x-forwarded-for", "203.0.113.9")
        .with("x-real-ip", "203.0.113.9")
        .with("forwarded", "for=203.0.113.9");
    client.get("/l/hello").await.problem(404, "LINK_NOT_FOUND");
    add(&database, "hello", "https://example.org/there?a=b", true).await;
    // The negative answer above was remembered until the database told of the new link.
    for _ in 0..50 {
        if client.send(http::Method::HEAD, "/l/hello", "", None).await.status == 302 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..3 {
        let answer = client.get("/l/hello").await.expect(302);
        assert_eq!(answer.header("location"), "https://example.org/there?a=b");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    await_clicks(&database, "hello", 3).await;
    let row = database
        .query_one(
            "select user_agent, host(ip_address), referer from links.clicks limit 1",
            &[],
        )
        .await
        .expect("a click");
    assert_eq!(row.get::<_, Option<&str>>(0), Some("road test"));
    assert_eq!(row.get::<_, Option<&str>>(1), Some("127.0.0.1"));
    assert_eq!(row.get::<_, Option<&str>>(2), None);
}

#[tokio::test]
async fn changed_links_take_effect_without_waiting() {
    let stack = Stack::start(Shape::OneProcess).await;
    let database = Database::connect(&stack.database_url()).await;
    let client = stack.client();
    add(&database, "moving", "https://example.org/one", true).await;
    client.get("/l/moving").await.expect(302);
    database
        .batch_execute("update links.links set target_url = 'https://example.org/two'")
        .await
        .expect("a change");
    let moved = |answer: portico_tests::Answer| answer.header("location") == "https://example.org/two";
    await_true(async || moved(client.get("/l/moving").await)).await;
    database
        .batch_execute("update links.links set is_active = false")
        .await
        .expect("a change");
    await_true(async || client.get("/l/moving").await.status == 404).await;
}

pub async fn await_true(check: impl AsyncFn() -> bool) {
    for _ in 0..100 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not happen within two seconds");
}

#[tokio::test]
async fn only_web_addresses_and_sane_slugs_can_be_stored() {
    let stack = Stack::start(Shape::OneProcess).await;
    let database = Database::connect(&stack.database_url()).await;
    for (slug, target) in [
        ("a", "javascript:alert(1)"),
        ("a", "data:text/html,x"),
        ("a", "//example.org"),
        ("a", "https://a/\r\nSet-Cookie: x"),
        ("a/b", "https://example.org"),
        ("", "https://example.org"),
        ("ä", "https://example.org"),
    ] {
        let refused = database
            .execute(
                "insert into links.links (slug, target_url) values ($1, $2)",
                &[&slug, &target],
            )
            .await;
        assert!(refused.is_err(), "{slug} {target}");
    }
    for slug in ["nothing", "%20", "a%20b", "%C3%A4"] {
        stack
            .client()
            .get(&format!("/l/{slug}"))
            .await
            .problem(404, "LINK_NOT_FOUND");
    }
}

#[tokio::test]
async fn every_answered_click_survives_a_kill_exactly_once() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    {
        let database = Database::connect(&stack.database_url()).await;
        add(&database, "busy", "https://example.org", true).await;
    }
    let mut answered = 0;
    for _ in 0..2 {
        let clickers: Vec<_> = (0..4)
            .map(|_| {
                let client = stack.client();
                tokio::spawn(async move {
                    let mut answered = 0_i64;
                    while let Ok(answer) = client.try_send(http::Method::GET, "/l/busy", "", None).await {
                        answered += i64::from(answer.status == 302);
                    }
                    answered
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(1300)).await;
        stack.take("up").kill();
        for clicker in clickers {
            answered += clicker.await.expect("a clicker");
        }
        stack.up();
    }
    assert!(answered > 100, "{answered}");
    let database = Database::connect(&stack.database_url()).await;
    // A click written down whose answer the kill swallowed is there too: at most one per clicker and kill.
    for _ in 0..100 {
        if clicks(&database, "busy").await.0 >= answered {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (rows, number) = clicks(&database, "busy").await;
    assert!(
        (answered..=answered + 8).contains(&rows),
        "{answered} answered, {rows} rows"
    );
    assert_eq!(rows, i64::from(number));
}

/// Step 3 of the road, whatever the shape: make a link by GraphQL, follow it, count the clicks; others see none of it.
pub async fn walk(stack: &Stack) {
    let anybody = stack.client();
    let ada = anybody.bearer(&crate::core::token(&anybody, "links@example.org").await);
    let bob = anybody.bearer(&crate::core::token(&anybody, "other@example.org").await);
    let make =
        "mutation ($link: links_links_insert_input!) { insert_links_links_one(object: $link) { id slug clicks } }";
    for (slug, active) in [("road", true), ("closed", false)] {
        let link = json!({ "link": { "slug": slug, "target_url": "https://example.org/", "is_active": active } });
        let made = ada.graphql(make, link).await;
        assert_eq!(made["data"]["insert_links_links_one"]["slug"], slug, "{made}");
    }
    for _ in 0..3 {
        anybody.get("/l/road").await.expect(302);
    }
    let query = "{
        links_links(order_by: {slug: asc}) { slug clicks }
        links_clicks { user_agent }
        links_clicks_aggregate { aggregate { count } }
    }";
    let mut seen = json!(null);
    for _ in 0..100 {
        seen = ada.graphql(query, json!({})).await;
        if seen["data"]["links_clicks_aggregate"]["aggregate"]["count"] == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        seen["data"]["links_links"],
        json!([{ "slug": "closed", "clicks": 0 }, { "slug": "road", "clicks": 3 }]),
        "{seen}"
    );
    assert_eq!(seen["data"]["links_clicks"].as_array().map(Vec::len), Some(3), "{seen}");
    let nothing =
        json!({ "links_links": [], "links_clicks": [], "links_clicks_aggregate": { "aggregate": { "count": 0 } } });
    assert_eq!(bob.graphql(query, json!({})).await["data"], nothing);
    let public = anybody.graphql("{ links_links { slug target_url } }", json!({})).await;
    assert_eq!(
        public["data"]["links_links"],
        json!([{ "slug": "road", "target_url": "https://example.org/" }])
    );
    for hidden in [
        "{ links_links { clicks } }",
        "{ links_links { user_id } }",
        "{ links_clicks { id } }",
    ] {
        let refused = anybody.graphql(hidden, json!({})).await;
        assert_eq!(
            refused["errors"][0]["extensions"]["code"], "validation-failed",
            "{refused}"
        );
    }
}
