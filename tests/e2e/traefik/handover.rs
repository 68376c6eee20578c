//! A new process takes the sockets under load, and nobody notices.

use super::Lone;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// `/slow` sends a piece every 100 ms for twenty seconds; everything else is answered at once.
async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let body = match request.uri().path() {
        "/slow" => {
            let pieces = futures_util::stream::unfold(0, |number| async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                (number < PIECES).then(|| (Ok(Frame::data(Bytes::from("piece\n"))), number + 1))
            });
            BodyExt::boxed(StreamBody::new(pieces))
        }
        _ => BodyExt::boxed(Full::from("fine")),
    };
    Ok(Response::new(body))
}

const PIECES: usize = 200;

async fn origin() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(connection);
        }
    });
    address.to_string()
}

/// Says every word back.
async fn echo() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
                    return;
                };
                while let Some(Ok(message)) = socket.next().await {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address.to_string()
}

/// One kept connection after another. A connection that ends without having said so before is a failure.
async fn http1(address: String, done: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Result<(), String> {
    while !done.load(SeqCst) {
        let mut stream = TcpStream::connect(&address)
            .await
            .map_err(|error| format!("connecting: {error}"))?;
        loop {
            let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream
                .write_all(request.as_bytes())
                .await
                .map_err(|error| format!("writing: {error}"))?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\nfine") {
                let mut part = [0; 1024];
                let read = stream
                    .read(&mut part)
                    .await
                    .map_err(|error| format!("reading: {error}"))?;
                if read == 0 {
                    return Err(format!(
                        "the connection ended after {:?}",
                        String::from_utf8_lossy(&head)
                    ));
                }
                head.extend_from_slice(&part[..read]);
            }
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200") {
                return Err(head);
            }
            answered.fetch_add(1, SeqCst);
            if head.contains("connection: close") || done.load(SeqCst) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    }
    Ok(())
}

/// Many streams over one connection, and a new one when the server says it goes away.
async fn http2(address: String, done: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Result<(), String> {
    while !done.load(SeqCst) {
        let stream = TcpStream::connect(&address).await.map_err(|error| error.to_string())?;
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        while sender.ready().await.is_ok() && !done.load(SeqCst) {
            let request = Request::get(format!("http://{address}/"))
                .body(Empty::<Bytes>::new())
                .expect("a request");
            match sender.try_send_request(request).await {
                Ok(response) if response.status() == 200 => {
                    response
                        .into_body()
                        .collect()
                        .await
                        .map_err(|error| format!("the body: {error}"))?;
                    answered.fetch_add(1, SeqCst);
                }
                Ok(response) => return Err(response.status().to_string()),
                // It was never sent: the client knows that it may ask elsewhere.
                Err(error) if error.message().is_some() => break,
                Err(error) => match format!("{:?}", error.into_error()) {
                    // The goodbye came while the client was about to send; it was not sent either.
                    goodbye if goodbye.contains("GoAway") && goodbye.contains("NO_ERROR") => break,
                    other => return Err(other),
                },
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_restarts_under_load_fail_nothing() {
    let (origin, echo) = (origin().await, echo().await);
    let mut gateway = Lone::start(
        &format!(
            "http:
  routers:
    all: {{rule: 'PathPrefix(`/`)', service: all}}
    echo: {{rule: 'Path(`/echo`)', service: echo, priority: 1000}}
  services:
    all: {{loadBalancer: {{servers: [{{url: 'http://{origin}'}}]}}}}
    echo: {{loadBalancer: {{servers: [{{url: 'http://{echo}'}}]}}}}
"
        ),
        &[],
    );
    let stream = TcpStream::connect(&gateway.web).await.expect("a connection");
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{}/echo", gateway.web), stream)
        .await
        .expect("a socket");
    let slow = gateway.client();
    let download = tokio::spawn(async move { slow.get("/slow").await.expect(200).text() });
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(tokio::spawn(http1(gateway.web.clone(), done.clone(), answered.clone())));
    }
    for _ in 0..2 {
        clients.push(tokio::spawn(http2(gateway.web.clone(), done.clone(), answered.clone())));
    }
    let mut before = Vec::new();
    for number in 0..50 {
        before.push(tokio::task::block_in_place(|| gateway.succeed()));
        let word = format!("word {number}");
        socket.send(word.clone().into()).await.expect("the socket lives on");
        let said = socket.next().await.expect("an answer").expect("an answer");
        assert_eq!(said.to_string(), word);
    }
    assert_eq!(download.await.expect("the download"), "piece\n".repeat(PIECES));
    socket.close(None).await.expect("closing");
    drop(socket);
    done.store(true, SeqCst);
    for client in clients {
        assert_eq!(client.await.expect("a client"), Ok(()));
    }
    assert!(answered.load(SeqCst) > 2000, "{} requests", answered.load(SeqCst));
    for mut process in before {
        let status = tokio::task::block_in_place(|| process.wait());
        assert!(status.success(), "{status}");
    }
    gateway.client().get("/").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_starts_the_successor_and_a_broken_one_changes_nothing() {
    let origin = origin().await;
    let routes = |service: &str| {
        format!(
            "http: {{routers: {{all: {{rule: 'PathPrefix(`/`)', service: {service}}}}}, services: {{all: {{loadBalancer: {{servers: [{{url: 'http://{origin}'}}]}}}}}}}}"
        )
    };
    let mut gateway = Lone::start(&routes("all"), &[]);
    gateway.client().get("/").await.expect(200);
    let (code, said) = gateway.fail_to_succeed(&["--entrypoints.web.adress=:1"]);
    assert_eq!(code, 1);
    assert!(said.contains("did you mean 'address'"), "{said}");
    gateway.client().get("/").await.expect(200);
    gateway.process.signal(Signal::USR2);
    let status = tokio::task::block_in_place(|| gateway.process.wait());
    assert!(status.success(), "{status}");
    gateway.client().get("/").await.expect(200);
    // The successor is nobody's child here: it is asked to hand over in its turn, so that the test can end it.
    let mut next = gateway.succeed();
    tokio::task::block_in_place(|| next.wait());
    gateway.client().get("/").await.expect(200);
}
