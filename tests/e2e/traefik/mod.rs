//! The gateway alone, configured as Traefik is: flags, and a file of routers.

mod access;
mod cache;
mod docker;
mod grpc;
mod handover;
mod limits;
mod log;
mod services;

use portico_tests::{Client, Directory, Process, environment};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

pub struct Lone {
    pub process: Process,
    /// `host:port` of the entrypoint `web`.
    pub web: String,
    directory: Directory,
    arguments: Vec<String>,
    environment: HashMap<String, String>,
}

impl Lone {
    /// With a dynamic file, and more flags of the static configuration.
    pub fn start(dynamic: &str, flags: &[&str]) -> Self {
        let directory = Directory::make();
        std::fs::write(directory.path().join("dynamic.yml"), dynamic).expect("a file");
        let mut environment = environment();
        environment.insert(
            "PORTICO_DATA_DIR".into(),
            directory.path().join("data").display().to_string(),
        );
        let mut arguments = vec![
            "serve",
            "gateway",
            "--",
            "--entrypoints.web.address=127.0.0.1:0",
            "--providers.file.filename=dynamic.yml",
            "--providers.providersthrottleduration=0s",
        ];
        arguments.extend(flags);
        let mut process = Process::start("gateway", &arguments, &environment, directory.path());
        let web = process.listeners(&["web"])["web"].clone();
        Self {
            process,
            web,
            directory,
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            environment,
        }
    }

    /// A new process in place of the one that serves, on its sockets; answers with the one before.
    pub fn succeed(&mut self) -> Process {
        let mut environment = self.environment.clone();
        environment.insert("PORTICO_TAKE_OVER".into(), "on".into());
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let mut next = Process::start("successor", &arguments, &environment, self.directory.path());
        assert_eq!(next.listeners(&["web"])["web"], self.web);
        std::mem::replace(&mut self.process, next)
    }

    /// A successor with flags that cannot be used: its exit code and what it says.
    pub fn fail_to_succeed(&self, flags: &[&str]) -> (i32, String) {
        let mut environment = self.environment.clone();
        environment.insert("PORTICO_TAKE_OVER".into(), "on".into());
        let mut arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        arguments.extend(flags);
        let (code, _, said) = portico_tests::process::run(&arguments, &environment, self.directory.path(), "");
        (code, said)
    }

    /// A file beside the gateway's own.
    pub fn place(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    pub fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.web))
    }

    /// Replaces the dynamic file in one step, as an editor does.
    pub fn configure(&self, dynamic: &str) {
        let (new, place) = (
            self.directory.path().join("new"),
            self.directory.path().join("dynamic.yml"),
        );
        std::fs::write(&new, dynamic).expect("a file");
        std::fs::rename(new, place).expect("a file");
    }
}

/// A program of the tests' clients that says its port in its first line; killed when dropped.
pub struct Origin {
    child: Child,
    pub port: u16,
}

impl Origin {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the origin starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        let port = line.trim().parse().expect("its port");
        Self { child, port }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Traefik's variables alone, as in a stack that only swapped the image.
#[tokio::test]
async fn variables_of_traefik_are_enough() {
    let directory = Directory::make();
    let rule =
        "http: {routers: {r: {rule: 'Host(`{{ env \"PORTICO_RATE_LIMIT_CORE\" }}.test`)', service: ping@internal}}}";
    std::fs::write(directory.path().join("dynamic.yml"), rule).expect("a file");
    let mut environment = environment();
    for (name, value) in [
        ("TRAEFIK_ENTRYPOINTS_WEB_ADDRESS", "127.0.0.1:0"),
        ("TRAEFIK_PROVIDERS_FILE_FILENAME", "dynamic.yml"),
        ("TRAEFIK_PING_MANUALROUTING", "true"),
    ] {
        environment.insert(name.into(), value.into());
    }
    environment.insert(
        "PORTICO_DATA_DIR".into(),
        directory.path().join("data").display().to_string(),
    );
    let mut process = Process::start("gateway", &["serve", "gateway"], &environment, directory.path());
    let client = Client::new(&format!("http://{}", process.listeners(&["web"])["web"]));
    let ping = client.with("host", "off.test");
    for _ in 0..50 {
        if ping.get("/").await.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    ping.get("/").await.expect(200);
    client.get("/health").await.problem(404, "ROUTE_NOT_FOUND");
}
