//! The Docker engine: lists containers, follows its events, applies what their labels say. A container being killed gets no new
//! requests from the moment the engine says so. While the engine does not answer, the last configuration stays.

use super::labels::{self, Container};
use crate::{gateway::Control, settings::DockerProvider};
use axum::body::Body;
use futures_util::future::join_all;
use http::{Request, header};
use http_body::Body as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    io,
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

const LARGEST: usize = 64 * 1024 * 1024;
/// Events closer together than this are handled as one.
const GATHER: Duration = Duration::from_millis(20);

pub async fn run(settings: DockerProvider, control: Arc<Control>, stop: CancellationToken) {
    let mut engine = Engine {
        settings,
        control,
        stopping: HashSet::new(),
        seen: HashSet::new(),
        told: Vec::new(),
    };
    loop {
        let ended = tokio::select! {
            ended = engine.follow() => ended,
            () = stop.cancelled() => return,
        };
        if let Err(error) = ended {
            tracing::error!(endpoint = engine.settings.endpoint, %error, "the Docker engine does not answer; the configuration stays");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => return,
        }
    }
}

struct Engine {
    settings: DockerProvider,
    control: Arc<Control>,
    /// Containers the engine has been told to kill.
    stopping: HashSet<String>,
    /// Containers that have run while we looked. Others that have ended are leftovers of long ago.
    seen: HashSet<String>,
    told: Vec<String>,
}

impl Engine {
    /// Applies what is there, then again after every event, until the stream of events ends.
    async fn follow(&mut self) -> io::Result<()> {
        // Events first: what happens while we list is not missed.
        let mut events = self
            .get("/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D")
            .await?;
        self.list().await?;
        let mut buffer = Vec::new();
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut events).poll_frame(cx)).await;
            let Some(frame) = frame else { return Ok(()) };
            let Ok(data) = frame.map_err(io::Error::other)?.into_data() else {
                continue;
            };
            buffer.extend_from_slice(&data);
            let mut due = false;
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                due |= self.event(&line);
            }
            if due {
                tokio::time::sleep(GATHER).await;
                self.list().await?;
            }
        }
    }

    /// Whether the event changes anything.
    fn event(&mut self, line: &[u8]) -> bool {
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            return false;
        };
        let action = event["Action"]
            .as_str()
            .or(event["status"].as_str())
            .unwrap_or_default();
        let id = event["Actor"]["ID"]
            .as_str()
            .or(event["id"].as_str())
            .unwrap_or_default();
        match action.split(':').next().unwrap_or_default() {
            "kill" => self.stopping.insert(id.to_owned()),
            "start" | "die" | "stop" | "destroy" => {
                self.stopping.remove(id);
                true
            }
            "health_status" | "pause" | "unpause" | "rename" | "update" => true,
            _ => false,
        }
    }

    async fn list(&mut self) -> io::Result<()> {
        let listed = self.json("/containers/json?all=true").await?;
        let ids = listed
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|container| container["Id"].as_str());
        let inspected = join_all(ids.map(|id| self.inspect(id))).await;
        let mut containers: Vec<Container> = inspected.into_iter().flatten().collect();
        containers.retain(|container| !container.gone || self.seen.contains(&container.id));
        self.seen = containers.iter().map(|container| container.id.clone()).collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        for container in &mut containers {
            container.ready &= !self.stopping.contains(&container.id);
        }
        let (dynamic, mistakes) = labels::dynamic(&containers, &self.settings);
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        for text in told.iter().filter(|text| !self.told.contains(text)) {
            tracing::error!(mistake = text, "a container's labels are wrong");
        }
        self.told = told;
        self.control.apply("docker", dynamic);
        Ok(())
    }

    /// `None` for one that has been removed meanwhile, or never ran.
    async fn inspect(&self, id: &str) -> Option<Container> {
        let full = self.json(&format!("/containers/{id}/json")).await.ok()?;
        let gone = full["State"]["Running"] != Value::Bool(true);
        if gone && !matches!(full["State"]["Status"].as_str(), Some("exited" | "restarting" | "dead")) {
            return None;
        }
        let texts = |value: &Value| -> BTreeMap<String, String> {
            let entries = value.as_object().into_iter().flatten();
            entries
                .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect()
        };
        let networks = full["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        let ip = |network: &Value| {
            let v4 = network["IPAddress"].as_str().filter(|ip| !ip.is_empty());
            v4.or(network["GlobalIPv6Address"].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let exposed = full["NetworkSettings"]["Ports"].as_object().into_iter().flatten();
        let ports = exposed.filter_map(|(port, _)| port.strip_suffix("/tcp")?.parse().ok());
        let health = full["State"]["Health"]["Status"].as_str().unwrap_or("none");
        Some(Container {
            id: id.to_owned(),
            name: full["Name"]
                .as_str()
                .unwrap_or_default()
                .trim_start_matches('/')
                .to_owned(),
            labels: texts(&full["Config"]["Labels"]),
            networks: networks.map(|(name, network)| (name.clone(), ip(network))).collect(),
            network_mode: full["HostConfig"]["NetworkMode"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            ports: ports.collect(),
            ready: !gone && matches!(health, "" | "none" | "healthy"),
            gone,
        })
    }

    async fn json(&self, path: &str) -> io::Result<Value> {
        let body = self.get(path).await?;
        let bytes = axum::body::to_bytes(body, LARGEST).await.map_err(io::Error::other)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }

    async fn get(&self, path: &str) -> io::Result<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().map_err(io::Error::other)?;
        request
            .headers_mut()
            .insert(header::HOST, http::HeaderValue::from_static("docker"));
        let endpoint = &self.settings.endpoint;
        if let Some(socket) = endpoint.strip_prefix("unix://") {
            return send(TokioIo::new(UnixStream::connect(socket).await?), request).await;
        }
        match endpoint.strip_prefix("tcp://").or(endpoint.strip_prefix("http://")) {
            Some(address) => send(TokioIo::new(TcpStream::connect(address).await?), request).await,
            None => Err(io::Error::other("the endpoint is neither unix:// nor tcp://")),
        }
    }
}

/// One request on a connection of its own.
async fn send<T>(io: T, request: Request<Body>) -> io::Result<Body>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
    // Ends when the answer has been read, or dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    if !response.status().is_success() {
        return Err(io::Error::other(format!("it answered {}", response.status())));
    }
    Ok(Body::new(response.into_body()))
}
