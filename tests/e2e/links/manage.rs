//! `/v1/links/links` and what belongs to links.

use super::{await_true, options::make};
use crate::core::token;
use http::Method;
use portico_tests::{Receiver, Shape, Stack};
use serde_json::json;

#[tokio::test]
async fn links_are_their_owners_business() {
    let stack = Stack::start(Shape::OneProcess).await;
    let anybody = stack.client();
    let ada = anybody.bearer(&token(&anybody, "ada@example.org").await);
    let bob = anybody.bearer(&token(&anybody, "bob@example.org").await);
    anybody.get("/v1/links/links").await.problem(401, "TOKEN_MISSING");
    let made = make(
        &ada,
        json!({ "target_url": "https://example.org", "title": "T", "tags": ["red", "blue"] }),
    )
    .await;
    let slug = made["slug"].as_str().expect("a slug");
    assert!(
        slug.len() == 8 && !slug.contains(['0', 'O', 'o', '1', 'l', 'I', 'i', 'L']),
        "{slug}"
    );
    assert_eq!(made["tags"], json!(["blue", "red"]));
    let path = format!("/v1/links/links/{}", made["id"].as_str().expect("an id"));
    for method in [Method::GET, Method::DELETE] {
        bob.send(method, &path, "", None).await.problem(404, "NOT_FOUND");
    }
    bob.patch(&path, &json!({ "title": "mine" }))
        .await
        .problem(404, "NOT_FOUND");
    assert_eq!(bob.get("/v1/links/links").await.expect(200).json()["links"], json!([]));
    bob.post(
        "/v1/links/links",
        &json!({ "slug": slug, "target_url": "https://b.example" }),
    )
    .await
    .problem(409, "SLUG_TAKEN");
    let changed = ada
        .patch(
            &path,
            &json!({ "title": null, "target_url": "https://example.org/new" }),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["title"], &changed["target_url"]),
        (&json!(null), &json!("https://example.org/new"))
    );
    let follow = format!("/l/{slug}");
    await_true(async || anybody.get(&follow).await.header("location") == "https://example.org/new").await;
    ada.delete(&path).await.expect(204);
    await_true(async || anybody.get(&follow).await.status == 404).await;
    assert!(ada.get(&path).await.expect(200).json()["deleted_at"].is_string());
    assert_eq!(ada.get("/v1/links/links").await.json()["links"], json!([]));
    ada.post(
        "/v1/links/links",
        &json!({ "slug": slug, "target_url": "https://b.example" }),
    )
    .await
    .problem(409, "SLUG_TAKEN");
    ada.post(&format!("{path}/restore"), &json!({})).await.expect(204);
    await_true(async || anybody.get(&follow).await.status == 302).await;
    ada.delete(&format!("{path}?purge=true")).await.expect(204);
    ada.get(&path).await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn organisations_share_links_by_role() {
    let stack = Stack::start(Shape::OneProcess).await;
    let anybody = stack.client();
    let ada = anybody.bearer(&token(&anybody, "ada@example.org").await);
    let bob = anybody.bearer(&token(&anybody, "bob@example.org").await);
    let me = bob.get("/v1/core/users/me").await.expect(200).json();
    let bob_id = me["id"]
        .as_str()
        .or(me["user"]["id"].as_str())
        .expect("an id")
        .to_owned();
    let organization = ada
        .post("/v1/links/organizations", &json!({ "name": "Shared" }))
        .await
        .expect(201)
        .json();
    let id = organization["id"].as_str().expect("an id");
    let link = make(
        &ada,
        json!({ "slug": "ours", "target_url": "https://example.org", "organization_id": id }),
    )
    .await;
    let path = format!("/v1/links/links/{}", link["id"].as_str().expect("an id"));
    bob.get(&path).await.problem(404, "NOT_FOUND");
    let members = format!("/v1/links/organizations/{id}/members");
    bob.post(&members, &json!({ "user_id": bob_id, "role": "owner" }))
        .await
        .problem(404, "NOT_FOUND");
    ada.post(&members, &json!({ "user_id": bob_id, "role": "viewer" }))
        .await
        .expect(204);
    bob.get(&path).await.expect(200);
    bob.patch(&path, &json!({ "title": "x" })).await.problem(403, "VIEWER");
    let seen = "{ links_links { slug } }";
    assert_eq!(
        bob.graphql(seen, json!({})).await["data"]["links_links"],
        json!([{ "slug": "ours" }])
    );
    let change = "mutation { update_links_links(where: {}, _set: { title: \"y\" }) { affected_rows } }";
    assert_eq!(
        bob.graphql(change, json!({})).await["data"]["update_links_links"]["affected_rows"],
        0
    );
    ada.post(&members, &json!({ "user_id": bob_id, "role": "editor" }))
        .await
        .expect(204);
    bob.patch(&path, &json!({ "title": "x" })).await.expect(200);
    assert_eq!(
        bob.graphql(change, json!({})).await["data"]["update_links_links"]["affected_rows"],
        1
    );
    ada.delete(&format!("{members}/{bob_id}")).await.expect(204);
    bob.get(&path).await.problem(404, "NOT_FOUND");
    assert_eq!(bob.graphql(seen, json!({})).await["data"]["links_links"], json!([]));
}

#[tokio::test]
async fn many_links_come_and_go_as_files() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let bulk = json!({ "links": [
        { "slug": "one", "target_url": "https://example.org/1", "title": "=1+1", "tags": ["a"] },
        { "slug": "one", "target_url": "https://example.org/2" },
        { "target_url": "nonsense" },
        { "target_url": "https://example.org/3" },
    ]});
    let outcome = ada.post("/v1/links/links/bulk", &bulk).await.expect(200).json();
    assert_eq!(
        (&outcome["created"], &outcome["failed"]),
        (&json!(2), &json!(2)),
        "{outcome}"
    );
    assert_eq!(outcome["outcomes"][1]["code"], "SLUG_TAKEN");
    let csv = ada.get("/v1/links/links/export").await.expect(200);
    assert!(
        csv.text().contains("one,https://example.org/1,'=1+1,,a,302,true"),
        "{}",
        csv.text()
    );
    let ours = csv
        .text()
        .replace("one,", "again,")
        .replace("example.org/3", "example.org/4");
    let bob = stack.client().bearer(&token(&stack.client(), "bob@example.org").await);
    let back = bob
        .send(
            Method::POST,
            "/v1/links/links/import?format=portico",
            ours,
            Some("text/csv"),
        )
        .await
        .expect(200)
        .json();
    // The other's slug was made up and is taken.
    assert_eq!(back["created"], 1, "{back}");
    let yourls = "keyword,url,title,timestamp,ip,clicks\ny1,https://example.org/y,Y,2020-01-02 03:04:05,127.0.0.1,9\n";
    let imported = ada
        .send(
            Method::POST,
            "/v1/links/links/import?format=yourls",
            yourls,
            Some("text/csv"),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(imported["created"], 1, "{imported}");
    let found = ada.get("/v1/links/links?search=y1").await.expect(200).json();
    assert_eq!(found["links"][0]["metadata"]["imported_clicks"], 9, "{found}");
    assert!(
        found["links"][0]["created_at"]
            .as_str()
            .expect("a time")
            .starts_with("2020-01-02T03:04:05")
    );
    ada.send(
        Method::POST,
        "/v1/links/links/import?format=dub",
        yourls,
        Some("text/csv"),
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn codes_are_drawn_and_strangers_pages_read_without_going_into_the_house() {
    let allowed = Stack::start_with(Shape::OneProcess, &[("PORTICO_FETCH_ALLOW", "127.0.0.1")]).await;
    let ada = allowed
        .client()
        .bearer(&token(&allowed.client(), "ada@example.org").await);
    let receiver = Receiver::start().await;
    let link = make(&ada, json!({ "target_url": format!("{}/fail", receiver.url) })).await;
    let path = format!("/v1/links/links/{}", link["id"].as_str().expect("an id"));
    let svg = ada.get(&format!("{path}/qr?dark=112233")).await.expect(200);
    assert!(svg.header("content-type") == "image/svg+xml" && svg.text().contains("#112233"));
    let png = ada.get(&format!("{path}/qr?format=png&size=128")).await.expect(200);
    assert!(png.body.starts_with(b"\x89PNG"));
    let checked = ada.post(&format!("{path}/check"), &json!({})).await.expect(200).json();
    assert_eq!(checked, json!({ "alive": false, "status": 500, "error": null }));
    assert_eq!(ada.get(&path).await.json()["check_status"], 500);
    assert_eq!(receiver.told().len(), 1);
    // A redirect to what is not allowed is not followed; the witness is the other address of the same machine.
    let inside = format!("http://127.0.0.2:{}/", receiver.url.rsplit(':').next().expect("a port"));
    let refused = ada.post("/v1/links/page", &json!({ "url": inside })).await;
    refused.problem(422, "INVALID_FIELD");
    assert!(refused.text().contains("not public"), "{}", refused.text());
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:10.0.0.1]/",
        "http://2130706434/",
        "file:///etc/passwd",
    ] {
        ada.post("/v1/links/page", &json!({ "url": url }))
            .await
            .problem(422, "INVALID_FIELD");
    }
    assert_eq!(receiver.told().len(), 1);
}
