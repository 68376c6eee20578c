//! What a link may want more than to lead somewhere.

use super::{await_clicks, await_true};
use crate::core::token;
use http::Method;
use portico_tests::{Client, Shape, Stack, database::Database};
use serde_json::{Value, json};

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1";
pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0";

pub async fn make(client: &Client, link: Value) -> Value {
    client.post("/v1/links/links", &link).await.expect(201).json()
}

async fn target(client: &Client, path: &str) -> (u16, String) {
    let answer = client.get(path).await;
    (answer.status.as_u16(), answer.header("location").to_owned())
}

#[tokio::test]
async fn rules_variants_queries_and_statuses_lead_elsewhere() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    make(
        &ada,
        json!({
            "slug": "ruled", "target_url": "https://example.org/all", "status": 307, "forward_query": true,
            "utm": { "source": "ours" },
            "rules": [
                { "target_url": "https://example.org/ios", "os": ["iOS"] },
                { "target_url": "https://example.org/de", "country": ["DE"], "language": ["de"] },
                { "target_url": "https://example.org/ref", "query": { "ref": "*" } },
                { "target_url": "https://example.org/home", "ip": ["127.0.0.0/8"], "until": "2001-01-01T00:00:00Z" },
            ],
        }),
    )
    .await;
    let firefox = stack.client().with("user-agent", FIREFOX);
    let phone = stack.client().with("user-agent", PHONE);
    assert_eq!(
        target(&phone, "/l/ruled").await,
        (307, "https://example.org/ios?utm_source=ours".into())
    );
    assert_eq!(
        target(&firefox, "/l/ruled?a=1&utm_source=x").await,
        (307, "https://example.org/all?utm_source=ours&a=1".into())
    );
    assert_eq!(
        target(&firefox, "/l/ruled?ref=1").await,
        (307, "https://example.org/ref?utm_source=ours&ref=1".into())
    );
    make(&ada, json!({
        "slug": "ab", "target_url": "https://example.org/",
        "variants": [{ "target_url": "https://example.org/a", "weight": 1 }, { "target_url": "https://example.org/b", "weight": 1 }],
    }))
    .await;
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..20 {
        let client = stack.client().with("user-agent", &format!("{FIREFOX} {number}"));
        let first = target(&client, "/l/ab").await;
        assert_eq!(first, target(&client, "/l/ab").await, "the choice sticks");
        seen.insert(first.1);
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    for bad in [
        json!({ "target_url": "javascript:alert(1)" }),
        json!({ "target_url": "https://a", "status": 303 }),
        json!({ "target_url": "https://a", "rules": [{ "target_url": "https://a", "colour": ["red"] }] }),
        json!({ "target_url": "https://a", "rules": [{ "target_url": "ftp://a" }] }),
        json!({ "target_url": "https://a", "variants": [{ "target_url": "https://a", "weight": 0 }] }),
        json!({ "target_url": "https://a", "utm": { "sauce": "x" } }),
        json!({ "target_url": "https://a", "starts_at": "2030-01-01T00:00:00Z", "expires_at": "2029-01-01T00:00:00Z" }),
    ] {
        assert_eq!(ada.post("/v1/links/links", &bad).await.status, 422, "{bad}");
    }
}

#[tokio::test]
async fn times_limits_and_looks_are_kept() {
    let stack = Stack::start(Shape::OneProcess).await;
    let database = Database::connect(&stack.database_url()).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let firefox = stack.client().with("user-agent", FIREFOX);
    make(
        &ada,
        json!({ "slug": "later", "target_url": "https://example.org/", "starts_at": "2100-01-01T00:00:00Z" }),
    )
    .await;
    firefox.get("/l/later").await.problem(404, "LINK_NOT_FOUND");
    make(
        &ada,
        json!({ "slug": "gone", "target_url": "https://example.org/", "expires_at": "2001-01-01T00:00:00Z" }),
    )
    .await;
    firefox.get("/l/gone").await.problem(410, "LINK_EXPIRED");
    make(&ada, json!({ "slug": "sale", "target_url": "https://example.org/", "expires_at": "2001-01-01T00:00:00Z", "expired_url": "https://example.org/over" })).await;
    assert_eq!(
        target(&firefox, "/l/sale").await,
        (302, "https://example.org/over".into())
    );

    make(
        &ada,
        json!({ "slug": "two", "target_url": "https://example.org/", "click_limit": 2 }),
    )
    .await;
    // Looks, prefetches, machines and previews are free.
    for _ in 0..3 {
        assert_eq!(firefox.send(Method::HEAD, "/l/two", "", None).await.status, 302);
        firefox.with("sec-purpose", "prefetch").get("/l/two").await.expect(302);
        stack
            .client()
            .with("user-agent", "Slackbot 1.0")
            .get("/l/two")
            .await
            .expect(302);
        firefox.get("/l/two+").await.expect(200);
    }
    firefox.get("/l/two").await.expect(302);
    firefox.get("/l/two").await.expect(302);
    firefox.get("/l/two").await.problem(410, "LINK_EXPIRED");
    // Three of a machine and two of a person.
    await_clicks(&database, "two", 5).await;
    let row = database
        .query_one("select bot_clicks, limit_used from links.links where slug = 'two'", &[])
        .await
        .expect("a row");
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (3, 2));

    make(
        &ada,
        json!({ "slug": "kept", "target_url": "https://example.org/", "strict": true, "cache_seconds": 60 }),
    )
    .await;
    let kept = firefox.get("/l/kept").await.expect(302);
    assert_eq!(kept.header("cache-control"), "public, max-age=60");
    await_clicks(&database, "kept", 1).await;
}

#[tokio::test]
async fn a_password_is_asked_for_by_a_form_and_said_nowhere() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let made = make(
        &ada,
        json!({ "slug": "secret", "target_url": "https://example.org/hidden", "password": "open sesame" }),
    )
    .await;
    assert_eq!(made["has_password"], true);
    assert!(!made.to_string().contains("argon2"), "{made}");
    let visitor = stack.client().with("user-agent", FIREFOX);
    let form = visitor.get("/l/secret").await.expect(200);
    assert!(
        form.text().contains("type=\"password\"") && !form.text().contains("hidden"),
        "{}",
        form.text()
    );
    assert!(!visitor.get("/l/secret+").await.expect(200).text().contains("hidden"));
    let kind = Some("application/x-www-form-urlencoded");
    let wrong = visitor
        .send(Method::POST, "/l/secret", "password=%3Cscript%3E", kind)
        .await;
    assert_eq!(wrong.status, 403);
    assert!(!wrong.text().contains("script>") && wrong.header("set-cookie").is_empty());
    let right = visitor
        .send(Method::POST, "/l/secret", "password=open+sesame", kind)
        .await;
    assert_eq!(
        (right.status.as_u16(), right.header("location")),
        (303, "https://example.org/hidden")
    );
    assert!(right.header("set-cookie").is_empty() && !right.text().contains("sesame"));
    assert_eq!(right.header("cache-control"), "no-store");
    // Anonymous GraphQL tells of no link that has one.
    let public = stack
        .client()
        .graphql("{ links_links { slug target_url } }", json!({}))
        .await;
    assert_eq!(public["data"]["links_links"], json!([]), "{public}");
    for _ in 0..9 {
        visitor.send(Method::POST, "/l/secret", "password=no", kind).await;
    }
    visitor
        .send(Method::POST, "/l/secret", "password=open+sesame", kind)
        .await
        .problem(429, "TOO_MANY_GUESSES");
}

#[tokio::test]
async fn short_domains_have_their_own_slugs_and_targets() {
    let stack = Stack::start_with(Shape::OneProcess, &[("PORTICO_SHORT_DOMAINS", "s.example,t.example")]).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let bob = stack.client().bearer(&token(&stack.client(), "bob@example.org").await);
    let domain = json!({
        "host": "S.example", "root_url": "https://example.org/root", "not_found_url": "https://example.org/404",
        "expired_url": "https://example.org/410", "case_sensitive": false,
    });
    let made = ada.post("/v1/links/domains", &domain).await.expect(201).json();
    let id = made["id"].as_str().expect("an id");
    bob.post("/v1/links/domains", &domain)
        .await
        .problem(422, "INVALID_FIELD");
    make(
        &ada,
        json!({ "slug": "Both", "target_url": "https://example.org/s", "domain_id": id }),
    )
    .await;
    make(
        &ada,
        json!({ "slug": "both", "target_url": "https://example.org/plain" }),
    )
    .await;
    bob.post(
        "/v1/links/links",
        &json!({ "target_url": "https://example.org", "domain_id": id }),
    )
    .await
    .problem(422, "INVALID_FIELD");
    let short = stack.client().with("host", "s.example").with("user-agent", FIREFOX);
    await_true(async || target(&short, "/both").await == (302, "https://example.org/s".into())).await;
    assert_eq!(target(&short, "/BOTH").await, (302, "https://example.org/s".into()));
    assert_eq!(target(&short, "/").await, (302, "https://example.org/root".into()));
    assert_eq!(
        target(&short, "/nothing").await,
        (302, "https://example.org/404".into())
    );
    assert_eq!(
        target(&stack.client(), "/l/both").await,
        (302, "https://example.org/plain".into())
    );
    let other = stack.client().with("host", "t.example");
    assert_eq!(target(&other, "/both").await, (302, "https://example.org/plain".into()));
    make(&ada, json!({ "slug": "over", "target_url": "https://example.org/", "domain_id": id, "expires_at": "2001-01-01T00:00:00Z" })).await;
    assert_eq!(target(&short, "/over").await, (302, "https://example.org/410".into()));
}
