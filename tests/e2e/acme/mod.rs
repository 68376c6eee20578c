//! Certificates from a real authority: every challenge, every storage, renewal while clients knock, failures that are told.

mod dns;
mod platform;

use base64::{Engine, engine::general_purpose::STANDARD};
use portico_tests::{
    Database, Directory, Edge, Pebble,
    edge::{Ports, configure, free_port},
    pebble::Options,
    tls::{Authority, Client},
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// A router for each host with a resolver.
fn routers(hosts: &[&str]) -> String {
    let mut text = "http:\n  routers:\n".to_owned();
    for (number, host) in hosts.iter().enumerate() {
        text += &format!(
            "    r{number}: {{rule: \"Host(`{host}`)\", service: noop@internal, entryPoints: [websecure], tls: {{certResolver: le}}}}\n"
        );
    }
    text
}

fn texts(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

fn all_valid(count: usize) -> impl Fn(&[Value]) -> bool {
    move |all| all.len() == count && all.iter().all(|one| one["status"] == "valid")
}

#[tokio::test]
async fn http_01_is_answered_behind_a_redirection_and_the_storage_is_traefiks() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let pebble = Pebble::start(&directory, &ports).await;
    configure(&directory, &routers(&["a.test", "b.test"]));
    let mut flags = pebble.flags(&["httpchallenge.entrypoint=web", "storage=acme.json"]);
    flags.push("--entrypoints.web.http.redirections.entrypoint.to=websecure".into());
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[]);
    edge.certificates(all_valid(2)).await;
    let client = pebble.client().await;
    for host in ["a.test", "b.test"] {
        let answer = client
            .get(&edge.websecure, host, "/", "")
            .await
            .expect("a verified handshake");
        assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");
    }
    // What no authority asked for goes the usual way.
    let plain = portico_tests::Client::new(&format!("http://{}", edge.web));
    let answer = plain.get("/.well-known/acme-challenge/unknown").await;
    assert_eq!(answer.status, 301, "{}", answer.text());

    let path = directory.path().join("acme.json");
    assert_eq!(fs::metadata(&path).expect("kept").permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_str(&fs::read_to_string(&path).expect("text")).expect("JSON");
    assert_eq!(kept["le"]["Account"]["Email"], "admin@example.org");
    assert_eq!(kept["le"]["Certificates"][0]["Store"], "default");
    let logs = format!("{:?}", edge.process.logs());
    let key = kept["le"]["Account"]["PrivateKey"].as_str().expect("a key");
    assert!(
        !logs.contains("PRIVATE KEY") && !logs.contains(&key[..40]),
        "keys are in the log"
    );

    // Started again, it takes up account and certificates, and orders nothing.
    let before = client.certificate(&edge.websecure, "a.test").await.expect("shown");
    drop(edge);
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[]);
    edge.certificates(all_valid(2)).await;
    assert_eq!(
        client.certificate(&edge.websecure, "a.test").await.expect("shown"),
        before
    );
    assert_eq!(edge.said("a certificate was issued"), 0);
    // The account is used, not made anew.
    configure(&directory, &routers(&["a.test", "b.test", "c.test"]));
    edge.certificates(all_valid(3)).await;
    let again: Value = serde_json::from_str(&fs::read_to_string(&path).expect("text")).expect("JSON");
    assert_eq!(again["le"]["Account"], kept["le"]["Account"]);
}

#[tokio::test]
async fn tls_alpn_01_is_answered_on_any_tls_entrypoint() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let pebble = Pebble::start(&directory, &ports).await;
    configure(&directory, &routers(&["alpn.test"]));
    let flags = pebble.flags(&["tlschallenge=true", "storage=acme.json"]);
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[]);
    edge.certificates(all_valid(1)).await;
    let client = pebble.client().await;
    let answer = client
        .get(&edge.websecure, "alpn.test", "/", "")
        .await
        .expect("verified");
    assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");
    // Where no proof waits there is nothing to shake hands about.
    let asking = Client {
        alpn: vec!["acme-tls/1"],
        ..Client::default()
    };
    assert!(asking.connect(&edge.websecure, "alpn.test").await.is_err());
}

#[tokio::test]
async fn an_account_is_bound_to_the_operators_and_a_wrong_key_is_told() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let options = Options {
        external: Some((
            "kid-1",
            "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
        )),
        ..Options::default()
    };
    let pebble = Pebble::start_with(&directory, &ports, &options).await;
    configure(&directory, &routers(&["eab.test"]));
    let with = |key: &str, storage: &str| {
        pebble.flags(&[
            "tlschallenge=true",
            storage,
            "eab.kid=kid-1",
            &format!("eab.hmacencoded={key}"),
        ])
    };
    let flags = with(
        "b10lLJs8l1GPIzsLP0s6pMt8O0XVGnfTaCeROxQM0BIt2XrJMDHJZBM5NuQmQJQH",
        "storage=wrong.json",
    );
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[]);
    let shown = edge
        .certificates(|all| all.iter().any(|one| one["status"] == "error"))
        .await;
    assert!(
        shown[0]["error"][0]
            .as_str()
            .expect("why")
            .contains("registering the account"),
        "{shown:?}"
    );
    drop(edge);
    let flags = with(options.external.expect("set").1, "storage=right.json");
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[]);
    edge.certificates(all_valid(1)).await;
}

#[tokio::test]
async fn certificates_of_traefiks_acme_json_are_shown_and_not_ordered_anew() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let authority = Authority::make("an authority");
    let pair = authority.issue(&["old.test", "www.old.test"]);
    let kept = json!({"le": {
        "Account": {
            "Email": "admin@example.org",
            "Registration": {"body": {"status": "valid"}, "uri": "https://127.0.0.1:1/acct/7"},
            "PrivateKey": "", "KeyType": "4096",
        },
        "Certificates": [{
            "domain": {"main": "old.test", "sans": ["www.old.test"]},
            "certificate": STANDARD.encode(&pair.cert), "key": STANDARD.encode(&pair.key), "Store": "default",
        }],
    }});
    let path = directory.path().join("acme.json");
    fs::write(&path, kept.to_string()).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    // One router for a name, one for both: the certificate is good for both.
    configure(
        &directory,
        &(routers(&["old.test"])
            + "    both: {rule: \"Host(`old.test`) || Host(`www.old.test`)\", service: noop@internal, tls: {certResolver: le}}\n"),
    );
    let flags = [
        "--certificatesresolvers.le.acme.caserver=https://127.0.0.1:1/dir",
        "--certificatesresolvers.le.acme.storage=acme.json",
        "--certificatesresolvers.le.acme.tlschallenge=true",
    ];
    let edge = Edge::start(&directory, &ports, &flags, &[]);
    edge.routers(&["r0@file", "both@file"]).await;
    let client = Client::trusting(&authority.cert);
    client
        .certificate(&edge.websecure, "www.old.test")
        .await
        .expect("the imported one");
    client
        .certificate(&edge.websecure, "old.test")
        .await
        .expect("the imported one");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(edge.said("a certificate was not issued"), 0, "nothing was ordered");
}

#[tokio::test]
async fn a_storage_open_to_others_is_refused_and_traffic_goes_on() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let path = directory.path().join("acme.json");
    fs::write(&path, "{}").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    configure(&directory, &routers(&["a.test"]));
    let flags = [
        "--certificatesresolvers.le.acme.storage=acme.json",
        "--certificatesresolvers.le.acme.tlschallenge=true",
    ];
    let edge = Edge::start(&directory, &ports, &flags, &[]);
    let shown = edge
        .certificates(|all| all.iter().any(|one| one["status"] == "error"))
        .await;
    let why = shown[0]["error"][0].as_str().expect("why");
    assert!(why.contains("permissions 644") && why.contains("chmod 600"), "{why}");
    let answer = Client::default()
        .get(&edge.websecure, "a.test", "/", "")
        .await
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");
}

#[tokio::test]
async fn a_failed_order_waits_before_the_next_try() {
    let (directory, ports) = (Directory::make(), Ports::free());
    configure(&directory, &routers(&["a.test", "b.test"]));
    let server = format!(
        "--certificatesresolvers.le.acme.caserver=https://127.0.0.1:{}/dir",
        free_port()
    );
    let flags = [
        server.as_str(),
        "--certificatesresolvers.le.acme.storage=acme.json",
        "--certificatesresolvers.le.acme.tlschallenge=true",
    ];
    let edge = Edge::start(&directory, &ports, &flags, &[]);
    let shown = edge
        .certificates(|all| all.iter().filter(|one| one["status"] == "error").count() == 2)
        .await;
    assert!(
        shown[0]["nextTry"].is_string() && shown[0]["failures"] == 1,
        "{shown:?}"
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(edge.said("a certificate was not issued"), 2, "once for each");
    let told = edge.process.logs();
    let line = told
        .iter()
        .find(|line| line["message"] == "a certificate was not issued")
        .expect("told");
    assert!(line["domains"].as_str().expect("which").contains("test"), "{line}");
    assert!(
        line["error"].as_str().expect("why").contains("did not answer"),
        "{line}"
    );
}

#[tokio::test]
async fn certificates_are_renewed_without_one_failed_handshake() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let options = Options {
        validity: 15,
        ..Options::default()
    };
    let pebble = Pebble::start_with(&directory, &ports, &options).await;
    configure(&directory, &routers(&["renew.test"]));
    let flags = pebble.flags(&["tlschallenge=true", "storage=acme.json"]);
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[]);
    edge.certificates(all_valid(1)).await;
    let client = pebble.client().await;
    let clients = (0..4).map(|_| {
        let (client, address) = (client.clone(), edge.websecure.clone());
        tokio::spawn(async move {
            let (mut seen, mut failed, mut count) = (HashSet::new(), Vec::new(), 0);
            let until = Instant::now() + Duration::from_secs(25);
            while Instant::now() < until {
                count += 1;
                // Verified, validity included: an expired certificate fails it.
                match client.certificate(&address, "renew.test").await {
                    Ok(certificate) => drop(seen.insert(certificate)),
                    Err(error) => failed.push(error.to_string()),
                }
            }
            (seen, failed, count)
        })
    });
    let mut all = HashSet::new();
    for done in futures_util::future::join_all(clients).await {
        let (seen, failed, count) = done.expect("a client");
        assert!(
            failed.is_empty(),
            "{} of {count} handshakes failed: {failed:?}",
            failed.len()
        );
        assert!(count > 100, "{count} handshakes");
        all.extend(seen);
    }
    assert!(all.len() >= 3, "{} certificates were seen", all.len());
}

#[tokio::test]
async fn gateways_that_share_a_database_order_once_and_answer_for_each_other() {
    let (directory, ports, others) = (Directory::make(), Ports::free(), Ports::free());
    // The authority asks the second one, whoever orders.
    let pebble = Pebble::start(&directory, &others).await;
    let database = Database::start(&directory).await;
    let environment = [("DATABASE_URL", database.url.expose())];
    configure(&directory, &routers(&["s1.test", "s2.test", "s3.test", "s4.test"]));
    let flags = pebble.flags(&["httpchallenge.entrypoint=web", "storage=postgres"]);
    // It listens before anybody orders.
    let two = Edge::start(&directory, &others, &texts(&flags), &environment);
    let one = Edge::start(&directory, &ports, &texts(&flags), &environment);
    one.certificates(all_valid(4)).await;
    two.certificates(all_valid(4)).await;
    let client = pebble.client().await;
    for host in ["s1.test", "s2.test", "s3.test", "s4.test"] {
        let here = client.certificate(&one.websecure, host).await.expect("verified");
        let there = client.certificate(&two.websecure, host).await.expect("verified");
        assert_eq!(here, there, "{host}");
    }
    let issued = [&one, &two].map(|edge| edge.said("a certificate was issued"));
    assert_eq!(issued[0] + issued[1], 4, "{issued:?}");
    // A third comes later, with TLS-ALPN as its way, and finds everything there.
    let third = Ports::free();
    let late = Edge::start(&directory, &third, &texts(&flags), &environment);
    late.certificates(all_valid(4)).await;
    assert_eq!(late.said("a certificate was issued"), 0);
    assert_eq!(
        client.certificate(&late.websecure, "s1.test").await.expect("verified"),
        client.certificate(&one.websecure, "s1.test").await.expect("verified")
    );
}

#[tokio::test]
async fn the_chain_the_operator_prefers_is_shown() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let options = Options {
        alternate_roots: 2,
        ..Options::default()
    };
    let pebble = Pebble::start_with(&directory, &ports, &options).await;
    configure(&directory, &routers(&["chain.test"]));
    let preferred = format!("preferredchain={}", pebble.root_name(2).await);
    let flags = pebble.flags(&["tlschallenge=true", "storage=acme.json", &preferred]);
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[]);
    edge.certificates(all_valid(1)).await;
    let preferring = pebble.client_of(2).await;
    preferring
        .certificate(&edge.websecure, "chain.test")
        .await
        .expect("verified");
    assert!(
        pebble
            .client()
            .await
            .certificate(&edge.websecure, "chain.test")
            .await
            .is_err(),
        "the usual chain is not shown"
    );
}
