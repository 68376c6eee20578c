//! The command line, as an operator uses it.

use portico_tests::{Shape, Stack, directory::Directory, process};
use std::{collections::HashMap, fs};

fn run(directory: &Directory, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let environment: HashMap<String, String> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    process::run(arguments, &environment, directory.path(), "")
}

#[test]
fn check_tells_every_mistake_with_its_place() {
    let directory = Directory::make();
    fs::write(
        directory.path().join("portico.toml"),
        "htp_addr = \":80\"\nrate_limit_core = \"lots\"\n",
    )
    .unwrap();
    let (code, _, errors) = run(
        &directory,
        &["check"],
        &[("JWT_SECRET", "short"), ("PORTICO_DATADIR", "x")],
    );
    assert_eq!(code, 1);
    for part in [
        "portico.toml:1: 'htp_addr' is no setting; did you mean 'http_addr'?",
        "portico.toml:2: rate_limit_core: 'lots' is no rate",
        "JWT_SECRET: is 5 bytes long",
        "PORTICO_DATADIR: there is no such variable; did you mean 'PORTICO_DATA_DIR'?",
        "4 mistakes",
    ] {
        assert!(errors.contains(part), "{part} in:\n{errors}");
    }
}

#[test]
fn config_shows_where_each_value_came_from_and_hides_secrets() {
    let directory = Directory::make();
    let secret = "hunter2hunter2hunter2hunter2hunter2";
    let (code, out, _) = run(&directory, &["config", "--http-addr", ":81"], &[("JWT_SECRET", secret)]);
    assert_eq!(code, 0);
    assert!(!out.contains("hunter2"), "{out}");
    let line = out.lines().find(|line| line.starts_with("http_addr ")).unwrap();
    assert!(line.contains("\":81\"") && line.ends_with("--http-addr"), "{line}");
}

#[test]
fn usage_mistakes_exit_with_2_and_missing_settings_with_1() {
    let directory = Directory::make();
    assert_eq!(run(&directory, &["dance"], &[]).0, 2);
    assert_eq!(run(&directory, &["serve", "kernel"], &[]).0, 2);
    let (code, _, errors) = run(&directory, &["serve", "core"], &[]);
    assert_eq!(code, 1);
    assert!(errors.contains("DATABASE_URL"), "{errors}");
    let (code, out, _) = run(&directory, &["version"], &[]);
    assert_eq!(code, 0);
    assert!(out.starts_with("portico 0."), "{out}");
}

#[test]
fn without_postgresql_the_message_says_what_to_install() {
    let directory = Directory::make();
    let data = directory.path().join("data").display().to_string();
    let nowhere = directory.path().display().to_string();
    let settings = [
        ("PORTICO_DATA_DIR", data.as_str()),
        ("PORTICO_POSTGRES_BIN", nowhere.as_str()),
    ];
    let (code, _, errors) = run(&directory, &["up"], &settings);
    assert_eq!(code, 1);
    assert!(
        errors.contains("PostgreSQL 15 or newer is needed") && errors.contains("install"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_second_up_on_the_same_directory_is_refused() {
    let stack = Stack::start(Shape::OneProcess).await;
    let (code, _, errors) = stack.run(&["up"], "");
    assert_eq!(code, 1);
    let pid = stack.processes[0].1.pid().to_string();
    assert!(
        errors.contains("in use by another portico") && errors.contains(&pid),
        "{errors}"
    );
}

#[tokio::test]
async fn operators_manage_accounts_while_it_runs() {
    let stack = Stack::start(Shape::OneProcess).await;
    let (code, _, errors) = stack.run(
        &["user", "create", "ada@example.org", "--password-stdin"],
        crate::core::PASSWORD,
    );
    assert_eq!(code, 0, "{errors}");
    let tokens = crate::core::login(&stack.client(), "ada@example.org").await;
    let (code, token, errors) = stack.run(&["token", "issue", "ada@example.org"], "");
    assert_eq!(code, 0, "{errors}");
    let me = stack
        .client()
        .bearer(token.trim())
        .get("/v1/core/users/me")
        .await
        .expect(200)
        .json();
    assert_eq!(me["email"], "ada@example.org");
    assert_eq!(stack.run(&["user", "set-role", "ada@example.org", "admin"], "").0, 0);
    let (_, list, _) = stack.run(&["user", "list"], "");
    let user: serde_json::Value = serde_json::from_str(list.trim()).unwrap();
    assert_eq!(user["role"], "admin");
    let (code, _, errors) = stack.run(&["user", "disable", "ada@example.org"], "");
    assert_eq!(code, 1);
    assert!(errors.contains("last administrator"), "{errors}");
    assert_eq!(tokens["user"]["role"], "user");
    let (code, out, _) = stack.run(&["migrate", "status"], "");
    assert_eq!(code, 0);
    assert!(out.contains("0001_users") && !out.contains("pending"), "{out}");
}

#[tokio::test]
async fn a_backup_taken_while_it_runs_restores_everything() {
    let mut stack = Stack::start(Shape::OneProcess).await;
    let client = stack.client();
    let ada = client.bearer(&crate::core::token(&client, "ada@example.org").await);
    let answer = ada
        .upload("/v1/media/upload", "photo.jpg", "image/jpeg", &crate::media::photo())
        .await
        .expect(201);
    let asset = answer.json()["id"].as_str().expect("an id").to_owned();
    let place = Directory::make();
    let backup = place.path().join("backup").display().to_string();
    let (code, _, errors) = stack.run(&["backup", &backup], "");
    assert_eq!(code, 0, "{errors}");
    let (code, _, errors) = stack.run(&["backup", &backup], "");
    assert_eq!(code, 1);
    assert!(errors.contains("exists already"), "{errors}");
    let (code, _, errors) = stack.run(&["restore", &backup], "");
    assert_eq!(code, 1);
    assert!(errors.contains("not empty"), "{errors}");

    stack.take("up").interrupt();
    let elsewhere = place.path().join("data").display().to_string();
    stack.environment.insert("PORTICO_DATA_DIR".into(), elsewhere);
    let (code, _, errors) = stack.run(&["restore", &backup], "");
    assert_eq!(code, 0, "{errors}");
    stack.up();
    let tokens = crate::core::login(&stack.client(), "ada@example.org").await;
    let ada = stack.client().bearer(tokens["access_token"].as_str().expect("a token"));
    let content = ada.get(&format!("/v1/media/assets/{asset}/content")).await.expect(200);
    assert_eq!(content.body, crate::media::photo());
}

#[test]
fn check_reads_what_traefik_would() {
    let directory = Directory::make();
    let write = |text: &str| fs::write(directory.path().join("dynamic.yml"), text).expect("a file");
    let flags = [
        "check",
        "--",
        "--entrypoints.web.address=:80",
        "--providers.file.filename=dynamic.yml",
    ];
    write("http:\n  routers:\n    r: {rule: 'Host(`{{ env \"DOMAIN\" }}`)', service: api@internal}\n");
    let (code, out, errors) = run(&directory, &flags, &[("DOMAIN", "a.test")]);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("gateway: right"), "{out}");

    write(
        "http:\n  routers:\n    r: {rule: 'Host(`a.test`)', service: nobody, middlewares: [none]}\n    s: {rule: 'Hots(`a.test`)', service: api@internal}\n",
    );
    let (code, _, errors) = run(&directory, &flags, &[]);
    assert_eq!(code, 1);
    for part in ["router r@file", "nobody", "none", "router s@file", "Hots"] {
        assert!(errors.contains(part), "{part} in:\n{errors}");
    }
    write("http:\n  routers:\n    r: {rul: 'Host(`a.test`)'}\n");
    let (code, _, errors) = run(&directory, &flags, &[]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("dynamic.yml:3") && errors.contains("did you mean 'rule'?"),
        "{errors}"
    );
    let (code, _, errors) = run(&directory, &["check", "--", "--entrypoints.web.adress=:80"], &[]);
    assert_eq!(code, 1);
    assert!(errors.contains("did you mean 'address'?"), "{errors}");
}
