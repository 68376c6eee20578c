//! `/v1/core`

use portico_tests::{Answer, Client, Shape, Stack};
use serde_json::{Value, json};

pub const PASSWORD: &str = "correct horse battery";

pub async fn register(client: &Client, email: &str) -> Answer {
    client
        .post(
            "/v1/core/auth/register",
            &json!({ "email": email, "password": PASSWORD }),
        )
        .await
}

pub async fn login(client: &Client, email: &str) -> Value {
    let answer = client
        .post("/v1/core/auth/login", &json!({ "email": email, "password": PASSWORD }))
        .await;
    answer.expect(200).json()
}

/// A fresh account's access token.
pub async fn token(client: &Client, email: &str) -> String {
    register(client, email).await.expect(201);
    login(client, email).await["access_token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

pub async fn admin(stack: &Stack, email: &str) -> Client {
    let (code, _, errors) = stack.run(
        &["user", "create", email, "--role", "admin", "--password-stdin"],
        PASSWORD,
    );
    assert_eq!(code, 0, "{errors}");
    let tokens = login(&stack.client(), email).await;
    stack.client().bearer(tokens["access_token"].as_str().expect("a token"))
}

#[tokio::test]
async fn malformed_bodies_are_refused_with_their_reason() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    let post = |body: &'static str, content_type: &'static str| {
        let client = client.clone();
        async move {
            client
                .send(http::Method::POST, "/v1/core/auth/login", body, Some(content_type))
                .await
        }
    };
    post("{", "application/json").await.problem(400, "MALFORMED_JSON");
    post("[]", "application/json").await.problem(422, "INVALID_BODY");
    post("{\"email\":1,\"password\":\"x\"}", "application/json")
        .await
        .problem(422, "INVALID_BODY");
    post(
        "{\"email\":\"a@b.co\",\"password\":\"x\",\"role\":\"admin\"}",
        "application/json",
    )
    .await
    .problem(422, "INVALID_BODY");
    post("{}", "text/plain").await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    post("{\"email\":\"\\u0000\",\"password\":\"\\u0000\"}", "application/json")
        .await
        .problem(401, "BAD_CREDENTIALS");
    let long = format!("{{\"email\":\"{}\"}}", "a".repeat(1_100_000));
    let answer = client
        .send(
            http::Method::POST,
            "/v1/core/auth/login",
            long,
            Some("application/json"),
        )
        .await;
    answer.problem(413, "BODY_TOO_LARGE");
    let answer = client
        .post(
            "/v1/core/auth/register",
            &json!({ "email": "no address", "password": PASSWORD }),
        )
        .await;
    answer.problem(422, "INVALID_FIELD");
    let answer = client
        .post(
            "/v1/core/auth/register",
            &json!({ "email": "a@b.co", "password": "short" }),
        )
        .await;
    answer.problem(422, "INVALID_FIELD");
    let answer = client.get("/v1/core/auth/login").await;
    answer.problem(405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.header("allow"), "POST");
    client.get("/v1/core/nothing").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn an_address_is_taken_once_whatever_its_case() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    let made = register(&client, "Ada@Example.org").await.expect(201);
    assert!(made.header("location").starts_with("/v1/core/users/"), "{made:?}");
    register(&client, "ada@example.org").await.problem(409, "EMAIL_TAKEN");
    login(&client, "ADA@EXAMPLE.ORG").await;
}

#[tokio::test]
async fn users_see_themselves_and_administrators_see_all() {
    let stack = Stack::start(Shape::OneProcess).await;
    let anybody = stack.client();
    let ada = anybody.bearer(&token(&anybody, "ada@example.org").await);
    let bob = anybody.bearer(&token(&anybody, "bob@example.org").await);
    let ada_id = ada.get("/v1/core/users/me").await.expect(200).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/v1/core/users/{ada_id}");

    anybody.get("/v1/core/users/me").await.problem(401, "TOKEN_MISSING");
    anybody.get(&path).await.problem(401, "TOKEN_MISSING");
    bob.get(&path).await.problem(404, "USER_NOT_FOUND");
    bob.patch(&path, &json!({ "name": "Mallory" }))
        .await
        .problem(404, "USER_NOT_FOUND");
    bob.delete(&path).await.problem(404, "USER_NOT_FOUND");
    bob.get("/v1/core/users").await.problem(403, "ADMIN_ONLY");
    bob.post("/v1/core/users", &json!({ "email": "x@y.zz", "name": "X" }))
        .await
        .problem(403, "ADMIN_ONLY");

    let renamed = ada.patch(&path, &json!({ "name": "Ada" })).await.expect(200).json();
    assert_eq!(renamed["name"], "Ada");
    ada.patch(&path, &json!({ "role": "admin" }))
        .await
        .problem(422, "INVALID_BODY");

    let admin = admin(&stack, "root@example.org").await;
    let first = admin.get("/v1/core/users?limit=2").await.expect(200).json();
    assert_eq!(first["users"].as_array().map(Vec::len), Some(2));
    let cursor = first["next_cursor"].as_str().expect("a second page");
    let second = admin
        .get(&format!("/v1/core/users?limit=2&cursor={cursor}"))
        .await
        .expect(200)
        .json();
    assert_eq!(second["users"][0]["id"], ada_id.as_str());
    assert!(second["next_cursor"].is_null());
    admin.get("/v1/core/users?limit=0").await.problem(400, "BAD_LIMIT");
    admin.get("/v1/core/users?page=2").await.problem(400, "BAD_QUERY");
    let made = admin
        .post("/v1/core/users", &json!({ "email": "new@example.org", "name": "New" }))
        .await
        .expect(201);
    assert_eq!(made.json()["email"], "new@example.org");

    admin.delete(&path).await.expect(204);
    admin.get(&path).await.problem(404, "USER_NOT_FOUND");
    let me = admin.get("/v1/core/users/me").await.expect(200).json();
    let own = format!("/v1/core/users/{}", me["id"].as_str().expect("an id"));
    admin.delete(&own).await.problem(409, "LAST_ADMIN");
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_the_mailed_link_and_ends_all_sessions() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    register(&client, "ada@example.org").await.expect(201);
    let before = login(&client, "ada@example.org").await;
    let asked = json!({ "email": "ada@example.org" });
    let known = client
        .post("/v1/core/auth/forgot-password", &asked)
        .await
        .expect(202)
        .json();
    let unknown = client
        .post(
            "/v1/core/auth/forgot-password",
            &json!({ "email": "nobody@example.org" }),
        )
        .await;
    assert_eq!(
        unknown.expect(202).json(),
        known,
        "the answer must not tell who has an account"
    );
    let token = mailed_token(&stack).await;
    let reset = |password: &str| json!({ "token": token, "password": password });
    client
        .post("/v1/core/auth/reset-password", &reset("short"))
        .await
        .problem(422, "INVALID_FIELD");
    client
        .post("/v1/core/auth/reset-password", &reset("another good one"))
        .await
        .expect(204);
    client
        .post("/v1/core/auth/reset-password", &reset("another good one"))
        .await
        .problem(400, "LINK_INVALID");
    let refresh = json!({ "refresh_token": before["refresh_token"] });
    client
        .post("/v1/core/auth/refresh", &refresh)
        .await
        .problem(401, "REFRESH_TOKEN_INVALID");
    let old = json!({ "email": "ada@example.org", "password": PASSWORD });
    client
        .post("/v1/core/auth/login", &old)
        .await
        .problem(401, "BAD_CREDENTIALS");
    let new = json!({ "email": "ada@example.org", "password": "another good one" });
    client.post("/v1/core/auth/login", &new).await.expect(200);
}

/// The token in the newest mail of the outbox.
async fn mailed_token(stack: &Stack) -> String {
    for _ in 0..100 {
        let mails = std::fs::read_dir(stack.data_dir().join("outbox")).expect("an outbox");
        for mail in mails.flatten() {
            let text = std::fs::read_to_string(mail.path())
                .unwrap_or_default()
                .replace("=\r\n", "")
                .replace("=3D", "=");
            if let Some((_, rest)) = text.split_once("token=") {
                return rest.split_whitespace().next().expect("a token").to_owned();
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no mail came");
}

#[tokio::test]
async fn a_used_refresh_token_ends_the_session() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    register(&client, "ada@example.org").await.expect(201);
    let first = login(&client, "ada@example.org").await;
    let used = json!({ "refresh_token": first["refresh_token"] });
    let second = client.post("/v1/core/auth/refresh", &used).await.expect(200).json();
    client
        .post("/v1/core/auth/refresh", &used)
        .await
        .problem(401, "REFRESH_TOKEN_INVALID");
    let next = json!({ "refresh_token": second["refresh_token"] });
    client
        .post("/v1/core/auth/refresh", &next)
        .await
        .problem(401, "REFRESH_TOKEN_INVALID");
    let stolen = client.bearer(second["access_token"].as_str().expect("a token"));
    stolen.get("/v1/core/users/me").await.problem(401, "SESSION_ENDED");
}

#[tokio::test]
async fn the_setup_link_makes_one_administrator() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    let errors = stack.processes[0].1.errors();
    let (_, rest) = errors.split_once("/v1/core/setup?token=").expect("a set-up link");
    let token = rest.split_whitespace().next().expect("a token");
    let page = client.get(&format!("/v1/core/setup?token={token}")).await.expect(200);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let body = json!({ "token": token, "email": "root@example.org", "password": PASSWORD });
    let made = client.post("/v1/core/setup", &body).await.expect(201).json();
    assert_eq!(made["user"]["role"], "admin");
    client.post("/v1/core/setup", &body).await.problem(400, "LINK_INVALID");
}

#[tokio::test]
async fn the_documents_describe_every_route() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    let document = client.get("/v1/core/openapi.json").await.expect(200).json();
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1")),
        "{document}"
    );
    for (path, method) in [
        ("/v1/core/auth/register", "post"),
        ("/v1/core/auth/login", "post"),
        ("/v1/core/users/{id}", "patch"),
        ("/.well-known/jwks.json", "get"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
    assert_eq!(
        document["paths"]["/v1/core/users/me"]["get"]["security"][0]["bearer"],
        json!([])
    );
    let page = client.get("/v1/core/docs/").await.expect(200);
    assert!(
        !page.text().contains("https://"),
        "the docs page must work offline: {}",
        page.text()
    );
}

#[tokio::test]
async fn a_changed_password_ends_all_sessions() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    register(&client, "ada@example.org").await.expect(201);
    let other = login(&client, "ada@example.org").await;
    let ada = client.bearer(&token_of(&login(&client, "ada@example.org").await));
    let change = |current: &str, new: &str| json!({ "current_password": current, "password": new });
    ada.post(
        "/v1/core/auth/change-password",
        &change("not this one", "another good one"),
    )
    .await
    .problem(401, "BAD_CREDENTIALS");
    ada.post("/v1/core/auth/change-password", &change(PASSWORD, "short"))
        .await
        .problem(422, "INVALID_FIELD");
    ada.get("/v1/core/users/me").await.expect(200);
    ada.post("/v1/core/auth/change-password", &change(PASSWORD, "another good one"))
        .await
        .expect(204);
    // Other copies would hear of it within a second; so may this one.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ada.get("/v1/core/users/me").await.problem(401, "SESSION_ENDED");
    let elsewhere = client.bearer(&token_of(&other));
    elsewhere.get("/v1/core/users/me").await.problem(401, "SESSION_ENDED");
    let refresh = json!({ "refresh_token": other["refresh_token"] });
    client
        .post("/v1/core/auth/refresh", &refresh)
        .await
        .problem(401, "REFRESH_TOKEN_INVALID");
    let old = json!({ "email": "ada@example.org", "password": PASSWORD });
    client
        .post("/v1/core/auth/login", &old)
        .await
        .problem(401, "BAD_CREDENTIALS");
    let new = json!({ "email": "ada@example.org", "password": "another good one" });
    client.post("/v1/core/auth/login", &new).await.expect(200);
}

fn token_of(tokens: &Value) -> String {
    tokens["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn with_a_mail_server_an_address_is_proven_before_its_first_login() {
    let mail = MailServer::start();
    let url = format!("smtp://{}", mail.address);
    let settings = [
        ("PORTICO_SMTP_URL", url.as_str()),
        ("PORTICO_MAIL_FROM", "Portico <portico@example.org>"),
    ];
    let stack = Stack::start_with(Shape::OneProcess, &settings).await;
    let client = stack.client();
    let answer = register(&client, "ada@example.org").await.expect(202).json();
    let again = register(&client, "ada@example.org").await.expect(202).json();
    assert_eq!(again, answer, "the answer must not tell who has an account");
    let credentials = json!({ "email": "ada@example.org", "password": PASSWORD });
    client
        .post("/v1/core/auth/login", &credentials)
        .await
        .problem(403, "EMAIL_NOT_VERIFIED");

    let token = mail.token("verify-email").await;
    let page = client
        .get(&format!("/v1/core/auth/verify-email?token={token}"))
        .await
        .expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    client
        .post("/v1/core/auth/verify-email", &json!({ "token": "made up" }))
        .await
        .problem(400, "LINK_INVALID");
    let verify = json!({ "token": token });
    client.post("/v1/core/auth/verify-email", &verify).await.expect(204);
    client
        .post("/v1/core/auth/verify-email", &verify)
        .await
        .problem(400, "LINK_INVALID");
    client.post("/v1/core/auth/login", &credentials).await.expect(200);
}

/// A real SMTP server that keeps what it is given.
struct MailServer {
    child: std::process::Child,
    address: String,
    directory: portico_tests::Directory,
}

impl MailServer {
    fn start() -> Self {
        let directory = portico_tests::Directory::make();
        let address = portico_tests::stack::free_address();
        let child = std::process::Command::new(portico_tests::python())
            .args(["-m", "aiosmtpd", "-n", "-l", &address])
            .args(["-c", "aiosmtpd.handlers.Mailbox"])
            .arg(directory.path().join("mails"))
            .spawn()
            .expect("python starts");
        for _ in 0..100 {
            if std::net::TcpStream::connect(&address).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Self {
            child,
            address,
            directory,
        }
    }

    /// The token of the link to `page` in some mail.
    async fn token(&self, page: &str) -> String {
        for _ in 0..100 {
            let mails = std::fs::read_dir(self.directory.path().join("mails/new")).into_iter();
            for mail in mails.flatten().flatten() {
                let text = std::fs::read_to_string(mail.path()).unwrap_or_default();
                let text = text.replace("=\n", "").replace("=\r\n", "").replace("=3D", "=");
                if let Some((_, rest)) = text.split_once(&format!("{page}?token=")) {
                    return rest.split_whitespace().next().expect("a token").to_owned();
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("no mail came")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn discovery_names_the_keys_that_tokens_are_signed_with() {
    let settings = [("PORTICO_PUBLIC_URL", "https://api.example.org")];
    let stack = Stack::start_with(Shape::OneProcess, &settings).await;
    let client = stack.client();
    let document = client.get("/.well-known/openid-configuration").await.expect(200).json();
    let issuer = document["issuer"].as_str().expect("an issuer");
    assert_eq!(issuer, "https://api.example.org");
    assert_eq!(document["jwks_uri"], "https://api.example.org/.well-known/jwks.json");
    let keys = client.get("/.well-known/jwks.json").await.expect(200).json();
    register(&client, "ada@example.org").await.expect(201);
    let token = token_of(&login(&client, "ada@example.org").await);
    let part = |at: usize| -> Value {
        let coded = token.split('.').nth(at).expect("three parts");
        let bytes = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, coded).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    assert_eq!(part(1)["iss"], issuer);
    let mut known = keys["keys"].as_array().expect("keys").iter();
    assert!(
        known.any(|key| key["kid"] == part(0)["kid"]),
        "{} is in {keys}",
        part(0)["kid"]
    );
    let algorithms = &document["id_token_signing_alg_values_supported"];
    assert!(algorithms.as_array().expect("a list").contains(&part(0)["alg"]));
}

#[tokio::test]
async fn a_stale_token_keeps_nobody_from_logging_in() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    register(&client, "ada@example.org").await.expect(201);
    login(&client.bearer("a.stale.token"), "ada@example.org").await;
}
