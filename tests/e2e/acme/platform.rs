//! The whole platform with a few settings, as somebody starts it on a server of their own.

use portico_tests::{Directory, Pebble, Shape, Stack, edge::Ports};
use std::time::{Duration, Instant};

#[tokio::test]
async fn the_platform_orders_certificates_for_the_names_it_is_known_by() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let pebble = Pebble::start(&directory, &ports).await;
    let (web, websecure) = (
        format!("127.0.0.1:{}", ports.web),
        format!("127.0.0.1:{}", ports.websecure),
    );
    let public = format!("https://api.test:{}", ports.websecure);
    let trust = pebble.trust.display().to_string();
    let settings = [
        ("PORTICO_HTTP_ADDR", web.as_str()),
        ("PORTICO_HTTPS_ADDR", &websecure),
        ("PORTICO_PUBLIC_URL", &public),
        ("PORTICO_SHORT_DOMAINS", "go.test"),
        ("PORTICO_CDN_DOMAIN", "cdn.test"),
        ("PORTICO_ACME_EMAIL", "admin@example.org"),
        ("PORTICO_ACME_SERVER", &pebble.url),
        ("PORTICO_ACME_CA", &trust),
        ("PORTICO_HTTP_REDIRECT", "on"),
    ];
    let mut stack = Stack::start_with(Shape::OneProcess, &settings).await;
    let client = pebble.client().await;
    let until = Instant::now() + Duration::from_secs(60);
    for host in ["api.test", "go.test", "cdn.test"] {
        loop {
            match client.get(&websecure, host, "/health", "").await {
                Ok(answer) => {
                    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
                    break;
                }
                Err(error) => assert!(Instant::now() < until, "{host}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let plain = portico_tests::Client::new(&format!("http://{web}"));
    let answer = plain.get("/v1/core/health").await;
    assert_eq!(answer.status, 301, "{}", answer.text());
    let location = answer.header("location").to_owned();
    assert_eq!(
        location,
        format!("https://127.0.0.1:{}/v1/core/health", ports.websecure)
    );

    // They are kept with everything else: started again, nothing is ordered.
    let before = client.certificate(&websecure, "go.test").await.expect("shown");
    drop(std::mem::take(&mut stack.processes));
    stack.up();
    let until = Instant::now() + Duration::from_secs(20);
    while client.certificate(&websecure, "go.test").await.ok().as_ref() != Some(&before) {
        assert!(Instant::now() < until, "another certificate is shown");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let issued = stack.processes[0].1.logs();
    let issued = issued
        .iter()
        .filter(|line| line["message"] == "a certificate was issued");
    assert_eq!(issued.count(), 0);
}

#[test]
fn certificates_for_nobody_are_refused_with_what_is_missing() {
    let directory = Directory::make();
    let told = |settings: &[(&str, &str)]| {
        let mut environment = portico_tests::environment();
        environment.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let (code, out, errors) =
            portico_tests::process::run(&["serve", "gateway"], &environment, directory.path(), "");
        assert_ne!(code, 0);
        out + &errors
    };
    let email = ("PORTICO_ACME_EMAIL", "admin@example.org");
    let https = ("PORTICO_HTTPS_ADDR", "127.0.0.1:0");
    assert!(told(&[email, https]).contains("PORTICO_PUBLIC_URL"));
    assert!(told(&[email, https, ("PORTICO_PUBLIC_URL", "https://127.0.0.1")]).contains("there is no name"));
    assert!(told(&[email]).contains("PORTICO_HTTPS_ADDR"));
    assert!(told(&[("PORTICO_ACME_EMAIL", "admin")]).contains("is no mail address"));
    assert!(told(&[email, ("PORTICO_ACME_CHALLENGE", "dns")]).contains("dns:cloudflare"));
    assert!(told(&[("PORTICO_HTTP_REDIRECT", "on")]).contains("PORTICO_HTTPS_ADDR"));
}
