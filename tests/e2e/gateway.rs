//! The gateway in front of everything: limits, ambiguous paths, smuggling, forged tokens.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_tests::{Shape, Stack, raw};
use serde_json::{Value, json};

const SECRET: &str = "an operator's own secret of 32 bytes or more";

pub fn segment(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

pub fn hs256(header: &Value, claims: &Value, secret: &str) -> String {
    let signed = format!("{}.{}", segment(header), segment(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn twenty_forged_tokens_are_refused_and_the_honest_one_is_not() {
    let stack = Stack::start_with(Shape::OneProcess, &[("JWT_SECRET", SECRET)]).await;
    let client = stack.client();
    crate::core::register(&client, "ada@example.org").await.expect(201);
    let tokens = crate::core::login(&client, "ada@example.org").await;
    let honest = tokens["access_token"].as_str().expect("a token");
    client.bearer(honest).get("/v1/core/users/me").await.expect(200);

    let id = tokens["user"]["id"].clone();
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({ "sub": id, "exp": 4_102_444_800_i64, "role": "admin" });
    let own = hs256(&header, &claims, SECRET);
    client.bearer(&own).get("/v1/core/users/me").await.expect(200);
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        hs256(&header, &changed, SECRET)
    };
    let without = |name: &str| {
        let mut changed = claims.clone();
        changed.as_object_mut().expect("claims").remove(name);
        hs256(&header, &changed, SECRET)
    };
    let parts: Vec<&str> = own.split('.').collect();
    let none = |alg: &str| format!("{}.{}.", segment(&json!({ "alg": alg })), parts[1]);
    let jwks = client.get("/.well-known/jwks.json").await.expect(200);
    let forgeries = [
        none("none"),
        none("None"),
        none("NONE"),
        format!("{}.{}.{}", segment(&json!({ "alg": "none" })), parts[1], parts[2]),
        hs256(&header, &claims, "another secret of at least 32 bytes!"),
        hs256(&header, &claims, ""),
        // The confusion of a public key with a shared secret.
        hs256(&header, &claims, &jwks.text()),
        hs256(&json!({ "alg": "RS256" }), &claims, SECRET),
        hs256(&json!({ "alg": "ES256", "kid": "x" }), &claims, SECRET),
        hs256(&json!({ "alg": "HS512" }), &claims, SECRET),
        format!(
            "{}.{}.{}",
            parts[0],
            segment(&json!({ "sub": id, "exp": 4_102_444_801_i64 })),
            parts[2]
        ),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{own}.x"),
        with("exp", json!(1)),
        with("nbf", json!(4_102_444_000_i64)),
        without("exp"),
        without("sub"),
        with("sub", json!("' or 1=1 --")),
        with("sid", json!("not a uuid")),
        with("exp", json!("tomorrow")),
        format!("{}x", &own[..own.len() - 1].to_owned()),
        "a".repeat(10_000),
        "..".to_owned(),
    ];
    for (number, forged) in forgeries.iter().enumerate() {
        let answer = client.bearer(forged).get("/v1/core/users/me").await;
        assert_eq!(answer.status, 401, "forgery {number}: {}", answer.text());
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "forgery {number}"
        );
        let code = answer.json()["code"].clone();
        assert!(
            code == "TOKEN_INVALID" || code == "TOKEN_EXPIRED",
            "forgery {number}: {code}"
        );
    }
}

#[tokio::test]
async fn past_the_limit_a_client_is_told_when_to_come_back() {
    let stack = Stack::start_with(Shape::OneProcess, &[("PORTICO_RATE_LIMIT_CORE", "5/1m")]).await;
    let client = stack.client();
    for left in (0..5).rev() {
        let answer = client.get("/v1/core/users/me").await;
        assert_eq!(answer.header("x-ratelimit-limit"), "5");
        assert_eq!(answer.header("x-ratelimit-remaining"), left.to_string());
        assert_eq!(answer.status, 401);
    }
    let refused = client.get("/v1/core/users/me").await;
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| (1..=60).contains(&seconds))
    );
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    assert!(refused.header("x-ratelimit-reset").parse::<u32>().is_ok());
    for _ in 0..20 {
        client.get("/l/no-such-link").await.problem(404, "LINK_NOT_FOUND");
    }
}

#[tokio::test]
async fn ambiguous_paths_are_refused() {
    let stack = Stack::start(Shape::OneProcess).await;
    for path in [
        "/v1/core/auth/..;/users/me",
        "/v1/core/users%00/me",
        "/v1/core/users\\me",
        "/v1/core/%",
        "/v1/core/%zz",
        "/l/%00",
        "/l/..%2f..%2fetc%2fpasswd",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = raw::exchange(stack.address(), request.as_bytes()).await;
        assert_eq!(raw::status(&answer), 400, "{path}: {answer}");
    }
    // Plain dot segments and double slashes have one reading; what is matched, authorised and forwarded is that.
    for (path, expected, instance) in [
        ("/v1/core/%2e%2e/users/me", 404, "/v1/users/me"),
        ("/v1/core/users%2fme", 404, "/v1/core/users%2Fme"),
        ("/v1/core/users%5cme", 404, "/v1/core/users%5Cme"),
        ("//v1/core/users/me", 401, "/v1/core/users/me"),
        ("/v1//core/users/me", 401, "/v1/core/users/me"),
        ("/v1/core/../core/users/me", 401, "/v1/core/users/me"),
        ("/./v1/core/users/me", 401, "/v1/core/users/me"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = raw::exchange(stack.address(), request.as_bytes()).await;
        assert_eq!(raw::status(&answer), expected, "{path}: {answer}");
        assert!(
            answer.contains(&format!("\"instance\":\"{instance}\"")),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn smuggled_requests_are_refused() {
    let stack = Stack::start(Shape::OneProcess).await;
    for (name, request) in [
        (
            "both lengths",
            "POST /v1/core/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        ),
        (
            "odd coding",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "negative length",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        ),
        ("two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("space before colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
        ("folded header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n"),
        ("bad version", "GET / HTTP/9.9\r\nHost: x\r\n\r\n"),
    ] {
        let answer = raw::exchange(stack.address(), request.as_bytes()).await;
        let status = raw::status(&answer);
        assert!(status == 0 || (400..500).contains(&status), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 2").count(), 0, "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_gateway_with_core_at_home_sends_media_where_its_url_says() {
    let elsewhere = Stack::start(Shape::OneProcess).await;
    let url = elsewhere.database_url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PORTICO_MEDIA_URL", elsewhere.web.as_str()),
    ];
    let (address, _process) = elsewhere.beside(&["serve", "gateway", "core"], &settings);
    let client = portico_tests::Client::new(&address);
    let media = client.get("/v1/media/health").await.expect(200).json();
    assert_eq!(media["service"], "media", "{media}");
    client.get("/v1/links/health").await.problem(404, "ROUTE_NOT_FOUND");
    client.get("/v1/core/health").await.expect(200);
}
