//! The platform in the three shapes it promises to behave the same in.

use crate::{
    client::Client,
    database::Database,
    directory::Directory,
    process::{self, Process},
};
use std::{collections::HashMap, path::PathBuf, time::SystemTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `portico up`
    OneProcess,
    /// A gateway and one of each service, as processes of their own.
    FourProcesses,
    /// A gateway before two copies of each service.
    TwoCopies,
}

pub struct Stack {
    pub processes: Vec<(String, Process)>,
    pub web: String,
    pub admin: String,
    pub environment: HashMap<String, String>,
    database: Option<Database>,
    directory: Directory,
}

/// Limits off and nothing else set.
pub fn environment() -> HashMap<String, String> {
    let mut environment = HashMap::new();
    for limit in ["CORE", "MEDIA", "LINKS", "LINKS_ANONYMOUS"] {
        environment.insert(format!("PORTICO_RATE_LIMIT_{limit}"), "off".to_owned());
    }
    environment
}

/// Below the range the system hands out: nobody gets it before the gateway, which starts last.
pub fn free_address() -> String {
    for _ in 0..1000 {
        let moment = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        let port = 10_000 + (moment.as_nanos() / 97 + u128::from(std::process::id()) * 31) % 20_000;
        let address = format!("127.0.0.1:{port}");
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
    panic!("no port is free")
}

impl Stack {
    pub async fn start(shape: Shape) -> Self {
        Self::start_with(shape, &[]).await
    }

    /// With settings of the test's own.
    pub async fn start_with(shape: Shape, settings: &[(&str, &str)]) -> Self {
        let mut environment = environment();
        environment.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let directory = Directory::make();
        match shape {
            Shape::OneProcess => Self::one_process(directory, environment),
            Shape::FourProcesses => Self::many(directory, environment, 1).await,
            Shape::TwoCopies => Self::many(directory, environment, 2).await,
        }
    }

    fn one_process(directory: Directory, mut environment: HashMap<String, String>) -> Self {
        environment.insert(
            "PORTICO_DATA_DIR".into(),
            directory.path().join("data").display().to_string(),
        );
        // Known beforehand, because links that leave the house carry it.
        environment
            .entry("PORTICO_HTTP_ADDR".into())
            .or_insert_with(free_address);
        for name in ["HTTPS", "ADMIN", "S3"] {
            environment
                .entry(format!("PORTICO_{name}_ADDR"))
                .or_insert("127.0.0.1:0".into());
        }
        let mut stack = Self {
            processes: Vec::new(),
            web: String::new(),
            admin: String::new(),
            environment,
            database: None,
            directory,
        };
        stack.up();
        stack
    }

    /// Starts (again) what `up` starts.
    pub fn up(&mut self) {
        let mut process = Process::start("up", &["up"], &self.environment, self.directory.path());
        let found = process.listeners(&["web", "websecure", "admin"]);
        self.web = format!("http://{}", found["web"]);
        self.admin = format!("http://{}", found["admin"]);
        self.processes = vec![("up".to_owned(), process)];
    }

    async fn many(directory: Directory, environment: HashMap<String, String>, copies: usize) -> Self {
        let database = Database::start(&directory).await;
        let mut shared = environment;
        let web = free_address();
        shared.insert("PORTICO_PUBLIC_URL".into(), format!("http://{web}"));
        shared.insert("PORTICO_HTTP_ADDR".into(), web);
        shared.insert("DATABASE_URL".into(), database.url.expose().to_owned());
        let mut stack = Self {
            processes: Vec::new(),
            web: String::new(),
            admin: String::new(),
            environment: shared,
            database: Some(database),
            directory,
        };
        if copies > 1 {
            // Copies of media share one store; this one stands for the bucket elsewhere.
            let secret = "a store secret for the copies to share".to_owned();
            stack.environment.insert("PORTICO_S3_SECRET_ACCESS_KEY".into(), secret);
            stack
                .environment
                .insert("PORTICO_S3_ACCESS_KEY_ID".into(), "portico".into());
            let address = stack.serve("store", "store", &HashMap::new(), "s3");
            stack
                .environment
                .insert("PORTICO_S3_ENDPOINT".into(), format!("http://{address}"));
        }
        let mut urls: HashMap<&str, Vec<String>> = HashMap::new();
        for copy in 1..=copies {
            for service in ["core", "media", "links"] {
                let name = format!("{service}-{copy}");
                let address = stack.serve(&name, service, &HashMap::new(), service);
                urls.entry(service).or_default().push(format!("http://{address}"));
            }
        }
        let places: HashMap<String, String> = urls
            .iter()
            .map(|(service, urls)| (format!("PORTICO_{}_URL", service.to_uppercase()), urls.join(",")))
            .collect();
        stack.web = format!("http://{}", stack.serve("gateway", "gateway", &places, "web"));
        stack
    }

    /// Starts one service as a process and answers with its address.
    fn serve(&mut self, name: &str, service: &str, more: &HashMap<String, String>, listener: &str) -> String {
        let mut environment = self.environment.clone();
        environment.extend(more.clone());
        let data_dir = self.directory.path().join(name);
        environment.insert("PORTICO_DATA_DIR".into(), data_dir.display().to_string());
        for address in ["ADMIN", "S3", "CORE", "MEDIA", "LINKS"] {
            environment.insert(format!("PORTICO_{address}_ADDR"), "127.0.0.1:0".into());
        }
        if service == "gateway" {
            environment.remove("DATABASE_URL");
        }
        let mut process = Process::start(name, &["serve", service], &environment, self.directory.path());
        let found = process.listeners(&[listener, "admin"]);
        self.admin = format!("http://{}", found["admin"]);
        self.processes.push((name.to_owned(), process));
        found[listener].clone()
    }

    /// Another process beside the stack, with a data directory of its own: its plain entrypoint, and the process.
    pub fn beside(&self, arguments: &[&str], settings: &[(&str, &str)]) -> (String, Process) {
        let mut environment = environment();
        environment.insert("PORTICO_HTTP_ADDR".into(), "127.0.0.1:0".into());
        environment.insert("PORTICO_ADMIN_ADDR".into(), "127.0.0.1:0".into());
        let data_dir = self.directory.path().join("beside");
        environment.insert("PORTICO_DATA_DIR".into(), data_dir.display().to_string());
        environment.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let mut process = Process::start("beside", arguments, &environment, self.directory.path());
        let address = process.listeners(&["web"])["web"].clone();
        (format!("http://{address}"), process)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.web)
    }

    pub fn admin(&self) -> Client {
        Client::new(&self.admin)
    }

    /// `host:port` of the plain entrypoint.
    pub fn address(&self) -> &str {
        self.web.trim_start_matches("http://")
    }

    /// Takes a process out, to be killed or stopped by the test.
    pub fn take(&mut self, name: &str) -> Process {
        let place = self
            .processes
            .iter()
            .position(|(known, _)| known == name)
            .expect("a process of this name");
        self.processes.remove(place).1
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The owner's login to the database behind the services.
    pub fn database_url(&self) -> String {
        if let Some(database) = &self.database {
            return database.url.expose().to_owned();
        }
        let cluster = postgres_chassis::cluster::Settings {
            data_dir: self.data_dir(),
            binaries: None,
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            port: None,
        };
        postgres_chassis::cluster::running(&cluster)
            .expect("the cluster of up")
            .expose()
            .to_owned()
    }

    /// Runs a command on the same settings: exit code, standard output, standard error.
    pub fn run(&self, arguments: &[&str], input: &str) -> (i32, String, String) {
        process::run(arguments, &self.environment, self.directory.path(), input)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The gateway before the services, all before the database.
        while let Some((_, process)) = self.processes.pop() {
            drop(process);
        }
        drop(self.database.take());
    }
}
