//! After a `kill -9` of ours the server may still run, or its lock files name a process that is something else by now.
//! Only one of us works on a data directory (the caller holds its lock), so whatever we find here is nobody's.

use super::io;
use foundation::{Error, Kind, Result};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{fs, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// Stops an orphaned server, removes stale lock files.
pub(super) async fn put_in_order(place: &Path) -> Result<()> {
    let file = place.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&file) else {
        return Ok(());
    };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
    if let Some(pid) = pid.and_then(Pid::from_raw)
        && is_server_of(pid, place)
    {
        tracing::info!(
            pid = pid.as_raw_nonzero().get(),
            "stopping the database server an earlier run left behind"
        );
        return stop(pid, place).await;
    }
    match fs::remove_file(&file) {
        Ok(()) => tracing::info!("removed a stale postmaster.pid"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("Removing", &file, error)),
    }
    remove_socket_lock(&text)
}

/// The pid may have been given to another program since; the server's working directory is its data directory.
fn is_server_of(pid: Pid, place: &Path) -> bool {
    if test_kill_process(pid).is_err_and(|error| error == rustix::io::Errno::SRCH) {
        return false;
    }
    match fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())) {
        Ok(directory) => place.canonicalize().is_ok_and(|place| place == directory),
        // No /proc (macOS): a live process of that number is taken for it; stopping is refused by the system if not ours.
        Err(_) => !Path::new("/proc/self").exists(),
    }
}

async fn stop(pid: Pid, place: &Path) -> Result<()> {
    for (signal, patience) in [(Signal::INT, 20), (Signal::QUIT, 10)] {
        // Gone already is what we want.
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + Duration::from_secs(patience);
        while Instant::now() < deadline {
            if !is_server_of(pid, place) {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
    let message = format!(
        "A database server of an earlier run (pid {pid}) does not stop; stop it by hand",
        pid = pid.as_raw_nonzero()
    );
    Err(Error::new(Kind::Internal, "POSTGRES_ORPHAN", message))
}

/// Lines 4 and 5 of `postmaster.pid` are the port and the socket directory.
fn remove_socket_lock(postmaster: &str) -> Result<()> {
    let lines: Vec<&str> = postmaster.lines().collect();
    let (Some(port), Some(directory)) = (lines.get(3), lines.get(4)) else {
        return Ok(());
    };
    if directory.is_empty() {
        return Ok(());
    }
    for name in [format!(".s.PGSQL.{port}.lock"), format!(".s.PGSQL.{port}")] {
        let path = Path::new(directory).join(name);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(io("Removing", &path, error));
        }
    }
    Ok(())
}
