//! A gateway's sockets, offered to its successor over a socket in the data directory (docs/decisions/0015-handover.md).

use super::Plan;
use crate::{lock, settings::Settings};
use foundation::{Error, Kind, Result};
use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg, sockopt::socket_peercred,
    },
};
use std::{
    fs,
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// As many entrypoints as anybody has, and then some.
const MOST: usize = 64;
/// How long a successor may take to be ready.
const PATIENCE: Duration = Duration::from_secs(120);
const READY: u8 = b'r';

fn place(data_dir: &Path) -> PathBuf {
    data_dir.join("gateway.sock")
}

/// Offers the sockets until a successor that took them says it is ready; then `handed` is cancelled.
///
/// # Errors
/// The place of the offer cannot be made.
pub fn offer(data_dir: &Path, sockets: Vec<(String, OwnedFd)>, handed: CancellationToken) -> Result<()> {
    let path = place(data_dir);
    let failed = |error: io::Error| {
        let message = format!("{} cannot be offered on: {error}", path.display());
        Error::new(Kind::Internal, "HANDOVER", message).caused_by(error)
    };
    // What a process before left; the directory is ours alone.
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let sockets = Arc::new(sockets);
    let mut asked = signal(SignalKind::user_defined2()).map_err(failed)?;
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            start_successor();
        }
    });
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            let Ok(stream) = stream.into_std() else { continue };
            let sockets = sockets.clone();
            let given = tokio::task::spawn_blocking(move || give(&stream, &sockets)).await;
            match given {
                Ok(Ok(())) => return handed.cancel(),
                Ok(Err(error)) => tracing::warn!(%error, "a successor took the sockets and did not become ready"),
                Err(error) => tracing::error!(%error, "handing over failed"),
            }
        }
    });
    Ok(())
}

fn give(stream: &UnixStream, sockets: &[(String, OwnedFd)]) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let peer = socket_peercred(stream)?;
    if peer.uid != rustix::process::geteuid() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the successor is another user",
        ));
    }
    let names: Vec<&str> = sockets.iter().map(|(name, _)| name.as_str()).collect();
    let told = serde_json::to_vec(&names)?;
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().take(MOST).map(|(_, socket)| socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("too many entrypoints"));
    }
    sendmsg(stream, &[IoSlice::new(&told)], &mut ancillary, SendFlags::empty())?;
    let mut word = [0_u8; 1];
    let mut reading = stream;
    reading.read_exact(&mut word)?;
    if word[0] == READY {
        Ok(())
    } else {
        Err(io::Error::other("the successor said something else than ready"))
    }
}

/// The directory's lock, or the task that waits for the process before to let go of it.
pub enum Held {
    Now { _lock: lock::Lock },
    Soon(JoinHandle<lock::Lock>),
}

impl Held {
    pub fn or_when_free(lock: Option<lock::Lock>, settings: &Settings) -> Self {
        match lock {
            Some(lock) => Held::Now { _lock: lock },
            None => Held::Soon(tokio::spawn(lock::take_when_free(settings.data_dir.clone()))),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Held::Soon(waiting) = self {
            waiting.abort();
        }
    }
}

/// # Errors
/// `TAKE_OVER`: more than a gateway runs here; `NOTHING_TO_TAKE_OVER`.
pub fn take_over(settings: &Settings, plan: &Plan) -> Result<Taken> {
    if !plan.is_lone_gateway() {
        let message = "PORTICO_TAKE_OVER is for 'serve gateway' alone: a process with services in it would have to hand over their database, too";
        return Err(Error::new(Kind::Invalid, "TAKE_OVER", message));
    }
    take(&settings.data_dir)
}

/// Sockets taken from the gateway that runs; it goes on until it hears that this one is [`Ready`].
pub struct Taken {
    sockets: Vec<(String, TcpListener)>,
    stream: Ready,
}

/// The word that the successor serves.
pub struct Ready(UnixStream);

/// # Errors
/// `NOTHING_TO_TAKE_OVER`: no gateway offers its sockets in this data directory.
fn take(data_dir: &Path) -> Result<Taken> {
    let path = place(data_dir);
    taken(&path).map_err(|error| {
        let message = format!(
            "No gateway offers its sockets at {}: {error}. Start without PORTICO_TAKE_OVER, or with the data directory of the gateway that runs",
            path.display()
        );
        Error::new(Kind::Unavailable, "NOTHING_TO_TAKE_OVER", message).caused_by(error)
    })
}

fn taken(path: &Path) -> io::Result<Taken> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut told = vec![0_u8; 64 * 1024];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &stream,
        &mut [IoSliceMut::new(&mut told)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let names: Vec<String> = serde_json::from_slice(&told[..received.bytes])?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(all) = message {
            descriptors.extend(all);
        }
    }
    let sockets = names.into_iter().zip(descriptors.into_iter().map(TcpListener::from));
    Ok(Taken {
        sockets: sockets.collect(),
        stream: Ready(stream),
    })
}

impl Taken {
    pub fn split(self) -> (Ready, Vec<(String, TcpListener)>) {
        (self.stream, self.sockets)
    }
}

impl Ready {
    /// From now on the other process accepts nothing any more.
    pub fn ready(mut self) {
        if let Err(error) = self.0.write_all(&[READY]) {
            tracing::error!(%error, "the gateway before could not be told that this one is ready");
        }
    }
}

/// The same program once more, told to take over. What becomes of it is in its own log.
fn start_successor() {
    let started = std::env::current_exe().and_then(|program| {
        std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env("PORTICO_TAKE_OVER", "on")
            .spawn()
    });
    match started {
        Ok(mut child) => {
            tracing::info!(process = child.id(), "a successor was started");
            std::thread::spawn(move || {
                // It outlives us when all goes well; when it ends before, its end must be collected and told.
                if let Ok(status) = child.wait() {
                    tracing::error!(%status, "the successor ended");
                }
            });
        }
        Err(error) => tracing::error!(%error, "a successor could not be started"),
    }
}
