//! A PostgreSQL of the test's own, for the shapes whose processes share one.

use crate::directory::Directory;
use postgres_chassis::{DatabaseUrl, cluster};
use std::{fs, path::PathBuf};

pub struct Database {
    pub url: DatabaseUrl,
    place: PathBuf,
}

impl Database {
    pub async fn start(directory: &Directory) -> Self {
        let data_dir = directory.path().join("database");
        let settings = cluster::Settings {
            data_dir: data_dir.clone(),
            binaries: None,
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            port: None,
        };
        let cluster = cluster::Cluster::start(&settings).await.expect("a database");
        let url = cluster.url().clone();
        Self {
            url,
            place: data_dir.join("postgres"),
        }
    }

    /// A connection as the owner, to look behind the services.
    pub async fn connect(url: &str) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
            .await
            .expect("a connection");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.place.join("postmaster.pid")).unwrap_or_default();
        let pid = pid
            .lines()
            .next()
            .and_then(|line| line.parse().ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // Immediate shutdown: the directory goes right after.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            for _ in 0..200 {
                if !self.place.join("postmaster.pid").exists() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
}
