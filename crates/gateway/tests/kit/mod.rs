//! A gateway on a free port, origins that say who they are, and raw requests.
#![allow(dead_code, reason = "each test file uses its part")]

use axum::{Router, extract::Request, routing::any};
use foundation::{Clock, Secret};
use gateway::{Builtin, EntryPoint, Gateway, Inputs, Settings};
use http_chassis::auth::{self, Verifier};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use telemetry::{metrics::Metrics, trace::Tracer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

pub const SECRET: &str = "a secret of at least thirty-two bytes";

pub struct Running {
    pub address: SocketAddr,
    pub control: Arc<gateway::Control>,
    pub stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn verifier() -> Arc<Verifier> {
    Verifier::new(auth::Settings {
        hs256: Some(Secret::new(SECRET)),
        issuer: "portico".into(),
        audience: "portico".into(),
        clock: Clock::System,
    })
}

pub fn inputs(services: Vec<(String, Router)>, builtin: Option<Builtin>) -> Inputs {
    let services = services.into_iter().map(|(name, router)| (name, router.into()));
    Inputs {
        services: services.collect(),
        builtin,
        verifier: Some(verifier()),
        metrics: Metrics::default(),
        tracer: Tracer::default(),
        certificate_names: Vec::new(),
        sockets: Vec::new(),
        database: None,
        environment: Default::default(),
    }
}

pub async fn start(inputs: Inputs) -> Running {
    let settings = Settings {
        entry_points: vec![EntryPoint::new("web", "127.0.0.1:0")],
        drain: Duration::from_secs(1),
        ..Settings::default()
    };
    let gateway: Gateway = gateway::open(settings, inputs).await.expect("gateway");
    let (address, control) = (gateway.addresses()[0].1, gateway.control());
    let stop = CancellationToken::new();
    for (_, task) in gateway.tasks(&stop) {
        tokio::spawn(task);
    }
    Running { address, control, stop }
}

/// Answers everything with its name and what it saw.
pub fn echo(name: &'static str) -> Router {
    let answer = move |request: Request| async move {
        let headers: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")))
            .collect();
        format!(
            "{name} {} {}\n{}\n",
            request.method(),
            request.uri(),
            headers.join("\n")
        )
    };
    Router::new().fallback(any(answer))
}

/// The router on a port of its own; dropping the token's last clone does not stop it, cancelling does, at once.
pub async fn origin(router: Router) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let stop = CancellationToken::new();
    tokio::spawn(http_chassis::server::serve(
        listener,
        router,
        stop.clone(),
        Duration::ZERO,
    ));
    (address, stop)
}

/// Sends bytes as they are and reads until the connection closes or nothing comes for a while.
pub async fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(bytes.as_bytes()).await.expect("write");
    let mut out = Vec::new();
    let mut part = [0; 16384];
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_millis(800), stream.read(&mut part)).await {
        if read == 0 {
            break;
        }
        out.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub async fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    raw(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{headers}\r\n"),
    )
    .await
}

pub fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

pub fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}
