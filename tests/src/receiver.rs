//! A webhook of the test's own: it keeps what it was told and answers as the test set, else as its path says: `/fail` with 500, `/later` with 503
//! and `Retry-After: 1`, `/slow` after two seconds, `/echo` with what it was told, anything else with 200.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(20);

/// One call.
#[derive(Debug, Clone)]
pub struct Told {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: HashMap<String, String>,
    pub text: String,
    pub at: Instant,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("JSON: {}", self.text))
    }
}

#[derive(Clone, Default)]
struct Kept {
    told: Arc<Mutex<Vec<Told>>>,
    replies: Arc<Mutex<HashMap<String, (u16, String)>>>,
}

pub struct Receiver {
    pub url: String,
    kept: Kept,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let kept = Kept::default();
        let theirs = kept.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = theirs.clone();
                let service = service_fn(move |request| hear(request, kept.clone()));
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A caller that goes away ends its connection.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Receiver { url, kept }
    }

    /// What a path is answered from now on.
    pub fn reply(&self, path: &str, status: u16, body: impl ToString) {
        let mut replies = self.kept.replies.lock().expect("replies");
        replies.insert(path.to_owned(), (status, body.to_string()));
    }

    /// What was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.kept.told.lock().expect("told").clone()
    }

    /// Waits until there were so many calls.
    pub async fn wait(&self, calls: usize) -> Vec<Told> {
        let began = Instant::now();
        loop {
            let told = self.told();
            if told.len() >= calls {
                return told;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{} of {calls} calls came: {told:?}",
                told.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn forget(&self) {
        self.kept.told.lock().expect("told").clear();
    }
}

async fn hear(request: Request<Incoming>, kept: Kept) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = head.uri.to_string();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    kept.told.lock().expect("told").push(Told {
        method: head.method.to_string(),
        path: path.clone(),
        headers: headers.collect(),
        text: String::from_utf8_lossy(&body).into_owned(),
        at: Instant::now(),
    });
    if path.contains("/slow") {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    if let Some((status, body)) = kept.replies.lock().expect("replies").get(&path) {
        let mut response = Response::new(Full::new(Bytes::from(body.clone())));
        *response.status_mut() = StatusCode::from_u16(*status).expect("a status");
        response
            .headers_mut()
            .insert("set-cookie", http::HeaderValue::from_static("seen=1"));
        return Ok(response);
    }
    let answer = match path.contains("/echo") {
        true => body,
        false => Bytes::from_static(b"{}"),
    };
    let mut response = Response::new(Full::new(answer));
    if path.contains("/fail") {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    if path.contains("/later") {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
            .headers_mut()
            .insert("retry-after", http::HeaderValue::from_static("1"));
    }
    Ok(response)
}
