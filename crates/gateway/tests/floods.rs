//! HTTP/2 connections that cost their sender little and a careless server much: rapid reset (CVE-2023-44487), endless CONTINUATION
//! (CVE-2024-27316), empty DATA (CVE-2019-9518), PING and SETTINGS floods (CVE-2019-9512, -9515), an HPACK bomb. While each goes
//! on an honest client is served, and memory stays where it was.

mod kit;

use axum::{Router, routing::any};
use gateway::{At, Builtin};
use kit::{Running, get, inputs, start, status};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// `GET http://a.test/l/x`, by the static table where it can be.
fn request(method: u8) -> Vec<u8> {
    let mut block = vec![method, 0x86, 0x04, 4];
    block.extend(b"/l/x");
    block.extend([0x41, 6]);
    block.extend(b"a.test");
    block
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace()
        .nth(1)
        .and_then(|size| size.parse::<usize>().ok())
        .expect("kilobytes")
        / 1024
}

/// A connection past its preface, whose answers are read and thrown away.
async fn connect(address: SocketAddr) -> (tokio::net::tcp::OwnedWriteHalf, tokio::task::JoinHandle<Vec<u8>>) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut reading, mut writing) = stream.into_split();
    let reader = tokio::spawn(async move {
        let (mut last, mut part) = (Vec::new(), [0; 16384]);
        while let Ok(read) = reading.read(&mut part).await {
            if read == 0 {
                break;
            }
            last = part[..read].to_vec();
        }
        last
    });
    writing
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .expect("writing");
    writing.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("writing");
    (writing, reader)
}

async fn gateway() -> (Running, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let service = Router::new().fallback(any(move || {
        counted.fetch_add(1, SeqCst);
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            "fine"
        }
    }));
    let builtin = Builtin {
        links: Some(At::InProcess),
        links_rate: None,
        links_anonymous: None,
        ..Builtin::default()
    };
    (
        start(inputs(vec![("links".into(), service)], Some(builtin))).await,
        asked,
    )
}

/// Sends what `more` gives until it gives nothing, the server ends the connection, or time is up; answers whether the server did.
/// Meanwhile an honest client asks; so many times.
async fn flood(gateway: &Running, name: &str, mut more: impl FnMut(u32) -> Option<Vec<u8>>) -> (bool, usize) {
    let before = resident();
    let (mut writing, reader) = connect(gateway.address).await;
    let began = Instant::now();
    let (mut ended, mut honest) = (false, 0);
    for number in 0.. {
        if began.elapsed() > Duration::from_secs(5) {
            break;
        }
        let Some(bytes) = more(number) else { break };
        if writing.write_all(&bytes).await.is_err() {
            ended = true;
            break;
        }
        if number % 512 == 0 {
            let answer = tokio::time::timeout(Duration::from_secs(5), get(gateway.address, "/l/x", "")).await;
            let answered = answer.map(|answer| status(&answer));
            assert_eq!(answered, Ok(200), "{name}: an honest client");
            honest += 1;
        }
    }
    ended |= reader.is_finished();
    let grown = resident().saturating_sub(before);
    assert!(grown < 48, "{name}: {grown} MB more");
    (ended, honest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_opened_and_reset_end_the_connection() {
    let (gateway, asked) = gateway().await;
    let reset = |number: u32| {
        let stream = number * 2 + 1;
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(GET));
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        (number < 100_000).then_some(bytes)
    };
    let (ended, _) = flood(&gateway, "rapid reset", reset).await;
    assert!(
        ended,
        "the server must end the connection; it was asked {} times",
        asked.load(SeqCst)
    );
    assert!(
        asked.load(SeqCst) < 20_000,
        "{} reached the service",
        asked.load(SeqCst)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_an_end_end_the_connection() {
    let (gateway, asked) = gateway().await;
    let endless = |number: u32| {
        (number < 100_000).then(|| match number {
            0 => frame(HEADERS, END_STREAM, 1, &request(GET)),
            _ => frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y'].repeat(1000)),
        })
    };
    let (ended, honest) = flood(&gateway, "CONTINUATION", endless).await;
    assert!(ended, "the server must end the connection");
    assert_eq!(asked.load(SeqCst), honest, "nothing of the flood reached the service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_of_headers_is_refused() {
    let (gateway, asked) = gateway().await;
    // One entry of 4,000 bytes in the table, named 15,000 times: 60 MB in 16 KB.
    let mut block = request(GET);
    block.extend([0x40, 1, b'x', 0x7f]);
    block.extend([0xa1, 0x1e]);
    block.extend(vec![b'a'; 127 + 0x21 + 0x1e * 128]);
    block.extend(vec![0xbe; 12_000]);
    let bomb = |number: u32| (number < 200).then(|| frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &block));
    let (_, honest) = flood(&gateway, "HPACK", bomb).await;
    assert_eq!(asked.load(SeqCst), honest, "nothing of the flood reached the service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_say_nothing_cost_nobody_else() {
    let (gateway, _) = gateway().await;
    let empty = |number: u32| {
        (number < 200_000).then(|| match number {
            0 => frame(HEADERS, END_HEADERS, 1, &request(POST)),
            _ => frame(DATA, 0, 1, &[]),
        })
    };
    flood(&gateway, "empty DATA", empty).await;
    flood(&gateway, "PING", |number| {
        (number < 200_000).then(|| frame(PING, 0, 0, &[0; 8]))
    })
    .await;
    flood(&gateway, "SETTINGS", |number| {
        (number < 200_000).then(|| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]))
    })
    .await;
    // And honest clients afterwards.
    assert_eq!(status(&get(gateway.address, "/l/x", "").await), 200);
}
