//! The managed local cluster: a real PostgreSQL under the data directory, run as our child, for whoever has none.
//!
//! It is durable as PostgreSQL is (fsync on, checksums on), listens on a Unix socket only unless a port is asked for, and
//! what a `kill -9` leaves behind (an orphaned server, stale lock files) is put in order at the next start.

mod find;
mod initialise;
mod orphan;
mod owner;

pub use find::{Binaries, client_program};

use crate::{DatabaseUrl, quote_ident};
use foundation::{Error, Kind, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::VecDeque,
    ffi::OsString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

const USER: &str = "portico";
const DATABASE: &str = "portico";
/// Names the socket file; no TCP port is opened unless asked for.
const SOCKET_PORT: u16 = 5432;
const START_LIMIT: Duration = Duration::from_secs(60);
/// `sun_path` holds 108 bytes on Linux and 104 on macOS, the file's own name included.
const LONGEST_SOCKET_DIR: usize = 80;
const REMEMBERED_LINES: usize = 20;

#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster lives in `<data_dir>/postgres`.
    pub data_dir: PathBuf,
    /// Where `initdb` and `postgres` are, when they should not be searched for.
    pub binaries: Option<PathBuf>,
    /// The value of `PATH`, searched next.
    pub search_path: OsString,
    /// A loopback port besides the socket.
    pub port: Option<u16>,
}

/// A running cluster. Dropping it without [`Cluster::stop`] leaves the server to the next start.
pub struct Cluster {
    child: Child,
    url: DatabaseUrl,
}

impl Cluster {
    /// Finds the binaries, makes the cluster the first time, starts it and waits until it answers.
    ///
    /// # Errors
    /// Each names what is missing or wrong and how to mend it; `POSTGRES_NOT_FOUND` carries the install command.
    pub async fn start(settings: &Settings) -> Result<Self> {
        let owner = owner::choose()?;
        let place = initialise::place(&settings.data_dir, &owner)?;
        let binaries = find::find(settings, initialise::version(&place)).await?;
        let password = initialise::password(&settings.data_dir)?;
        initialise::run(&place, &binaries, &owner, &password).await?;
        orphan::put_in_order(&place).await?;
        let sockets = socket_directory(&settings.data_dir, &place, &owner)?;
        let mut child = spawn(&place, &binaries, &owner, &sockets, settings.port)?;
        let lines = forward_log(&mut child);
        let url = url(&sockets, settings.port, &password)?;
        await_ready(&mut child, &url, &lines).await?;
        Ok(Self { child, url })
    }

    /// The owner's login, over the socket.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Resolves when the server ends without having been told to.
    pub async fn exited(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .await
            .map_err(|error| Error::internal("waiting for postgres", error))
    }

    /// Fast shutdown: open transactions are rolled back, a checkpoint is written. Past the deadline, immediate shutdown;
    /// either way nothing committed is lost.
    pub async fn stop(mut self, deadline: Duration) {
        for (signal, patience) in [(Signal::INT, deadline), (Signal::QUIT, Duration::from_secs(5))] {
            let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else {
                return;
            };
            if let Err(error) = kill_process(pid, signal) {
                tracing::warn!(%error, "postgres could not be signalled");
            }
            if timeout(patience, self.child.wait()).await.is_ok() {
                return;
            }
            tracing::warn!(?signal, "postgres did not stop in time");
        }
    }
}

/// The server's own tools: of the cluster's release where there is a cluster, else the newest.
pub async fn binaries(settings: &Settings) -> Result<Binaries> {
    find::find(settings, initialise::version(&settings.data_dir.join("postgres"))).await
}

/// The login to a cluster another process of ours runs already.
pub fn running(settings: &Settings) -> Result<DatabaseUrl> {
    let owner = owner::choose()?;
    let place = initialise::place(&settings.data_dir, &owner)?;
    let password = initialise::password(&settings.data_dir)?;
    let sockets = socket_directory(&settings.data_dir, &place, &owner)?;
    url(&sockets, settings.port, &password)
}

/// In the data directory, unless its path is too long for a socket; then a directory of our own under /tmp.
fn socket_directory(data_dir: &Path, place: &Path, owner: &owner::Owner) -> Result<PathBuf> {
    let beside = place.parent().unwrap_or(data_dir).join("postgres-socket");
    let directory = if beside.as_os_str().len() <= LONGEST_SOCKET_DIR {
        beside
    } else {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data_dir.as_os_str().as_bytes());
        let name: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Path::new("/tmp").join(format!("portico-{name}"))
    };
    owner.make_directory(&directory)?;
    Ok(directory)
}

fn spawn(place: &Path, binaries: &Binaries, owner: &owner::Owner, sockets: &Path, port: Option<u16>) -> Result<Child> {
    let mut command = Command::new(binaries.path("postgres"));
    command.arg("-D").arg(place);
    let listen = if port.is_some() { "127.0.0.1" } else { "" };
    let settings = [
        format!("listen_addresses={listen}"),
        format!("port={}", port.unwrap_or(SOCKET_PORT)),
        format!("unix_socket_directories={}", sockets.display()),
        "unix_socket_permissions=0700".into(),
        "max_connections=200".into(),
        "shared_buffers=128MB".into(),
        "wal_level=replica".into(),
        "fsync=on".into(),
        "full_page_writes=on".into(),
        "synchronous_commit=on".into(),
        "password_encryption=scram-sha-256".into(),
        "logging_collector=off".into(),
        "log_destination=stderr".into(),
        "log_line_prefix=".into(),
        "timezone=UTC".into(),
        "log_timezone=UTC".into(),
    ];
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    owner.apply(&mut command);
    command
        // Its own group: Ctrl-C in the terminal must reach us alone, because the database stops last.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().map_err(|error| {
        let message = format!("{} cannot be started: {error}", binaries.path("postgres").display());
        Error::new(Kind::Internal, "POSTGRES_START", message).caused_by(error)
    })
}

type Lines = Arc<Mutex<VecDeque<String>>>;

/// The server's log joins ours; the last lines are kept for the message when it does not start.
fn forward_log(child: &mut Child) -> Lines {
    let lines = Lines::default();
    if let Some(stderr) = child.stderr.take() {
        let kept = lines.clone();
        tokio::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                log_line(&line);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == REMEMBERED_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
    }
    lines
}

fn log_line(line: &str) {
    match line.split_once(":  ") {
        // The answer to our own asking whether it is up yet.
        Some(("FATAL", "the database system is starting up")) => {}
        Some(("PANIC" | "FATAL", text)) => tracing::warn!(target: "postgres", "{text}"),
        Some((_, text)) => tracing::debug!(target: "postgres", "{text}"),
        None => tracing::debug!(target: "postgres", "{line}"),
    }
}

fn url(sockets: &Path, port: Option<u16>, password: &str) -> Result<DatabaseUrl> {
    let host = utf8_percent_encode(&sockets.display().to_string(), NON_ALPHANUMERIC).to_string();
    let text = format!(
        "postgres://{USER}:{password}@/{DATABASE}?host={host}&port={}",
        port.unwrap_or(SOCKET_PORT)
    );
    DatabaseUrl::parse(&text).map_err(|message| Error::internal("the local cluster's URL", message))
}

/// Waits for the first connection, and makes our database where it is missing.
async fn await_ready(child: &mut Child, url: &DatabaseUrl, lines: &Lines) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    let mut config = url.config.clone();
    config.dbname("postgres").application_name("portico start");
    loop {
        if let Ok((client, connection)) = config.connect(tokio_postgres::NoTls).await {
            let driver = tokio::spawn(connection);
            let made = make_database(&client).await;
            drop(client);
            // Ends by itself once the client is gone.
            let _ = driver.await;
            return made;
        }
        if let Ok(Some(status)) = child.try_wait() {
            sleep(Duration::from_millis(50)).await;
            return Err(not_started(&format!("it ended with {status}"), lines));
        }
        if Instant::now() > deadline {
            return Err(not_started("it does not answer", lines));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn not_started(what: &str, lines: &Lines) -> Error {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let said: Vec<&str> = lines.iter().map(String::as_str).collect();
    let message = format!(
        "The local PostgreSQL did not start: {what}. It said: {}",
        said.join(" | ")
    );
    Error::new(Kind::Internal, "POSTGRES_START", message)
}

async fn make_database(client: &tokio_postgres::Client) -> Result<()> {
    let translate = |error| crate::translate("making the database", error);
    let known = client
        .query_opt("select 1 from pg_database where datname = $1", &[&DATABASE])
        .await
        .map_err(translate)?;
    if known.is_none() {
        let statement = format!("create database {}", quote_ident(DATABASE));
        client.batch_execute(&statement).await.map_err(translate)?;
    }
    Ok(())
}

fn io(doing: &str, path: &Path, error: std::io::Error) -> Error {
    let message = format!("{doing} {} failed: {error}", path.display());
    Error::new(Kind::Internal, "DATA_DIRECTORY", message).caused_by(error)
}

/// Makes a rename or a new entry survive a power cut.
fn sync_directory(path: &Path) -> Result<()> {
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| io("Syncing", path, error))
}
