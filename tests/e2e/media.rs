//! `/v1/media` and `/cdn`

use crate::core::token;
use http::Method;
use portico_tests::{Answer, Client, Shape, Stack};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

pub fn photo() -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "docs", "photo.jpg"].iter().collect();
    std::fs::read(path).expect("the photo")
}

async fn user(stack: &Stack, email: &str) -> Client {
    let client = stack.client();
    client.bearer(&token(&client, email).await)
}

async fn upload(client: &Client) -> Value {
    let answer = client
        .upload("/v1/media/upload", "photo.jpg", "image/jpeg", &photo())
        .await
        .expect(201);
    let asset = answer.json();
    assert_eq!(
        answer.header("location"),
        format!("/v1/media/assets/{}", asset["id"].as_str().expect("an id"))
    );
    asset
}

/// Step 2 of the road, whatever the shape.
pub async fn walk(stack: &Stack) {
    let ada = user(stack, "media@example.org").await;
    let photo = photo();
    let asset = upload(&ada).await;
    assert_eq!(asset["filename"], "photo.jpg");
    assert_eq!(asset["mime_type"], "image/jpeg");
    assert_eq!(asset["size"], photo.len());

    let list = ada.get("/v1/media/assets").await.expect(200).json();
    assert_eq!(list["assets"][0]["id"], asset["id"]);
    let path = format!("/v1/media/assets/{}", asset["id"].as_str().expect("an id"));
    let whole = ada.get(&format!("{path}/content")).await.expect(200);
    assert_eq!(whole.body, photo);
    let range = ada
        .with("range", "bytes=100-199")
        .get(&format!("{path}/content"))
        .await
        .expect(206);
    assert_eq!(range.body, photo[100..200]);
    assert_eq!(range.header("content-range"), format!("bytes 100-199/{}", photo.len()));

    let key = list["assets"][0]["key"].as_str().expect("a key");
    let public = stack.client().get(&format!("/cdn/{key}")).await.expect(200);
    assert_eq!(public.body, photo);
    assert_eq!(public.header("cache-control"), "public, max-age=31536000, immutable");
    let etag = public.header("etag").to_owned();
    assert!(etag.starts_with('"'), "{etag}");
    let again = stack
        .client()
        .with("if-none-match", &etag)
        .get(&format!("/cdn/{key}"))
        .await
        .expect(304);
    assert!(again.body.is_empty());

    let presigned = presign(&ada, json!({ "filename": "direct.jpg", "content_type": "image/jpeg" })).await;
    put(&presigned, photo.clone()).await.expect(200);
    let direct = presigned["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/media/assets/{direct}");
    let mut appeared = false;
    for _ in 0..110 {
        appeared = ada.get(&path).await.status == 200;
        if appeared {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        appeared,
        "a presigned upload becomes an asset within ten seconds by itself"
    );
    assert_eq!(ada.get(&format!("{path}/content")).await.expect(200).body, photo);
    ada.delete(&path).await.expect(204);
    ada.get(&path).await.problem(404, "ASSET_NOT_FOUND");
}

async fn presign(client: &Client, body: Value) -> Value {
    let presigned = client.post("/v1/media/presign", &body).await;
    assert!(presigned.status.is_success(), "{}", presigned.text());
    let presigned = presigned.json();
    assert_eq!(presigned["method"], "PUT");
    presigned
}

async fn put(presigned: &Value, bytes: Vec<u8>) -> Answer {
    let mut client = Client::new("");
    for (name, value) in presigned["headers"].as_object().into_iter().flatten() {
        client = client.with(name, value.as_str().unwrap_or_default());
    }
    client
        .send(Method::PUT, presigned["url"].as_str().expect("a URL"), bytes, None)
        .await
}

#[tokio::test]
async fn a_completed_presigned_upload_is_an_asset_at_once() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = user(&stack, "ada@example.org").await;
    let presigned = presign(&ada, json!({ "filename": "direct.jpg" })).await;
    let complete = format!("/v1/media/assets/{}/complete", presigned["id"].as_str().expect("an id"));
    let early = ada.send(Method::POST, &complete, "", None).await;
    assert!(early.status.is_client_error(), "{}", early.text());
    put(&presigned, photo()).await.expect(200);
    let asset = ada.send(Method::POST, &complete, "", None).await;
    assert!(asset.status.is_success(), "{}", asset.text());
    assert_eq!(asset.json()["mime_type"], "image/jpeg");
    let mut forged = presigned.clone();
    let url = presigned["url"].as_str().expect("a URL");
    let place = url.find("X-Amz-Signature=").expect("a signature") + "X-Amz-Signature=".len();
    let digit = if url[place..].starts_with('0') { "1" } else { "0" };
    let url = format!("{}{digit}{}", &url[..place], &url[place + 1..]);
    forged["url"] = json!(url);
    assert_eq!(put(&forged, photo()).await.status, 403);
}

/// The store tells the watcher of every upload, so it and the caller race to finish the same one.
#[tokio::test]
async fn completing_answers_with_the_asset_whoever_finished_it() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = user(&stack, "ada@example.org").await;
    for _ in 0..15 {
        let presigned = presign(&ada, json!({ "filename": "direct.jpg" })).await;
        put(&presigned, photo()).await.expect(200);
        let complete = format!("/v1/media/assets/{}/complete", presigned["id"].as_str().expect("an id"));
        let asset = ada.send(Method::POST, &complete, "", None).await;
        assert!(asset.status.is_success(), "{}", asset.text());
        assert_eq!(asset.json()["id"], presigned["id"]);
    }
}

#[tokio::test]
async fn assets_are_their_owners_alone() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = user(&stack, "ada@example.org").await;
    let bob = user(&stack, "bob@example.org").await;
    let asset = upload(&ada).await;
    let path = format!("/v1/media/assets/{}", asset["id"].as_str().expect("an id"));
    for path in [path.clone(), format!("{path}/content")] {
        bob.get(&path).await.problem(404, "ASSET_NOT_FOUND");
        stack.client().get(&path).await.problem(401, "TOKEN_MISSING");
    }
    bob.delete(&path).await.problem(404, "ASSET_NOT_FOUND");
    assert_eq!(
        bob.get("/v1/media/assets").await.expect(200).json()["assets"],
        json!([])
    );
    stack
        .client()
        .get("/v1/media/assets")
        .await
        .problem(401, "TOKEN_MISSING");
    stack
        .client()
        .upload("/v1/media/upload", "x.txt", "text/plain", b"x")
        .await
        .problem(401, "TOKEN_MISSING");
    stack
        .client()
        .post("/v1/media/presign", &json!({ "filename": "x" }))
        .await
        .problem(401, "TOKEN_MISSING");
    ada.get(&path).await.expect(200);
}

#[tokio::test]
async fn bad_uploads_are_refused_and_leave_nothing() {
    let stack = Stack::start_with(Shape::OneProcess, &[("PORTICO_MEDIA_MAX_UPLOAD", "1MB")]).await;
    let ada = user(&stack, "ada@example.org").await;
    let send = |body: &'static str, content_type: &'static str| {
        let ada = ada.clone();
        async move {
            ada.send(Method::POST, "/v1/media/upload", body, Some(content_type))
                .await
        }
    };
    for (body, content_type) in [
        ("{}", "application/json"),
        ("x", "multipart/form-data"),
        ("x", "multipart/form-data; boundary=b"),
        (
            "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
        ),
        (
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf",
            "multipart/form-data; boundary=b",
        ),
    ] {
        let answer = send(body, content_type).await;
        assert!(
            answer.status.is_client_error(),
            "{content_type} {body}: {}",
            answer.text()
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let large = vec![7; 1024 * 1024 + 1];
    let answer = ada
        .upload("/v1/media/upload", "large.bin", "application/octet-stream", &large)
        .await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    ada.post("/v1/media/presign", &json!({ "filename": "x", "size": 2_000_000 }))
        .await
        .expect(413);
    ada.post("/v1/media/presign", &json!({}))
        .await
        .problem(422, "INVALID_BODY");
    assert_eq!(
        ada.get("/v1/media/assets").await.expect(200).json()["assets"],
        json!([])
    );
}

#[tokio::test]
async fn the_bytes_decide_the_type_and_active_content_is_never_served_inline() {
    let stack = Stack::start(Shape::OneProcess).await;
    let ada = user(&stack, "ada@example.org").await;
    let disguised = ada
        .upload("/v1/media/upload", "photo.html", "text/html", &photo())
        .await
        .expect(201)
        .json();
    assert_eq!(disguised["mime_type"], "image/jpeg");
    let page = b"<!doctype html><script>alert(1)</script>";
    let made = ada
        .upload("/v1/media/upload", "../../page.html", "text/html", page)
        .await
        .expect(201)
        .json();
    assert_eq!(made["filename"], "page.html");
    let list = ada.get("/v1/media/assets").await.expect(200).json();
    let key = list["assets"][0]["key"].as_str().expect("a key");
    let served = stack.client().get(&format!("/cdn/{key}")).await.expect(200);
    assert!(
        served.header("content-disposition").starts_with("attachment"),
        "{served:?}"
    );
    assert_eq!(served.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn what_was_uploaded_survives_a_kill() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    let ada = user(&stack, "ada@example.org").await;
    let asset = upload(&ada).await;
    stack.take("up").kill();
    stack.up();
    let tokens = crate::core::login(&stack.client(), "ada@example.org").await;
    let ada = stack.client().bearer(tokens["access_token"].as_str().expect("a token"));
    let path = format!("/v1/media/assets/{}/content", asset["id"].as_str().expect("an id"));
    assert_eq!(ada.get(&path).await.expect(200).body, photo());
}
