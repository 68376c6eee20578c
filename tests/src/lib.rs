//! The kit of the end-to-end tests: real processes on random ports, a real PostgreSQL, a plain HTTP client, raw sockets.

pub mod client;
pub mod database;
pub mod directory;
pub mod edge;
pub mod pebble;
pub mod process;
pub mod raw;
pub mod receiver;
pub mod socket;
pub mod stack;
pub mod tls;

pub use client::{Answer, Client};
pub use database::Database;
pub use directory::Directory;
pub use edge::Edge;
pub use pebble::Pebble;
pub use process::Process;
pub use receiver::Receiver;
pub use socket::Socket;
pub use stack::{Shape, Stack, environment};

/// The Python that `make e2e` prepares, with the packages of `clients/requirements.txt`.
pub fn python() -> std::path::PathBuf {
    let root: std::path::PathBuf = [env!("CARGO_MANIFEST_DIR"), ".."].iter().collect();
    let python = root.join("target/venv/bin/python3");
    assert!(python.exists(), "{} is missing; make e2e prepares it", python.display());
    python
}
