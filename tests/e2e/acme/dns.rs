//! Names proven in the DNS: by a program, through Cloudflare, where an alias leads.

use super::{all_valid, routers, texts};
use portico_tests::{
    Directory, Edge, Pebble, Receiver,
    edge::{Ports, configure},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// A program that puts records into pebble's name server, and notes how it was called.
fn dns_program(directory: &Directory, pebble: &Pebble) -> String {
    let program = directory.path().join("dns");
    let script = format!(
        "#!/bin/sh\nset -e\nbase={}\ncase $1 in\n\
         present) curl -sf -d \"{{\\\"host\\\":\\\"$2\\\",\\\"value\\\":\\\"$3\\\"}}\" $base/set-txt;;\n\
         cleanup) curl -sf -d \"{{\\\"host\\\":\\\"$2\\\"}}\" $base/clear-txt;;\nesac\necho $1 $2 >> {}\n",
        pebble.dns_management,
        directory.path().join("calls").display()
    );
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    program.display().to_string()
}

#[tokio::test]
async fn dns_01_puts_the_proof_where_the_challenges_name_leads() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let pebble = Pebble::start(&directory, &ports).await;
    let program = dns_program(&directory, &pebble);
    let dns = portico_tests::Client::new(&pebble.dns_management);
    let alias = json!({"host": "_acme-challenge.led.test.", "target": "led.proofs.test."});
    dns.post("/set-cname", &alias).await.expect(200);
    configure(&directory, &routers(&["led.test"]));
    let resolver = format!("dnschallenge.resolvers={}", pebble.dns);
    let flags = pebble.flags(&["dnschallenge.provider=exec", &resolver, "storage=acme.json"]);
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[("EXEC_PATH", &program)]);
    edge.certificates(all_valid(1)).await;
    let calls = fs::read_to_string(directory.path().join("calls")).expect("calls");
    assert_eq!(
        calls.lines().collect::<Vec<_>>(),
        ["present led.proofs.test.", "cleanup led.proofs.test."]
    );
}

#[tokio::test]
async fn dns_01_by_a_program_gets_wildcards_which_others_are_refused() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let pebble = Pebble::start(&directory, &ports).await;
    let program = dns_program(&directory, &pebble);
    let domains = "tls: {certResolver: le, domains: [{main: wild.test, sans: ['*.wild.test']}]}";
    let dynamic = format!("http: {{routers: {{r: {{rule: 'HostRegexp(`.*`)', service: noop@internal, {domains}}}}}}}");
    configure(&directory, &dynamic);
    let resolver = format!("dnschallenge.resolvers={}", pebble.dns);
    let flags = pebble.flags(&["dnschallenge.provider=exec", &resolver, "storage=acme.json"]);
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[("EXEC_PATH", &program)]);
    edge.certificates(all_valid(1)).await;
    let client = pebble.client().await;
    client
        .certificate(&edge.websecure, "wild.test")
        .await
        .expect("verified");
    client
        .certificate(&edge.websecure, "any.wild.test")
        .await
        .expect("verified");
    let calls = fs::read_to_string(directory.path().join("calls")).expect("calls");
    assert_eq!(
        calls.matches("present _acme-challenge.wild.test.").count(),
        2,
        "{calls}"
    );
    assert_eq!(
        calls.matches("cleanup _acme-challenge.wild.test.").count(),
        2,
        "{calls}"
    );
    drop(edge);

    let flags = pebble.flags(&["tlschallenge=true", "storage=other.json"]);
    let edge = Edge::start(&directory, &ports, &texts(&flags), &[]);
    let shown = edge
        .certificates(|all| all.iter().any(|one| one["status"] == "error"))
        .await;
    assert!(
        shown[0]["error"][0]
            .as_str()
            .expect("why")
            .contains("wildcard needs a DNS challenge"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn dns_01_through_cloudflare_is_waited_for_until_it_is_seen() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let pebble = Pebble::start(&directory, &ports).await;
    let cloudflare = Receiver::start().await;
    let answer = |result: Value| json!({"success": true, "result": result});
    cloudflare.reply("/zones?name=deep.cf.test", 200, answer(json!([])));
    cloudflare.reply("/zones?name=cf.test", 200, answer(json!([{"id": "z1"}])));
    cloudflare.reply("/zones/z1/dns_records", 200, answer(json!({"id": "r1"})));
    let domains = "tls: {certResolver: le, domains: [{main: '*.deep.cf.test'}]}";
    configure(
        &directory,
        &format!("http: {{routers: {{r: {{rule: 'PathPrefix(`/`)', service: noop@internal, {domains}}}}}}}"),
    );
    let resolver = format!("dnschallenge.resolvers={}", pebble.dns);
    let flags = pebble.flags(&["dnschallenge.provider=cloudflare", &resolver, "storage=acme.json"]);
    let environment = [
        ("CF_DNS_API_TOKEN", "a-secret-token"),
        ("CLOUDFLARE_BASE_URL", cloudflare.url.as_str()),
        ("CLOUDFLARE_POLLING_INTERVAL", "1"),
    ];
    let edge = Edge::start(&directory, &ports, &texts(&flags), &environment);
    let until = Instant::now() + Duration::from_secs(30);
    let record = loop {
        let added = cloudflare
            .told()
            .into_iter()
            .find(|told| told.path == "/zones/z1/dns_records");
        if let Some(added) = added {
            break added;
        }
        assert!(Instant::now() < until, "{:?}", edge.certificates(|_| true).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(record.headers["authorization"], "Bearer a-secret-token");
    let body = record.json();
    assert_eq!(body["name"], "_acme-challenge.deep.cf.test");
    let found = format!(
        "/zones/z1/dns_records?type=TXT&name={}",
        body["name"].as_str().expect("a name")
    );
    let listed = json!([{"id": "r0", "content": "another"}, {"id": "r1", "content": format!("\"{}\"", body["content"].as_str().expect("text"))}]);
    cloudflare.reply(&found, 200, answer(listed));
    cloudflare.reply("/zones/z1/dns_records/r1", 200, answer(json!({"id": "r1"})));
    // It takes a while until the world sees it.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(
        edge.said("a certificate was issued") + edge.said("a certificate was not issued"),
        0
    );
    let seen = json!({"host": "_acme-challenge.deep.cf.test.", "value": body["content"]});
    portico_tests::Client::new(&pebble.dns_management)
        .post("/set-txt", &seen)
        .await
        .expect(200);
    edge.certificates(all_valid(1)).await;
    pebble
        .client()
        .await
        .certificate(&edge.websecure, "any.deep.cf.test")
        .await
        .expect("verified");
    let deleted = cloudflare.told().into_iter().filter(|told| told.method == "DELETE");
    assert_eq!(
        deleted.map(|told| told.path).collect::<Vec<_>>(),
        ["/zones/z1/dns_records/r1"]
    );
    assert!(!format!("{:?}", edge.process.logs()).contains("a-secret-token"));
}
