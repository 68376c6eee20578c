//! A gateway as Traefik's users start it: flags, a directory of dynamic files, nothing of our own configuration.

use crate::{client::Client, directory::Directory, process::Process};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs,
    net::TcpListener,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Edge {
    pub process: Process,
    /// `host:port` of the plain entrypoint, and of the one for TLS.
    pub web: String,
    pub websecure: String,
    pub admin: String,
}

/// Ports of entrypoints others must know beforehand.
pub struct Ports {
    pub web: u16,
    pub websecure: u16,
}

/// A port nobody listens on, below the range the system hands out.
pub fn free_port() -> u16 {
    for _ in 0..1000 {
        let port = 10_000 + u16::try_from(foundation::new_id().as_u128() % 20_000).expect("small");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free")
}

impl Ports {
    pub fn free() -> Self {
        Self {
            web: free_port(),
            websecure: free_port(),
        }
    }
}

/// Writes a dynamic file, whole at once.
pub fn configure(directory: &Directory, text: &str) {
    let folder = directory.path().join("dynamic");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(directory.path().join("next"), text).expect("written");
    fs::rename(directory.path().join("next"), folder.join("all.yml")).expect("in place");
}

impl Edge {
    /// Entrypoints `web` and `websecure`, the API, the files of `directory/dynamic`.
    pub fn start(directory: &Directory, ports: &Ports, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        fs::create_dir_all(directory.path().join("dynamic")).expect("a folder");
        let mut arguments: Vec<String> = ["serve", "gateway", "--"].map(str::to_owned).to_vec();
        arguments.extend([
            format!("--entrypoints.web.address=127.0.0.1:{}", ports.web),
            format!("--entrypoints.websecure.address=127.0.0.1:{}", ports.websecure),
            "--entrypoints.traefik.address=127.0.0.1:0".to_owned(),
            "--api.insecure=true".to_owned(),
            "--accesslog=true".to_owned(),
            format!(
                "--providers.file.directory={}",
                directory.path().join("dynamic").display()
            ),
        ]);
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let mut all: HashMap<String, String> = HashMap::new();
        let data = directory.path().join(format!("data-{}", ports.web));
        all.insert("PORTICO_DATA_DIR".into(), data.display().to_string());
        all.extend(
            environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut process = Process::start("edge", &arguments, &all, directory.path());
        let found = process.listeners(&["web", "websecure", "traefik"]);
        Self {
            web: found["web"].clone(),
            websecure: found["websecure"].clone(),
            admin: format!("http://{}", found["traefik"]),
            process,
        }
    }

    pub async fn api(&self, path: &str) -> Value {
        Client::new(&self.admin).get(path).await.expect(200).json()
    }

    /// Until what the API shows of certificates is as wished.
    pub async fn certificates(&self, wished: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.api("/api/certificates").await;
            let all = shown.as_array().expect("a list").clone();
            if wished(&all) {
                return all;
            }
            assert!(Instant::now() < until, "{all:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Until there are routers, and all are enabled.
    pub async fn routers(&self, names: &[&str]) {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.api("/api/http/routers").await;
            let enabled = |name: &&str| {
                let all = shown.as_array().expect("a list");
                all.iter()
                    .any(|router| router["name"] == *name && router["status"] == "enabled")
            };
            if names.iter().all(enabled) {
                return;
            }
            assert!(Instant::now() < until, "{shown:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How often the log says this.
    pub fn said(&self, message: &str) -> usize {
        self.process
            .logs()
            .iter()
            .filter(|line| line["message"] == message)
            .count()
    }
}
