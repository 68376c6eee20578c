//! What servers say over HTTP/1.1 and how: framings, early answers, connections that end at the worst moment.

mod kit;

use gateway::{At, Builtin};
use kit::{get, header, inputs, raw, start, status};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A server that does what the script says with each of its connections, which are counted from 0.
async fn scripted<F>(script: impl Fn(usize, TcpStream) -> F + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(counted.fetch_add(1, SeqCst), stream));
        }
    });
    (address, count)
}

async fn gateway_to(server: SocketAddr) -> kit::Running {
    let builtin = Builtin {
        links: Some(At::Urls(vec![format!("http://{server}")])),
        ..Builtin::default()
    };
    start(inputs(Vec::new(), Some(builtin))).await
}

/// The head of the next request; empty at the end of the connection.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).expect("text")
}

/// Each request is answered with these bytes, and nothing else is done.
async fn always(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    scripted(move |_, mut stream| async move {
        while !head(&mut stream).await.is_empty() {
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn every_framing_comes_through_and_a_connection_is_kept_where_it_can_be() {
    for (answer, expected, connections) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 1),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\nX-Sum: 5\r\n\r\n",
            "hello",
            1,
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            1,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", 1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 1),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            "hello",
            3,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 3),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
            3,
        ),
    ] {
        let (server, count) = always(answer).await;
        let gateway = gateway_to(server).await;
        // Over one connection, so on one lane, which keeps its own connections.
        let three = "GET /l/a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
        let answers = raw(gateway.address, &three).await;
        let plain = answers
            .replace("5\r\nhello\r\n0\r\n\r\n", "hello")
            .replace("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello");
        assert_eq!(answers.matches("HTTP/1.1 20").count(), 3, "{answer:?}: {answers}");
        assert_eq!(
            plain.matches("hello").count(),
            if expected.is_empty() { 0 } else { 3 },
            "{answer:?}: {answers}"
        );
        assert_eq!(count.load(SeqCst), connections, "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_is_passed_on_whole() {
    let (server, _) = scripted(|_, mut stream| async move {
        head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            .await;
        for _ in 0..50 {
            let _ = stream.write_all(&[b'x'; 10_000]).await;
        }
    })
    .await;
    let gateway = gateway_to(server).await;
    let answer = get(gateway.address, "/l/a", "").await;
    assert_eq!(
        answer.matches('x').count() - answer.split("\r\n\r\n").next().unwrap_or_default().matches('x').count(),
        500_000
    );
}

#[tokio::test]
async fn what_is_no_answer_is_a_bad_gateway() {
    for wrong in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ] {
        let (server, _) = always(wrong).await;
        let gateway = gateway_to(server).await;
        let answer = get(gateway.address, "/l/a", "").await;
        assert_eq!(status(&answer), 502, "{wrong:?}: {answer}");
        assert!(answer.contains("UPSTREAM_BROKEN"), "{answer}");
    }
}

#[tokio::test]
async fn what_a_server_says_beyond_its_answer_is_no_answer_to_the_next() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let (server, count) = always(poison).await;
    let gateway = gateway_to(server).await;
    let two = "GET /l/a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
    let answers = raw(gateway.address, &two).await;
    assert_eq!(
        (answers.matches("good").count(), answers.contains("poison")),
        (2, false),
        "{answers}"
    );
    assert_eq!(count.load(SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    for half in [
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n32\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ] {
        let (server, _) = scripted(move |_, mut stream| async move {
            head(&mut stream).await;
            let _ = stream.write_all(half.as_bytes()).await;
        })
        .await;
        let gateway = gateway_to(server).await;
        let answer = get(gateway.address, "/l/a", "").await;
        assert!(
            answer.contains("half") && !answer.ends_with("0\r\n\r\n"),
            "{half:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_counts() {
    let (server, _) = scripted(|_, mut stream| async move {
        head(&mut stream).await;
        let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge";
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        // Closing with unread bytes would reset the connection, which may overtake the answer.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let gateway = gateway_to(server).await;
    let mut client = TcpStream::connect(gateway.address).await.expect("connect");
    let head = "POST /l/a HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n";
    client.write_all(head.as_bytes()).await.expect("write");
    client.write_all(&[b'x'; 100_000]).await.expect("write");
    let mut answer = vec![0; 1000];
    let read = tokio::time::timeout(Duration::from_secs(10), client.read(&mut answer)).await;
    let read = read.expect("in time").expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert_eq!(status(&answer), 413, "{answer}");
}

#[tokio::test]
async fn bodies_reach_the_server_as_they_were_sent() {
    let (server, _) = scripted(|_, mut stream| async move {
        loop {
            let head = head(&mut stream).await;
            if head.is_empty() {
                return;
            }
            let chunked = head.contains("transfer-encoding: chunked");
            let mut body = Vec::new();
            if chunked {
                while !body.ends_with(b"0\r\n\r\n") {
                    body.push(stream.read_u8().await.expect("a byte"));
                }
            } else {
                let length = head
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.lines().next())
                    .unwrap_or("0");
                body.resize(length.parse().expect("a length"), 0);
                stream.read_exact(&mut body).await.expect("a body");
            }
            let xs = body.iter().filter(|byte| **byte == b'x').count();
            let told = format!("{chunked} {xs} {}", head.matches("content-length").count());
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{told}", told.len());
            stream.write_all(answer.as_bytes()).await.expect("write");
        }
    })
    .await;
    let gateway = gateway_to(server).await;
    let post = |framing: &str, body: &str| {
        format!("POST /l/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n\r\n{body}")
    };
    let x = "x".repeat(300_000);
    for (request, told) in [
        (post("Content-Length: 300000", &x), "false 300000 1"),
        (
            post(
                "Transfer-Encoding: chunked",
                &format!("493e0\r\n{x}\r\n3\r\nxxx\r\n0\r\n\r\n"),
            ),
            "true 300003 0",
        ),
        (post("Content-Length: 0", ""), "false 0 1"),
        (post("Transfer-Encoding: chunked", "0\r\n\r\n"), "true 0 0"),
        (post("X: y", ""), "false 0 1"),
    ] {
        let answer = raw(gateway.address, &request).await;
        assert_eq!(body(&answer), told, "{}", &request[..90]);
    }
}

#[tokio::test]
async fn a_client_that_breaks_off_is_no_fault_of_the_server() {
    let (server, _) = scripted(|_, mut stream| async move {
        let head = head(&mut stream).await;
        if head.starts_with("GET") {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
        }
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let gateway = gateway_to(server).await;
    let broken = "POST /l/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n";
    let answer = raw(gateway.address, broken).await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(!answer.contains("UPSTREAM"), "{answer}");
    assert_eq!(status(&get(gateway.address, "/l/a", "").await), 200);
}

#[tokio::test]
async fn a_kept_connection_that_died_costs_no_request_that_may_be_repeated() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    let (server, connections) = scripted(move |_, mut stream| {
        let seen = counted.clone();
        async move {
            // The first request of a connection is answered; at the second the server is gone.
            if !head(&mut stream).await.is_empty() {
                seen.fetch_add(1, SeqCst);
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await;
                if !head(&mut stream).await.is_empty() {
                    seen.fetch_add(1, SeqCst);
                }
            }
        }
    })
    .await;
    let gateway = gateway_to(server).await;
    let gets = "GET /l/a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2);
    let answers = raw(gateway.address, &gets).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    assert_eq!((connections.load(SeqCst), seen.load(SeqCst)), (2, 3));

    let post = "GET /l/a HTTP/1.1\r\nHost: a\r\n\r\nPOST /l/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    let before = seen.load(SeqCst);
    let answers = raw(gateway.address, post).await;
    assert_eq!(
        (answers.matches(" 200 ").count(), answers.matches(" 502 ").count()),
        (1, 1),
        "{answers}"
    );
    assert_eq!(seen.load(SeqCst) - before, 2, "a POST must reach a server once");
}

#[tokio::test]
async fn a_connection_the_server_closed_is_let_go_without_waiting_for_a_request() {
    let (told, mut gone) = tokio::sync::mpsc::unbounded_channel();
    let (server, _) = scripted(move |_, mut stream| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
            let _ = stream.shutdown().await;
            let _ = told.send(stream.read(&mut [0; 1]).await.is_ok_and(|read| read == 0));
        }
    })
    .await;
    let gateway = gateway_to(server).await;
    assert_eq!(status(&get(gateway.address, "/l/a", "").await), 200);
    let closed = tokio::time::timeout(Duration::from_secs(20), gone.recv()).await;
    assert_eq!(closed, Ok(Some(true)));
}

#[tokio::test]
async fn a_switched_protocol_keeps_what_the_server_said_at_once() {
    let (server, _) = scripted(|_, mut stream| async move {
        let asked = head(&mut stream).await;
        assert!(asked.to_ascii_lowercase().contains("upgrade: echo"), "{asked}");
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst";
        let _ = stream.write_all(switch).await;
        let mut word = [0; 4];
        while stream.read_exact(&mut word).await.is_ok() {
            let _ = stream.write_all(&word).await;
        }
    })
    .await;
    let gateway = gateway_to(server).await;
    let request = "GET /l/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut client = TcpStream::connect(gateway.address).await.expect("connect");
    client.write_all(request.as_bytes()).await.expect("write");
    let answer = head(&mut client).await;
    assert_eq!(
        (status(&answer), header(&answer, "upgrade")),
        (101, Some("echo")),
        "{answer}"
    );
    client.write_all(b"ping").await.expect("write");
    let mut said = [0; 9];
    client.read_exact(&mut said).await.expect("both");
    assert_eq!(&said, b"firstping");
}
