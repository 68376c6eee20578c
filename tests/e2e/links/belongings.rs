//! Folders, tags, templates, domains and blocked hosts: made, changed, deleted, and nobody else's.

use super::{await_true, options::make};
use crate::core::token;
use http::Method;
use portico_tests::{Client, Shape, Stack};
use serde_json::{Value, json};

fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

/// `one` has `{id}` in it.
async fn come_and_go(ada: &Client, bob: &Client, list: &str, new: &Value, change: &Value) {
    let made = ada.post(list, new).await.expect(201).json();
    let one = format!("{list}/{}", id(&made));
    let key = list.rsplit('/').next().expect("a name").replace('-', "_");
    assert_eq!(bob.get(list).await.expect(200).json()[&key], json!([]), "{list}");
    bob.patch(&one, change).await.problem(404, "NOT_FOUND");
    bob.delete(&one).await.problem(404, "NOT_FOUND");
    let changed = ada.patch(&one, change).await.expect(200).json();
    for (name, value) in change.as_object().expect("an object") {
        assert_eq!(changed[name], *value, "{list}");
    }
    assert_eq!(
        ada.get(list).await.expect(200).json()[&key].as_array().map(Vec::len),
        Some(1),
        "{list}"
    );
    ada.delete(&one).await.expect(204);
    ada.delete(&one).await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn what_belongs_to_links_comes_and_goes() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let bob = stack.client().bearer(&token(&stack.client(), "bob@example.org").await);
    come_and_go(
        &ada,
        &bob,
        "/v1/links/folders",
        &json!({ "name": "F" }),
        &json!({ "name": "G" }),
    )
    .await;
    let tag = json!({ "name": "T", "color": "#112233" });
    come_and_go(&ada, &bob, "/v1/links/tags", &tag, &json!({ "color": null })).await;
    let template = json!({ "name": "U", "utm": { "source": "x" } });
    come_and_go(
        &ada,
        &bob,
        "/v1/links/utm-templates",
        &template,
        &json!({ "utm": { "medium": "y" } }),
    )
    .await;
    let domain = json!({ "host": "d.example", "root_url": "https://example.org/" });
    come_and_go(
        &ada,
        &bob,
        "/v1/links/domains",
        &domain,
        &json!({ "root_url": null, "case_sensitive": false }),
    )
    .await;
    for path in [
        "/v1/links/folders/{id}",
        "/v1/links/tags/{id}",
        "/v1/links/utm-templates/{id}",
        "/v1/links/domains/{id}",
    ] {
        let nobodys = path.replace("{id}", "01900000-0000-7000-8000-000000000000");
        ada.patch(&nobodys, &json!({})).await.problem(404, "NOT_FOUND");
        ada.delete(&nobodys).await.problem(404, "NOT_FOUND");
    }
    ada.post("/v1/links/tags", &json!({ "name": "T", "color": "red" }))
        .await
        .problem(422, "INVALID_FIELD");
    let template = ada.post("/v1/links/utm-templates", &template).await.expect(201).json();
    let link = make(
        &ada,
        json!({ "target_url": "https://example.org", "utm_template_id": id(&template) }),
    )
    .await;
    assert_eq!(link["utm"], json!({ "source": "x" }));
    assert_eq!(ada.get("/v1/links/links/count").await.expect(200).json()["count"], 1);
    let id = id(&link);
    for path in [
        format!("/v1/links/links/{id}/check"),
        format!("/v1/links/links/{id}/restore"),
    ] {
        bob.post(&path, &json!({})).await.problem(404, "NOT_FOUND");
    }
    bob.get(&format!("/v1/links/links/{id}/qr"))
        .await
        .problem(404, "NOT_FOUND");
    let share = ada
        .post("/v1/links/shares", &json!({ "link_id": id }))
        .await
        .expect(201)
        .json();
    let shared = share["token"].as_str().expect("a token");
    // Whatever link is asked for, the share's is answered.
    let asked = format!("/v1/links/shared/{shared}/analytics?link_id=01900000-0000-7000-8000-000000000000");
    assert_eq!(
        stack.client().get(&asked).await.expect(200).json()["points"],
        json!([{ "count": 0, "bots": 0 }])
    );
    let hook = ada
        .post(
            "/v1/links/hooks",
            &json!({ "link_id": id, "url": "https://example.org" }),
        )
        .await
        .expect(201)
        .json();
    let hook = hook["id"].as_str().expect("an id");
    bob.delete(&format!("/v1/links/hooks/{hook}"))
        .await
        .problem(404, "NOT_FOUND");
    ada.delete(&format!("/v1/links/hooks/{hook}")).await.expect(204);
    bob.get("/v1/links/analytics/stream?link_id=nonsense")
        .await
        .problem(400, "BAD_QUERY");
}

#[tokio::test]
async fn organisations_end_and_keep_an_owner() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let made = ada
        .post("/v1/links/organizations", &json!({ "name": "O" }))
        .await
        .expect(201)
        .json();
    let id = id(&made);
    let members = ada
        .get(&format!("/v1/links/organizations/{id}/members"))
        .await
        .expect(200)
        .json();
    let me = members["members"][0]["user_id"].as_str().expect("an id").to_owned();
    ada.delete(&format!("/v1/links/organizations/{id}/members/{me}"))
        .await
        .problem(422, "INVALID_FIELD");
    ada.delete(&format!("/v1/links/organizations/{id}")).await.expect(204);
    assert_eq!(
        ada.get("/v1/links/organizations").await.expect(200).json()["organizations"],
        json!([])
    );
}

#[tokio::test]
async fn a_blocked_host_stops_its_links_at_once_and_for_everybody() {
    let settings = [
        ("PORTICO_ADMIN_EMAIL", "root@example.org"),
        ("PORTICO_ADMIN_PASSWORD", "correct horse battery staple"),
    ];
    let stack = Stack::start_with(Shape::OneProcess, &settings).await;
    let ada = stack.client().bearer(&token(&stack.client(), "ada@example.org").await);
    let login = json!({ "email": settings[0].1, "password": settings[1].1 });
    let tokens = stack
        .client()
        .post("/v1/core/auth/login", &login)
        .await
        .expect(200)
        .json();
    let root = stack.client().bearer(tokens["access_token"].as_str().expect("a token"));
    make(
        &ada,
        json!({ "slug": "bad", "target_url": "https://www.evil.example/x" }),
    )
    .await;
    stack.client().get("/l/bad").await.expect(302);
    ada.post("/v1/links/blocked-hosts", &json!({ "host": "evil.example" }))
        .await
        .problem(403, "ADMIN_ONLY");
    root.post(
        "/v1/links/blocked-hosts",
        &json!({ "host": "evil.example", "reason": "phishing" }),
    )
    .await
    .expect(204);
    await_true(async || stack.client().get("/l/bad").await.status == 404).await;
    for target in [
        "https://evil.example",
        "https://a.b.EVIL.example:8443/",
        "https://user@evil.example/",
    ] {
        ada.post("/v1/links/links", &json!({ "target_url": target }))
            .await
            .problem(422, "INVALID_FIELD");
    }
    make(
        &ada,
        json!({ "target_url": "https://notevil.example/?u=https://evil.example" }),
    )
    .await;
    let sneaky = json!({ "target_url": "https://a.example", "variants": [{ "target_url": "https://evil.example", "weight": 1 }] });
    ada.post("/v1/links/links", &sneaky).await.problem(422, "INVALID_FIELD");
    assert_eq!(
        root.get("/v1/links/blocked-hosts").await.expect(200).json()["blocked_hosts"][0]["host"],
        "evil.example"
    );
    root.send(Method::DELETE, "/v1/links/blocked-hosts/evil.example", "", None)
        .await
        .expect(204);
    await_true(async || stack.client().get("/l/bad").await.status == 302).await;
}
