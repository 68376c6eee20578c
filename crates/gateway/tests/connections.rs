//! How connections behave: TLS and HTTP/2, bodies that stream, clients that leave or dawdle, a stop that drains.

mod kit;

use axum::{Router, body::Body, extract::Request, response::Response, routing::any};
use bytes::Bytes;
use futures_util::StreamExt;
use gateway::{At, Builtin, EntryPoint, Settings};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::{echo, get, header, inputs, origin, raw, start, status};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

fn links_at(at: At) -> Option<Builtin> {
    Some(Builtin {
        links: Some(at),
        ..Builtin::default()
    })
}

async fn links_remote(router: Router) -> (kit::Running, CancellationToken) {
    let (address, stop) = origin(router).await;
    let gateway = start(inputs(
        Vec::new(),
        links_at(At::Urls(vec![format!("http://{address}")])),
    ))
    .await;
    (gateway, stop)
}

#[derive(Debug)]
struct Anyone(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &rustls_pki_types::CertificateDer<'_>,
        s: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(m, c, s, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &rustls_pki_types::CertificateDer<'_>,
        s: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(m, c, s, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn the_generated_certificate_serves_http_2_and_is_kept() {
    let dir = std::env::temp_dir().join(format!("portico-gateway-{}", std::process::id()));
    let settings = || Settings {
        entry_points: vec![EntryPoint::new("websecure", "127.0.0.1:0").with_tls()],
        certificate_dir: Some(dir.clone()),
        ..Settings::default()
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let services = vec![("links".to_owned(), echo("links"))];
        let gateway = gateway::open(settings(), inputs(services, links_at(At::InProcess)))
            .await
            .expect("gateway");
        let (address, stop) = (gateway.addresses()[0].1, CancellationToken::new());
        for (_, task) in gateway.tasks(&stop) {
            tokio::spawn(task);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(address).await.expect("connect");
        let name = "localhost".try_into().expect("name");
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .expect("handshake");
        let certificate = stream.get_ref().1.peer_certificates().expect("certificates")[0]
            .as_ref()
            .to_vec();
        let io = TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .expect("h2");
        tokio::spawn(connection);
        let request = http::Request::get("https://localhost/l/x?y=1")
            .body(Body::empty())
            .expect("request");
        let response = sender.send_request(request).await.expect("answer");
        let body = response.into_body().collect().await.expect("body").to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(
            text.contains("links GET /l/x?y=1")
                && text.contains("x-forwarded-proto: https")
                && text.contains("host: localhost"),
            "{text}"
        );
        seen.push(certificate);
        stop.cancel();
    }
    std::fs::remove_dir_all(&dir).expect("clean up");
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_body_streams_through_before_it_is_whole() {
    let stream = |request: Request| async move {
        // Each part comes back as it arrives.
        let parts = request
            .into_body()
            .into_data_stream()
            .map(|part| part.map(|bytes| Bytes::from(format!("[{}]", bytes.len()))));
        Response::new(Body::from_stream(parts))
    };
    let (gateway, _origin) = links_remote(Router::new().fallback(any(stream))).await;
    let mut socket = TcpStream::connect(gateway.address).await.expect("connect");
    socket
        .write_all(b"POST /l/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        .await
        .expect("head");
    let mut seen = String::new();
    let mut part = [0; 4096];
    for round in 0..3 {
        socket.write_all(b"5\r\nhello\r\n").await.expect("chunk");
        let deadline = Instant::now() + Duration::from_secs(2);
        while seen.matches("[5]").count() <= round && Instant::now() < deadline {
            let read = tokio::time::timeout(Duration::from_secs(2), socket.read(&mut part))
                .await
                .expect("in time")
                .expect("read");
            seen.push_str(&String::from_utf8_lossy(&part[..read]));
        }
    }
    assert_eq!(seen.matches("[5]").count(), 3, "{seen}");
    assert!(seen.starts_with("HTTP/1.1 100 Continue"), "{seen}");
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_work_behind_the_gateway() {
    struct Gone(Arc<AtomicBool>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let cancelled = Arc::new(AtomicBool::new(false));
    let seen = cancelled.clone();
    let slow = move || {
        let gone = Gone(seen.clone());
        async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop(gone);
        }
    };
    let (gateway, _origin) = links_remote(Router::new().fallback(any(slow))).await;
    let mut socket = TcpStream::connect(gateway.address).await.expect("connect");
    socket
        .write_all(b"GET /l/x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("head");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!cancelled.load(SeqCst));
    drop(socket);
    let deadline = Instant::now() + Duration::from_secs(3);
    while !cancelled.load(SeqCst) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(cancelled.load(SeqCst));
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let mut entry = EntryPoint::new("web", "127.0.0.1:0");
    entry.header_timeout = Duration::from_millis(300);
    let settings = Settings {
        entry_points: vec![entry],
        ..Settings::default()
    };
    let gateway = gateway::open(settings, inputs(Vec::new(), None))
        .await
        .expect("gateway");
    let (address, stop) = (gateway.addresses()[0].1, CancellationToken::new());
    for (_, task) in gateway.tasks(&stop) {
        tokio::spawn(task);
    }
    for head in [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /",
    ] {
        let mut socket = TcpStream::connect(address).await.expect("connect");
        socket.write_all(head.as_bytes()).await.expect("write");
        let mut all = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(3), socket.read_to_end(&mut all)).await;
        assert!(closed.is_ok(), "{head:?} was not cut off");
    }
    stop.cancel();
}

#[tokio::test]
async fn a_stop_closes_the_door_and_lets_requests_finish() {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        "finished"
    };
    let (gateway, _origin) = links_remote(Router::new().fallback(any(slow))).await;
    let address = gateway.address;
    let asked = tokio::spawn(async move { kit::get(address, "/l/x", "").await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    gateway.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(address).await.is_err(), "the door is still open");
    let answer = asked.await.expect("client");
    assert!(status(&answer) == 200 && answer.ends_with("finished"), "{answer}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_a_bad_one_poisons_the_connection() {
    let gateway = start(inputs(
        vec![("links".to_owned(), echo("links"))],
        links_at(At::InProcess),
    ))
    .await;
    let two = "GET /l/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /l/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = raw(gateway.address, two).await;
    assert!(
        answers.find("GET /l/1") < answers.find("GET /l/2") && answers.contains("GET /l/2"),
        "{answers}"
    );
    let smuggled = "POST /l/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /l/2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = raw(gateway.address, smuggled).await;
    assert!(status(&answers) == 400 && !answers.contains("links "), "{answers}");
}

#[tokio::test]
async fn who_has_more_to_do_than_can_be_done_refuses_at_once_and_recovers() {
    let busy = Router::new().fallback(any(|| async {
        // Computes; a service that waits would hold nobody up.
        std::thread::sleep(Duration::from_millis(60));
        "done"
    }));
    let gateway = start(inputs(vec![("links".into(), busy)], links_at(At::InProcess))).await;
    let address = gateway.address;
    let one = || async move {
        let mut answers = Vec::new();
        for _ in 0..12 {
            answers.push(get(address, "/l/a", "").await);
        }
        answers
    };
    let clients: Vec<_> = (0..40).map(|_| tokio::spawn(one())).collect();
    let mut answers = Vec::new();
    for client in clients {
        answers.extend(client.await.expect("answers"));
    }
    let served = answers.iter().filter(|answer| status(answer) == 200).count();
    let refused: Vec<_> = answers.iter().filter(|answer| status(answer) == 503).collect();
    assert!(
        served > 20 && !refused.is_empty(),
        "{served} served, {} refused",
        refused.len()
    );
    for answer in refused {
        assert!(
            answer.contains("OVERLOADED") && header(answer, "retry-after").is_some(),
            "{answer}"
        );
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(status(&get(address, "/l/a", "").await), 200);
}
