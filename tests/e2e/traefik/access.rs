//! Who may pass: tokens by keys of the configuration's own, and API keys.

use super::Lone;
use crate::gateway::{hs256, segment};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

/// Answers with the headers it got, or, at `/keys`, with the key set in force.
async fn origin(keys: Arc<Mutex<Value>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let keys = keys.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let body = match request.uri().path() {
                    "/keys" => keys.lock().expect("keys").to_string(),
                    _ => seen(&request).to_string(),
                };
                std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))))
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(connection);
        }
    });
    address.to_string()
}

fn seen(request: &Request<Incoming>) -> Value {
    let pairs = request.headers().iter();
    pairs
        .map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap_or_default())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn routed(middleware: &str, origin: &str) -> String {
    format!(
        "http:
  routers:
    all: {{rule: 'PathPrefix(`/`)', service: origin, middlewares: [guard]}}
  middlewares:
    guard:
{middleware}
  services:
    origin: {{loadBalancer: {{servers: [{{url: 'http://{origin}'}}]}}}}
"
    )
}

const SECRET: &str = "an operator's own secret of 32 bytes or more";
const NEVER: i64 = 4_102_444_800;

fn token(claims: &Value) -> String {
    hs256(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET)
}

#[tokio::test]
async fn the_form_of_plugins_verifies_and_leaves_the_token() {
    let origin = origin(Arc::default()).await;
    let plugin = format!(
        "      plugin:
        jwt: {{secret: \"{SECRET}\", alg: HS256, required: 'true'}}"
    );
    let gateway = Lone::start(&routed(&plugin, &origin), &[]);
    let client = gateway.client();
    client.get("/").await.problem(401, "TOKEN_MISSING");
    let good = token(&json!({"sub": "ada", "exp": NEVER}));
    let told = client.bearer(&good).get("/").await.expect(200).json();
    assert_eq!(told["authorization"], format!("Bearer {good}"));
    let old = token(&json!({"sub": "ada", "exp": 1}));
    client.bearer(&old).get("/").await.problem(401, "TOKEN_EXPIRED");
    let early = token(&json!({"sub": "ada", "nbf": NEVER}));
    client.bearer(&early).get("/").await.problem(401, "TOKEN_INVALID");
    let other = hs256(&json!({"alg": "HS512"}), &json!({"sub": "ada"}), SECRET);
    client.bearer(&other).get("/").await.problem(401, "TOKEN_INVALID");
    let none = format!(
        "{}.{}.",
        segment(&json!({"alg": "none"})),
        segment(&json!({"sub": "ada"}))
    );
    client.bearer(&none).get("/").await.problem(401, "TOKEN_INVALID");
}

#[tokio::test]
async fn claims_are_tested_and_told_to_the_service() {
    let origin = origin(Arc::default()).await;
    let hub = format!(
        "      jwt:
        signingSecret: \"{SECRET}\"
        tokenKey: token
        claims: 'Equals(`grp`, `admin`) && Contains(`areas`, `home`)'
        forwardHeaders: {{X-Group: grp, X-Areas: areas, X-Name: user.name, X-Missing: nothing}}"
    );
    let gateway = Lone::start(&routed(&hub, &origin), &[]);
    let client = gateway.client();
    let good = token(&json!({"grp": "admin", "areas": ["office", "home"], "user": {"name": "Ada"}, "exp": NEVER}));
    let forging = client.bearer(&good).with("x-group", "root").with("x-missing", "forged");
    let told = forging.get("/").await.expect(200).json();
    assert_eq!(told["x-group"], "admin");
    assert_eq!(told["x-areas"], "office,home");
    assert_eq!(told["x-name"], "Ada");
    assert_eq!(told["x-missing"], "");
    assert!(told["authorization"].is_null(), "{told}");

    client.get(&format!("/?token={good}")).await.expect(200);
    let form = format!("a=b&token={good}");
    let posted = client.send(http::Method::POST, "/", form, Some("application/x-www-form-urlencoded"));
    posted.await.expect(200);
    let other = token(&json!({"grp": "guest", "areas": ["home"], "exp": NEVER}));
    client.bearer(&other).get("/").await.problem(403, "CLAIMS_REFUSED");
}

/// A key pair as its issuer publishes it, and a token signed with it.
fn issuer(kid: &str) -> (Value, String) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).expect("a key");
    let point = pair.public_key().as_ref();
    let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig",
        "x": coordinate(&point[1..33]), "y": coordinate(&point[33..])});
    let signed = format!(
        "{}.{}",
        segment(&json!({"alg": "ES256", "kid": kid})),
        segment(&json!({"sub": "ada", "exp": NEVER}))
    );
    let tag = pair.sign(&random, signed.as_bytes()).expect("a signature");
    (jwk, format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)))
}

#[tokio::test]
async fn keys_are_fetched_and_fetched_again_when_they_change() {
    let (first, signed_first) = issuer("one");
    let (second, signed_second) = issuer("two");
    let keys = Arc::new(Mutex::new(json!({"keys": [first]})));
    let origin = origin(keys.clone()).await;
    let hub = format!("      jwt: {{jwksUrl: 'http://{origin}/keys'}}");
    let gateway = Lone::start(&routed(&hub, &origin), &[]);
    let client = gateway.client();
    client.bearer(&signed_first).get("/").await.expect(200);
    client
        .bearer(&signed_second)
        .get("/")
        .await
        .problem(401, "TOKEN_INVALID");
    *keys.lock().expect("keys") = json!({"keys": [second]});
    // The set is asked for again when a token names a key that is not in it, though not more often than every ten seconds.
    let mut status = 401;
    for _ in 0..150 {
        status = client.bearer(&signed_second).get("/").await.status.as_u16();
        if status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(status, 200);
}

#[tokio::test]
async fn an_api_key_is_known_by_its_hash() {
    let origin = origin(Arc::default()).await;
    // The hashes of "foo" (bcrypt) and "bar" (SHA1).
    let keys = "      plugin:
        apiKey:
          keySource: {header: Authorization, headerAuthScheme: Bearer}
          secretNonBase64Encoded: true
          secretValues: ['$2y$05$D4SPFxzfWKcx1OXfVhRbvOTH/QB0Lm6AXTk8.NOmU4rPLX2t6UUuW', '{SHA}Ys23Ag/5IOWqZCw9QGaVDdHwH00=']";
    let gateway = Lone::start(&routed(keys, &origin), &[]);
    let client = gateway.client();
    client.bearer("foo").get("/").await.expect(200);
    client.bearer("bar").get("/").await.expect(200);
    let refused = client.bearer("baz").get("/").await;
    refused.problem(401, "API_KEY_REFUSED");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    client.get("/").await.problem(401, "API_KEY_REFUSED");
}

#[tokio::test]
async fn what_is_wrong_with_a_middleware_is_told_by_name() {
    let origin = origin(Arc::default()).await;
    for (middleware, said) in [
        ("jwt: {signingSecret: x, jwksUrl: 'https://a.test/k'}", "both given"),
        ("jwt: {signingSecret: x, claims: 'Equal(`a`)'}", "claims"),
        (
            "jwt: {claims: 'Equals(`a`, `b`)'}",
            "signingSecret, publicKey, jwksFile, jwksUrl",
        ),
        ("apiKey: {keySource: {query: k}, secretValues: [plain]}", "htpasswd"),
        ("apiKey: {secretValues: ['{SHA}x']}", "keySource is missing"),
        ("plugin: {unheard: {a: b}}", "unheard"),
    ] {
        let gateway = Lone::start(&routed(&format!("      {middleware}"), &origin), &[]);
        let answer = gateway.client().get("/").await;
        assert_eq!(answer.status, 404, "{middleware}: the router is off");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let logs = serde_json::to_string(&gateway.process.logs()).expect("JSON");
        assert!(logs.contains(said), "{middleware}: {logs}");
    }
}

#[tokio::test]
async fn a_verdict_is_remembered_and_a_refusal_is_not() {
    let origin = origin(Arc::default()).await;
    let judge = portico_tests::Receiver::start().await;
    let auth = format!(
        "      forwardAuth: {{address: '{}/judge', cache: {{ttl: 60s}}}}",
        judge.url
    );
    let gateway = Lone::start(&routed(&auth, &origin), &[]);
    let (ada, bob) = (gateway.client().bearer("ada"), gateway.client().bearer("bob"));
    for _ in 0..5 {
        ada.get("/").await.expect(200);
    }
    assert_eq!(judge.told().len(), 1, "asked once");
    ada.get("/other").await.expect(200);
    bob.get("/").await.expect(200);
    assert_eq!(
        judge.told().len(),
        3,
        "another target and another caller are other questions"
    );
    judge.reply("/judge", 403, "no");
    for _ in 0..2 {
        gateway.client().bearer("eve").get("/").await.expect(403);
    }
    assert_eq!(judge.told().len(), 5, "a refusal is asked for again");
}

#[tokio::test]
async fn the_api_shows_no_secret() {
    let origin = origin(Arc::default()).await;
    let admin = portico_tests::stack::free_address();
    let plugin = format!("      plugin: {{jwt: {{secret: \"{SECRET}\", alg: HS256}}}}");
    let flags = [
        format!("--entrypoints.traefik.address={admin}"),
        "--api.insecure=true".to_owned(),
    ];
    let gateway = Lone::start(&routed(&plugin, &origin), &[&flags[0], &flags[1]]);
    gateway.client().get("/").await.problem(401, "TOKEN_MISSING");
    let shown = portico_tests::Client::new(&format!("http://{admin}"))
        .get("/api/rawdata")
        .await
        .expect(200)
        .text();
    assert!(shown.contains("HS256") && !shown.contains(SECRET), "{shown}");
}
