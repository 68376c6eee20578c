//! Every route of the OpenAPI documents is asked without a token, with a bad one and by a user who may not, and has a test.

use super::sources::literals;
use crate::core::{login, register};
use http::Method;
use portico_tests::{Answer, Client, Shape, Stack};
use serde_json::Value;
use std::{fs, path::Path};

struct Operation {
    method: Method,
    /// With `{name}` for what varies.
    path: String,
    /// What its security asks for: nothing, a token, or an administrator's.
    scopes: Option<Vec<String>>,
}

async fn operations(client: &Client) -> Vec<Operation> {
    let mut found = Vec::new();
    for service in ["core", "media", "links"] {
        let document = client
            .get(&format!("/v1/{service}/openapi.json"))
            .await
            .expect(200)
            .json();
        let before = found.len();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let Ok(method) = method.to_uppercase().parse() else {
                    continue;
                };
                found.push(Operation {
                    method,
                    path: path.clone(),
                    scopes: scopes(operation),
                });
            }
        }
        assert!(found.len() > before, "{service} has routes");
    }
    found
}

fn scopes(operation: &Value) -> Option<Vec<String>> {
    let required = operation["security"].as_array()?.first()?.as_object()?;
    let names = required
        .values()
        .flat_map(|scopes| scopes.as_array().into_iter().flatten());
    Some(names.filter_map(|scope| scope.as_str().map(str::to_owned)).collect())
}

/// A path somebody could ask for.
fn filled(path: &str) -> String {
    let segment = |segment: &str| match segment.starts_with('{') {
        true => "0190aaaa-0000-7000-8000-000000000000".to_owned(),
        false => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

async fn ask(client: &Client, operation: &Operation) -> Answer {
    let body = match operation.method {
        Method::GET | Method::DELETE => "",
        _ => "{}",
    };
    let content_type = (!body.is_empty()).then_some("application/json");
    client
        .send(operation.method.clone(), &filled(&operation.path), body, content_type)
        .await
}

#[tokio::test]
async fn every_route_refuses_who_may_not_call_it() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    register(&client, "ada@example.org").await.expect(201);
    let tokens = login(&client, "ada@example.org").await;
    let ada = client.bearer(tokens["access_token"].as_str().expect("a token"));
    let forged = client.bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.");
    let (mut guarded, mut admins) = (0, 0);
    for operation in operations(&client).await {
        let what = format!("{} {}", operation.method, operation.path);
        let Some(scopes) = &operation.scopes else { continue };
        guarded += 1;
        let answer = ask(&client, &operation).await;
        answer.problem(401, "TOKEN_MISSING");
        assert!(answer.headers.contains_key("www-authenticate"), "{what}");
        let answer = ask(&forged, &operation).await;
        assert_eq!(answer.status, 401, "{what} with a forged token: {}", answer.text());
        if scopes.iter().any(|scope| scope == "admin") {
            admins += 1;
            ask(&ada, &operation).await.problem(403, "ADMIN_ONLY");
        }
    }
    assert!(
        guarded > 10 && admins > 1,
        "{guarded} routes need a token, {admins} an administrator's"
    );
}

#[tokio::test]
async fn every_route_has_a_test() {
    let stack = Stack::start(Shape::OneProcess).await;
    let tests = literals(&Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e"));
    let mut forgotten = Vec::new();
    for operation in operations(&stack.client()).await {
        let named = tests.iter().any(|(file, literal)| {
            leads_to(literal, &operation.path) && calls(&fs::read_to_string(file).expect("a test"), &operation.method)
        });
        if !named {
            forgotten.push(format!("{} {}", operation.method, operation.path));
        }
    }
    assert!(forgotten.is_empty(), "no end-to-end test asks {forgotten:?}");
}

/// Whether a literal of a test is a path of this route: `/v1/core/users/{id}?x=1` leads to `/v1/core/users/{id}`.
fn leads_to(literal: &str, path: &str) -> bool {
    let literal = literal.split('?').next().unwrap_or_default();
    let (given, wanted): (Vec<_>, Vec<_>) = (literal.split('/').collect(), path.split('/').collect());
    let fits = |(given, wanted): (&&str, &&str)| given == wanted || wanted.starts_with('{') && !given.is_empty();
    given.len() == wanted.len() && given.iter().zip(&wanted).all(fits)
}

fn calls(text: &str, method: &Method) -> bool {
    let lower = method.as_str().to_lowercase();
    // An upload is a POST with a form.
    let upload = *method == Method::POST && text.contains(".upload(");
    text.contains(&format!(".{lower}(")) || text.contains(&format!("Method::{method}")) || upload
}
