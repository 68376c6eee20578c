//! The kit of the end-to-end tests: real processes on random ports, a real PostgreSQL, a plain HTTP client, raw sockets.

pub mod client;
pub mod database;
pub mod directory;
pub mod process;
pub mod raw;
pub mod receiver;
pub mod socket;
pub mod stack;

pub use client::{Answer, Client};
pub use database::Database;
pub use directory::Directory;
pub use process::Process;
pub use receiver::Receiver;
pub use socket::Socket;
pub use stack::{Shape, Stack, environment};
