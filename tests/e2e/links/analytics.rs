//! `/v1/links/analytics`: what is counted is what was clicked.

use super::{
    await_clicks,
    options::{FIREFOX, make},
};
use crate::core::token;
use portico_tests::{Receiver, Shape, Stack, database::Database};
use serde_json::json;

#[tokio::test]
async fn answers_shares_and_hooks_tell_of_the_same_clicks() {
    let stack = Stack::start_with(Shape::OneProcess, &[("PORTICO_FETCH_ALLOW", "127.0.0.1")]).await;
    let database = Database::connect(&stack.database_url()).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let bob = stack.client().bearer(&token(&stack.client(), "bob@example.org").await);
    let link = make(&ada, json!({ "slug": "seen", "target_url": "https://example.org" })).await;
    let id = link["id"].as_str().expect("an id");
    let receiver = Receiver::start().await;
    let hook = json!({ "link_id": id, "url": format!("{}/each", receiver.url) });
    ada.post("/v1/links/hooks", &hook).await.expect(201);
    let threshold = json!({ "link_id": id, "url": format!("{}/reached", receiver.url), "threshold": 2 });
    ada.post("/v1/links/hooks", &threshold).await.expect(201);
    bob.post("/v1/links/hooks", &hook).await.problem(404, "NOT_FOUND");
    let firefox = stack
        .client()
        .with("user-agent", FIREFOX)
        .with("accept-language", "de-AT,de;q=0.9");
    firefox
        .with("referer", "https://www.google.com/")
        .get("/l/seen?utm_source=news")
        .await
        .expect(302);
    firefox
        .with("referer", "https://chatgpt.com/")
        .get("/l/seen")
        .await
        .expect(302);
    stack
        .client()
        .with("user-agent", "curl/8.0")
        .get("/l/seen")
        .await
        .expect(302);
    await_clicks(&database, "seen", 3).await;
    let ask = async |client: &portico_tests::Client, query: &str| {
        client
            .get(&format!("/v1/links/analytics?{query}"))
            .await
            .expect(200)
            .json()
    };
    assert_eq!(ask(&ada, "").await["points"], json!([{ "count": 3, "bots": 1 }]));
    assert_eq!(
        ask(&ada, &format!("link_id={id}&people_only=true")).await["points"][0]["count"],
        2
    );
    assert_eq!(ask(&ada, "metric=visitors").await["points"][0]["count"], 1);
    let classes = ask(&ada, "group_by=referrer_class").await["points"].clone();
    assert_eq!(
        classes,
        json!([
            { "value": "ai", "count": 1, "bots": 0 },
            { "value": "direct", "count": 1, "bots": 1 },
            { "value": "search", "count": 1, "bots": 0 },
        ])
    );
    assert_eq!(
        ask(&ada, "utm_source=news&browser=Firefox&language=de-AT").await["points"][0]["count"],
        1
    );
    let days = ask(&ada, &format!("link_id={id}&interval=day&timezone=Europe/Vienna")).await;
    assert_eq!(days["points"].as_array().map(Vec::len), Some(1), "{days}");
    assert_eq!(ask(&bob, "").await["points"], json!([{ "count": 0, "bots": 0 }]));
    assert_eq!(
        ask(&bob, &format!("link_id={id}")).await["points"],
        json!([{ "count": 0, "bots": 0 }])
    );
    ada.get("/v1/links/analytics?timezone=Mars/Base")
        .await
        .problem(422, "INVALID_FIELD");
    let points = "query ($link: uuid!) { links_link_clicks(args: {of_link: $link, unit: \"month\"}) { clicks bots link { slug } } }";
    let by_graphql = ada.graphql(points, json!({ "link": id })).await;
    assert_eq!(
        by_graphql["data"]["links_link_clicks"],
        json!([{ "clicks": 3, "bots": 1, "link": { "slug": "seen" } }]),
        "{by_graphql}"
    );
    assert_eq!(
        bob.graphql(points, json!({ "link": id })).await["data"]["links_link_clicks"],
        json!([])
    );
    let csv = ada.get("/v1/links/analytics/export?group_by=os").await.expect(200);
    assert!(csv.text().contains("Linux,2,0"), "{}", csv.text());

    bob.post("/v1/links/shares", &json!({ "link_id": id }))
        .await
        .problem(404, "NOT_FOUND");
    let share = ada
        .post("/v1/links/shares", &json!({ "link_id": id }))
        .await
        .expect(201)
        .json();
    let token = share["token"].as_str().expect("a token");
    let page = stack
        .client()
        .get(&format!("/v1/links/shared/{token}"))
        .await
        .expect(200);
    assert!(page.text().contains("google.com"), "{}", page.text());
    stack
        .client()
        .get("/v1/links/shared/nonsense")
        .await
        .problem(404, "NOT_FOUND");
    ada.delete(&format!("/v1/links/shares/{}", share["id"].as_str().expect("an id")))
        .await
        .expect(204);
    stack
        .client()
        .get(&format!("/v1/links/shared/{token}"))
        .await
        .problem(404, "NOT_FOUND");

    let told = receiver.wait(4).await;
    assert_eq!(told.iter().filter(|told| told.path == "/each").count(), 3);
    let reached = told
        .iter()
        .find(|told| told.path == "/reached")
        .expect("the threshold")
        .json();
    assert_eq!(
        (&reached["type"], &reached["threshold"]),
        (&json!("link.threshold"), &json!(2))
    );
    await_rollups(&database).await;
}

/// Every rollup is what a recount of the clicks gives.
pub async fn await_rollups(database: &tokio_postgres::Client) {
    for (name, rollup, recount) in [
        (
            "minutes",
            "select owner, minute, clicks::bigint, bots::bigint from links.rollup_owner_minutes",
            "select coalesce(l.organization_id, l.user_id, '00000000-0000-0000-0000-000000000000'), date_trunc('minute', clicked_at), count(*),
                 count(*) filter (where bot) from links.clicks c join links.links l on l.id = c.link_id group by 1, 2",
        ),
        (
            "link hours",
            "select link_id, hour, clicks::bigint, bots::bigint from links.rollup_link_hours",
            "select link_id, date_trunc('hour', clicked_at), count(*), count(*) filter (where bot) from links.clicks group by 1, 2",
        ),
        (
            "link days",
            "select link_id, day, value, clicks::bigint, bots::bigint from links.rollup_link_days where dimension = 'browser'",
            "select link_id, (clicked_at at time zone 'UTC')::date, coalesce(browser, ''), count(*), count(*) filter (where bot)
             from links.clicks group by 1, 2, 3",
        ),
        (
            "owner hours",
            "select owner, hour, value, clicks::bigint, bots::bigint from links.rollup_owner_hours where dimension = 'referrer_host'",
            "select coalesce(l.organization_id, l.user_id, '00000000-0000-0000-0000-000000000000'), date_trunc('hour', clicked_at),
                 coalesce(referrer_host, ''), count(*), count(*) filter (where bot)
             from links.clicks c join links.links l on l.id = c.link_id group by 1, 2, 3",
        ),
        (
            "links",
            "select id, clicks::bigint, bot_clicks::bigint from links.links where clicks > 0",
            "select link_id, count(*), count(*) filter (where bot) from links.clicks group by 1",
        ),
    ] {
        let differ = format!("select count(*) from (({rollup} except {recount}) union all ({recount} except {rollup})) as other");
        let row = database.query_one(&differ, &[]).await.expect("a comparison");
        assert_eq!(row.get::<_, i64>(0), 0, "{name}");
    }
}

#[tokio::test]
async fn clicks_are_streamed_as_they_come_to_their_owner_only() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = token(&stack.client(), "ada@example.org").await;
    let bob = token(&stack.client(), "bob@example.org").await;
    make(
        &stack.client().bearer(&ada),
        json!({ "slug": "live", "target_url": "https://example.org" }),
    )
    .await;
    let mut streams = Vec::new();
    for token in [&ada, &bob] {
        let mut stream = tokio::net::TcpStream::connect(stack.address())
            .await
            .expect("a connection");
        let request = format!(
            "GET /v1/links/analytics/stream HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n",
            stack.address()
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .expect("a request");
        streams.push(stream);
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    stack
        .client()
        .with("user-agent", FIREFOX)
        .get("/l/live")
        .await
        .expect(302);
    let mut heard = Vec::new();
    for mut stream in streams {
        let mut text = Vec::new();
        let until = tokio::time::Instant::now() + std::time::Duration::from_secs(3);
        let mut bytes = [0; 4096];
        while let Ok(Ok(count)) =
            tokio::time::timeout_at(until, tokio::io::AsyncReadExt::read(&mut stream, &mut bytes)).await
        {
            if count == 0 {
                break;
            }
            text.extend_from_slice(&bytes[..count]);
        }
        heard.push(String::from_utf8_lossy(&text).into_owned());
    }
    assert!(
        heard[0].contains("event: click") && heard[0].contains("Firefox"),
        "{}",
        heard[0]
    );
    assert!(
        heard[1].contains("200 OK") && !heard[1].contains("event: click"),
        "{}",
        heard[1]
    );
}
