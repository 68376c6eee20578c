//! TLS as Traefik's users configure it: client certificates, strict names, certificates that change, servers behind TLS,
//! authentication servers that judge bodies.

use bytes::{Buf, Bytes};
use portico_tests::{
    Directory, Edge, Receiver,
    edge::{Ports, configure},
    tls::{Authority, Client, Pair},
};
use rcgen::{DnType, SanType, SerialNumber};
use std::{collections::HashSet, fs, sync::Arc, time::Duration, time::Instant};

fn write(directory: &Directory, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn certificate(directory: &Directory, name: &str, pair: &Pair) -> String {
    let cert = write(directory, &format!("{name}.crt"), &pair.cert);
    let key = write(directory, &format!("{name}.key"), &pair.key);
    format!("{{certFile: {cert}, keyFile: {key}}}")
}

#[tokio::test]
async fn client_certificates_are_asked_for_as_the_five_types_say() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let (ours, strangers) = (Authority::make("ours"), Authority::make("strangers"));
    let ca = write(&directory, "ca.pem", &ours.cert);
    let mut dynamic = "tls:\n  options:\n".to_owned();
    let kinds = [
        "NoClientCert",
        "RequestClientCert",
        "RequireAnyClientCert",
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    ];
    for kind in kinds {
        dynamic += &format!("    {kind}: {{clientAuth: {{caFiles: [{ca}], clientAuthType: {kind}}}}}\n");
    }
    dynamic += "    broken: {clientAuth: {caFiles: [nowhere.pem]}}\nhttp:\n  routers:\n";
    for kind in kinds.iter().chain(&["broken"]) {
        let host = kind.to_lowercase();
        dynamic += &format!(
            "    {kind}: {{rule: \"Host(`{host}.test`)\", service: noop@internal, tls: {{options: {kind}}}}}\n"
        );
    }
    dynamic += "    usual: {rule: 'Host(`usual.test`)', service: noop@internal, tls: {}}\n";
    configure(&directory, &dynamic);
    let edge = Edge::start(&directory, &ports, &[], &[]);
    edge.routers(&["usual@file"]).await;
    let good = ours.issue(&["client.test"]);
    let strange = strangers.issue(&["client.test"]);
    // Without a certificate, with a strange one, with a good one.
    let expected = [
        ("NoClientCert", [true, true, true]),
        ("RequestClientCert", [true, true, true]),
        ("RequireAnyClientCert", [false, true, true]),
        ("VerifyClientCertIfGiven", [true, false, true]),
        ("RequireAndVerifyClientCert", [false, false, true]),
        ("broken", [false, false, false]),
    ];
    for only_12 in [false, true] {
        let plain = Client {
            only_12,
            ..Client::default()
        };
        let clients = [
            plain.clone(),
            plain.clone().showing(&strange),
            plain.clone().showing(&good),
        ];
        for (kind, outcomes) in expected {
            let host = format!("{}.test", kind.to_lowercase());
            for (client, wanted) in clients.iter().zip(outcomes) {
                let got = client.get(&edge.websecure, &host, "/", "").await;
                let passed = got.as_ref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 418"));
                assert_eq!(
                    passed,
                    wanted,
                    "{kind}, TLS 1.2 {only_12}, {:?}: {got:?}",
                    client.identity.is_some()
                );
            }
        }
    }
    // A connection made under the usual options, with or without a name, is no way to a host that demands a certificate.
    let request = "GET / HTTP/1.1\r\nHost: requireandverifyclientcert.test\r\nConnection: close\r\n\r\n";
    for no_name in [false, true] {
        let client = Client {
            no_name,
            ..Client::default()
        };
        let answer = client
            .send(&edge.websecure, "usual.test", request)
            .await
            .expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    }
}

#[tokio::test]
async fn the_certificate_a_client_showed_is_passed_on_and_forged_ones_are_not() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let server = Receiver::start().await;
    let ours = Authority::make("Simple Signing CA");
    let ca = write(&directory, "ca.pem", &ours.cert);
    configure(
        &directory,
        &format!(
            "tls: {{options: {{ask: {{clientAuth: {{caFiles: [{ca}], clientAuthType: VerifyClientCertIfGiven}}}}}}}}
http:
  routers: {{r: {{rule: 'Host(`a.test`)', service: s, middlewares: [pass], tls: {{options: ask}}}}}}
  services: {{s: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}
  middlewares:
    pass:
      passTLSClientCert:
        pem: true
        info: {{serialNumber: true, sans: true, subject: {{commonName: true, country: true}}, issuer: {{commonName: true}}}}
",
            server.url
        ),
    );
    let edge = Edge::start(&directory, &ports, &[], &[]);
    edge.routers(&["r@file"]).await;
    let pair = ours.issue_with(&["client.test"], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "a client");
        params.distinguished_name.push(DnType::CountryName, "FR");
        params
            .subject_alt_names
            .push(SanType::IpAddress("10.0.1.2".parse().expect("an address")));
        params.serial_number = Some(SerialNumber::from(4711_u64));
    });
    let forged = "X-Forwarded-Tls-Client-Cert: forged\r\nX_Forwarded_Tls_Client_Cert: forged\r\n\
                  X-Forwarded-Tls-Client-Cert-Info: forged\r\n";
    let with = Client::default().showing(&pair);
    with.get(&edge.websecure, "a.test", "/with", forged)
        .await
        .expect("an answer");
    Client::default()
        .get(&edge.websecure, "a.test", "/without", forged)
        .await
        .expect("an answer");
    let told = server.told();
    let headers = |path: &str| {
        told.iter()
            .find(|told| told.path == path)
            .expect("told")
            .headers
            .clone()
    };
    let plain: String = pair.cert.lines().filter(|line| !line.contains("-----")).collect();
    assert_eq!(headers("/with")["x-forwarded-tls-client-cert"], plain);
    assert_eq!(
        headers("/with")["x-forwarded-tls-client-cert-info"],
        "Subject%3D%22C%3DFR%2CCN%3Da+client%22%3BIssuer%3D%22CN%3DSimple+Signing+CA%22%3BSerialNumber%3D%224711%22%3B\
         SAN%3D%22client.test%2C10.0.1.2%22"
    );
    let without = headers("/without");
    assert!(
        !without
            .keys()
            .any(|name| name.contains("client-cert") || name.contains("client_cert")),
        "{without:?}"
    );
}

#[tokio::test]
async fn strict_options_refuse_names_without_a_certificate() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let ours = Authority::make("ours");
    let pair = certificate(&directory, "a", &ours.issue(&["a.test", "*.w.test"]));
    configure(
        &directory,
        &format!(
            "tls: {{certificates: [{pair}], options: {{default: {{sniStrict: true}}}}}}
http: {{routers: {{r: {{rule: 'PathPrefix(`/`)', service: noop@internal, tls: {{}}}}}}}}
"
        ),
    );
    let edge = Edge::start(&directory, &ports, &["--metrics.prometheus=true"], &[]);
    edge.routers(&["r@file"]).await;
    let client = Client::trusting(&ours.cert);
    for host in ["a.test", "x.w.test"] {
        let answer = client.get(&edge.websecure, host, "/", "").await.expect("verified");
        assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");
    }
    let nameless = Client {
        no_name: true,
        ..Client::default()
    };
    let metrics = portico_tests::Client::new(&edge.admin)
        .get("/metrics")
        .await
        .expect(200)
        .text();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("traefik_tls_certs_not_after{"));
    assert!(
        line.is_some_and(|line| line.contains("sans=\"*.w.test,a.test\"")),
        "{metrics}"
    );
    assert!(Client::default().connect(&edge.websecure, "b.test").await.is_err());
    assert!(Client::default().connect(&edge.websecure, "x.y.w.test").await.is_err());
    assert!(nameless.connect(&edge.websecure, "a.test").await.is_err());
}

#[tokio::test]
async fn a_renewed_file_is_shown_without_one_failed_handshake() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let ours = Authority::make("ours");
    let pair = certificate(&directory, "a", &ours.issue(&["a.test"]));
    configure(
        &directory,
        &format!(
            "tls: {{certificates: [{pair}]}}\nhttp: {{routers: {{r: {{rule: 'Host(`a.test`)', service: noop@internal, tls: {{}}}}}}}}\n"
        ),
    );
    let edge = Edge::start(&directory, &ports, &[], &[]);
    edge.routers(&["r@file"]).await;
    let client = Client::trusting(&ours.cert);
    let (knocking, address) = (client.clone(), edge.websecure.clone());
    let until = Instant::now() + Duration::from_secs(4);
    let knocks = tokio::spawn(async move {
        let mut seen = HashSet::new();
        while Instant::now() < until {
            seen.insert(
                knocking
                    .certificate(&address, "a.test")
                    .await
                    .expect("every handshake is verified"),
            );
        }
        seen
    });
    for _ in 0..4 {
        // As people do it: one file after the other, and time between them.
        let next = ours.issue(&["a.test"]);
        write(&directory, "a.crt", &next.cert);
        tokio::time::sleep(Duration::from_millis(300)).await;
        write(&directory, "a.key", &next.key);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let seen = knocks.await.expect("the client");
    assert!(seen.len() >= 4, "{} certificates were seen", seen.len());
}

#[tokio::test]
async fn servers_behind_tls_are_verified_and_shown_our_certificate() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let behind = Directory::make();
    let (servers, clients) = (Authority::make("servers"), Authority::make("clients"));
    // The server is another gateway that demands a certificate.
    let inner_ports = Ports::free();
    let pair = servers.issue_with(&["inner.test"], |params| {
        let uri = "spiffe://test/inner".try_into().expect("ASCII");
        params.subject_alt_names.push(SanType::URI(uri));
    });
    let shown = certificate(&behind, "inner", &pair);
    let ca = write(&behind, "clients.pem", &clients.cert);
    configure(
        &behind,
        &format!(
            "tls: {{stores: {{default: {{defaultCertificate: {shown}}}}}, options: {{default: {{clientAuth: {{caFiles: [{ca}]}}}}}}}}
http: {{routers: {{r: {{rule: 'PathPrefix(`/`)', service: noop@internal, tls: {{}}}}}}}}
"
        ),
    );
    let inner = Edge::start(&behind, &inner_ports, &[], &[]);
    inner.routers(&["r@file"]).await;
    let roots = write(&directory, "servers.pem", &servers.cert);
    let own = certificate(&directory, "own", &clients.issue(&["gateway.test"]));
    let transports = [
        (
            "good",
            format!("rootCAs: [{roots}], certificates: [{own}], serverName: inner.test"),
        ),
        (
            "uri",
            format!(
                "rootCAs: [{roots}], certificates: [{own}], insecureSkipVerify: true, peerCertURI: 'spiffe://test/inner'"
            ),
        ),
        (
            "otheruri",
            format!(
                "rootCAs: [{roots}], certificates: [{own}], serverName: inner.test, peerCertURI: 'spiffe://test/other'"
            ),
        ),
        ("skip", format!("certificates: [{own}], insecureSkipVerify: true")),
        ("nameless", format!("rootCAs: [{roots}], serverName: inner.test")),
        (
            "wrongname",
            format!("rootCAs: [{roots}], certificates: [{own}], serverName: other.test"),
        ),
        ("wrongroot", format!("certificates: [{own}], serverName: inner.test")),
    ];
    let mut dynamic = "http:\n  serversTransports:\n".to_owned();
    for (name, options) in &transports {
        dynamic += &format!("    {name}: {{{options}}}\n");
    }
    dynamic += "  routers:\n    static: {rule: 'Host(`static.test`)', service: static}\n";
    for (name, _) in &transports {
        dynamic += &format!("    {name}: {{rule: 'Host(`{name}.test`)', service: {name}}}\n");
    }
    let server = format!("servers: [{{url: 'https://{}'}}]", inner.websecure);
    dynamic += &format!("  services:\n    static: {{loadBalancer: {{{server}}}}}\n");
    for (name, _) in &transports {
        dynamic += &format!("    {name}: {{loadBalancer: {{{server}, serversTransport: {name}}}}}\n");
    }
    configure(&directory, &dynamic);
    let flags = [
        "--serverstransport.insecureskipverify=true",
        "--serverstransport.forwardingtimeouts.dialtimeout=5s",
    ];
    let edge = Edge::start(&directory, &ports, &flags, &[]);
    edge.routers(&["good@file", "static@file"]).await;
    let expected = [
        ("good", 418),
        ("uri", 418),
        ("otheruri", 502),
        ("skip", 418),
        ("nameless", 502),
        ("wrongname", 502),
        ("wrongroot", 502),
    ];
    for (name, status) in expected {
        let client = portico_tests::Client::new(&format!("http://{}", edge.web)).with("host", &format!("{name}.test"));
        let answer = client.get("/").await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text());
    }
    // The static transport verifies nothing, but has no certificate to show.
    let client = portico_tests::Client::new(&format!("http://{}", edge.web)).with("host", "static.test");
    assert_eq!(client.get("/").await.status, 502);
    let reason = edge
        .process
        .logs()
        .iter()
        .any(|line| line["message"] == "a router is disabled");
    assert!(!reason, "all transports can be built");
}

#[tokio::test]
async fn an_authentication_server_judges_bodies_up_to_its_limit() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let (server, judge) = (Receiver::start().await, Receiver::start().await);
    configure(
        &directory,
        &format!(
            "http:
  routers: {{r: {{rule: 'Host(`a.test`)', service: s, middlewares: [judged]}}}}
  services: {{s: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}
  middlewares: {{judged: {{forwardAuth: {{address: '{}/judge', forwardBody: true, maxBodySize: 10}}}}}}
",
            server.url, judge.url
        ),
    );
    let edge = Edge::start(&directory, &ports, &[], &[]);
    edge.routers(&["r@file"]).await;
    let client = portico_tests::Client::new(&format!("http://{}", edge.web)).with("host", "a.test");
    let post = |body: &'static str| client.send(http::Method::POST, "/x", body, Some("text/plain"));
    post("0123456789").await.expect(200);
    assert_eq!(judge.told()[0].text, "0123456789");
    assert_eq!(server.told()[0].text, "0123456789");
    assert_eq!(post("0123456789a").await.status, 401);
    assert_eq!((judge.told().len(), server.told().len()), (1, 1));
    client.get("/y").await.expect(200);
    assert_eq!(judge.told()[1].text, "");
}

#[tokio::test]
async fn behind_cloudflare_its_word_counts_and_nobody_elses() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let server = Receiver::start().await;
    let pulls = Authority::make("origin pulls");
    let ca = write(&directory, "pulls.pem", &pulls.cert);
    configure(
        &directory,
        &format!(
            "http:
  routers: {{r: {{rule: 'Host(`a.test`)', service: s, tls: {{}}}}, plain: {{rule: 'Host(`a.test`)', service: s}}}}
  services: {{s: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}
",
            server.url
        ),
    );
    // This machine stands for Cloudflare on one entrypoint, and for a stranger on the other.
    let pulling = format!("--entrypoints.websecure.cloudflare.originpullca={ca}");
    let flags = [
        "--entrypoints.websecure.cloudflare.ranges=127.0.0.0/8",
        pulling.as_str(),
        "--entrypoints.web.cloudflare=true",
    ];
    let edge = Edge::start(&directory, &ports, &flags, &[]);
    edge.routers(&["r@file", "plain@file"]).await;
    let words =
        "CF-Connecting-IP: 203.0.113.9\r\nCF-IPCountry: CH\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n";
    assert!(
        Client::default()
            .get(&edge.websecure, "a.test", "/no", words)
            .await
            .is_err()
    );
    let cloudflare = Client::default().showing(&pulls.issue(&["origin-pull.test"]));
    cloudflare
        .get(&edge.websecure, "a.test", "/pull", words)
        .await
        .expect("an answer");
    let plain = portico_tests::Client::new(&format!("http://{}", edge.web)).with("host", "a.test");
    let forged = plain.with("cf-connecting-ip", "203.0.113.9").with("cf-ipcountry", "CH");
    forged.get("/forged").await.expect(200);
    let told = server.told();
    let headers = |path: &str| {
        told.iter()
            .find(|told| told.path == path)
            .expect("told")
            .headers
            .clone()
    };
    let pulled = headers("/pull");
    assert_eq!(
        (pulled["x-forwarded-for"].as_str(), pulled["x-real-ip"].as_str()),
        ("203.0.113.9", "203.0.113.9")
    );
    assert_eq!(
        (pulled["cf-ipcountry"].as_str(), pulled["x-forwarded-proto"].as_str()),
        ("CH", "https")
    );
    let forged = headers("/forged");
    assert_eq!(
        (forged["x-forwarded-for"].as_str(), forged.get("cf-ipcountry")),
        ("127.0.0.1", None)
    );
    assert!(!forged.contains_key("cf-connecting-ip"));
}

#[tokio::test]
async fn a_balancer_names_the_client_by_the_proxy_protocol() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let server = Receiver::start().await;
    configure(
        &directory,
        &format!(
            "http: {{routers: {{r: {{rule: 'Host(`a.test`)', service: s}}}}, services: {{s: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}}}",
            server.url
        ),
    );
    let flags = [
        "--entrypoints.web.proxyprotocol.trustedips=127.0.0.1",
        "--entrypoints.websecure.proxyprotocol.trustedips=10.0.0.0/8",
    ];
    let edge = Edge::start(&directory, &ports, &flags, &[]);
    edge.routers(&["r@file"]).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    let line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n";
    portico_tests::raw::exchange(&edge.web, format!("{line}{}", get("/v1")).as_bytes()).await;
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x02\x12\x67\0\x50".to_vec();
    binary.extend(get("/v2").bytes());
    portico_tests::raw::exchange(&edge.web, &binary).await;
    portico_tests::raw::exchange(&edge.web, get("/bare").as_bytes()).await;
    portico_tests::raw::exchange(&edge.websecure, format!("{line}{}", get("/stranger")).as_bytes()).await;
    let told = server.told();
    let client = |path: &str| {
        let told = told.iter().find(|told| told.path == path).expect("told");
        told.headers["x-forwarded-for"].clone()
    };
    assert_eq!(client("/v1"), "192.0.2.1");
    assert_eq!(client("/v2"), "192.0.2.7");
    assert_eq!(client("/bare"), "127.0.0.1");
    assert_eq!(client("/stranger"), "127.0.0.1");
}

/// One request over HTTP/3: status, headers, body.
async fn over_h3(
    client: &Client,
    address: &str,
    name: &str,
    request: http::Request<Bytes>,
) -> (http::response::Parts, Vec<u8>) {
    let mut config = client.config();
    config.alpn_protocols = vec![b"h3".to_vec()];
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).expect("TLS 1.3");
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(config)));
    let connecting = endpoint
        .connect(address.parse().expect("an address"), name)
        .expect("a client");
    let connection = h3_quinn::Connection::new(connecting.await.expect("a connection"));
    let (mut driver, mut sender) = h3::client::new(connection).await.expect("HTTP/3");
    let driving = tokio::spawn(async move { driver.wait_idle().await });
    let (parts, body) = request.into_parts();
    let mut stream = sender
        .send_request(http::Request::from_parts(parts, ()))
        .await
        .expect("sent");
    if !body.is_empty() {
        stream.send_data(body).await.expect("sent");
    }
    stream.finish().await.expect("sent");
    let (parts, ()) = stream.recv_response().await.expect("an answer").into_parts();
    let mut bytes = Vec::new();
    while let Some(mut data) = stream.recv_data().await.expect("data") {
        bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    drop((stream, sender));
    driving.abort();
    (parts, bytes)
}

#[tokio::test]
async fn http_3_is_announced_and_takes_the_same_way() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let server = Receiver::start().await;
    let ours = Authority::make("ours");
    let pair = certificate(&directory, "a", &ours.issue(&["a.test", "b.test"]));
    configure(
        &directory,
        &format!(
            "tls: {{certificates: [{pair}], options: {{own: {{minVersion: VersionTLS13}}}}}}
http:
  routers:
    r: {{rule: 'Host(`a.test`)', service: s, tls: {{}}}}
    own: {{rule: 'Host(`b.test`)', service: s, tls: {{options: own}}}}
  services: {{s: {{loadBalancer: {{servers: [{{url: '{}'}}]}}}}}}
",
            server.url
        ),
    );
    let edge = Edge::start(
        &directory,
        &ports,
        &["--entrypoints.websecure.http3.advertisedport=8443"],
        &[],
    );
    edge.routers(&["r@file", "own@file"]).await;
    let client = Client::trusting(&ours.cert);
    let answer = client
        .get(&edge.websecure, "a.test", "/tcp", "")
        .await
        .expect("an answer");
    assert!(answer.contains("alt-svc: h3=\":8443\"; ma=2592000"), "{answer}");

    let request = |host: &str, path: &str, body: &[u8]| {
        let request = http::Request::post(format!("https://{host}{path}")).header("x-own", "1");
        request.body(Bytes::copy_from_slice(body)).expect("a request")
    };
    let long = vec![b'x'; 3 * 1024 * 1024];
    let (parts, body) = over_h3(&client, &edge.websecure, "a.test", request("a.test", "/echo", &long)).await;
    assert_eq!(parts.status, 200);
    assert_eq!(body.len(), long.len());
    assert!(!parts.headers.contains_key("alt-svc") && parts.headers.contains_key("x-request-id"));
    let told = server.told();
    let echoed = told.iter().find(|told| told.path == "/echo").expect("told");
    assert_eq!(
        (
            echoed.headers["x-forwarded-proto"].as_str(),
            echoed.headers["x-own"].as_str()
        ),
        ("https", "1")
    );
    assert_eq!(echoed.headers["host"], "a.test");
    let (parts, _) = over_h3(
        &client,
        &edge.websecure,
        "a.test",
        request("a.test", "/nowhere/../fail", b""),
    )
    .await;
    assert_eq!(parts.status, 500, "the server's own answer, at the canonical path");
    // A host with options of its own is not served under the others.
    let (parts, _) = over_h3(&client, &edge.websecure, "b.test", request("b.test", "/own", b"")).await;
    assert_eq!(parts.status, 421);
}

#[tokio::test]
async fn http_3_is_spoken_by_a_successor_too() {
    let (directory, ports) = (Directory::make(), Ports::free());
    let ours = Authority::make("ours");
    let pair = certificate(&directory, "a", &ours.issue(&["a.test"]));
    configure(
        &directory,
        &format!(
            "tls: {{certificates: [{pair}]}}
http: {{routers: {{r: {{rule: 'Host(`a.test`)', service: noop@internal, tls: {{}}}}}}}}
"
        ),
    );
    let flags = ["--entrypoints.websecure.http3=true"];
    let mut old = Edge::start(&directory, &ports, &flags, &[]);
    old.routers(&["r@file"]).await;
    let client = Client::trusting(&ours.cert);
    let request = || {
        http::Request::get("https://a.test/")
            .body(Bytes::new())
            .expect("a request")
    };
    let (parts, _) = over_h3(&client, &old.websecure, "a.test", request()).await;
    assert_eq!(parts.status, 418);
    let new = Edge::start(&directory, &ports, &flags, &[("PORTICO_TAKE_OVER", "on")]);
    assert_eq!(new.websecure, old.websecure);
    assert!(old.process.wait().success());
    for _ in 0..5 {
        let (parts, _) = over_h3(&client, &new.websecure, "a.test", request()).await;
        assert_eq!(parts.status, 418);
    }
}
