//! Who the server runs as. PostgreSQL refuses root, so root's child becomes an unprivileged user that owns the cluster.

use super::io;
use foundation::{Error, Kind, Result};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, chown},
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// `None`: whoever we are.
pub(super) struct Owner(Option<(u32, u32)>);

/// # Errors
/// We are root and there is no unprivileged user to become.
pub(super) fn choose() -> Result<Owner> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Owner(None));
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|error| io("Reading", Path::new("/etc/passwd"), error))?;
    let ids = ["postgres", "nobody"].iter().find_map(|name| ids_of(&users, name));
    ids.map(|ids| Owner(Some(ids))).ok_or_else(|| {
        let message = "PostgreSQL refuses to run as root, and there is neither a user 'postgres' nor 'nobody' to run it as. \
                       Create one: useradd --system postgres";
        Error::new(Kind::Unavailable, "POSTGRES_USER", message)
    })
}

fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

impl Owner {
    pub fn apply(&self, command: &mut Command) {
        // Not our working directory: the other user may not be able to enter it.
        command.current_dir("/");
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
    }

    pub fn take(&self, path: &Path) -> Result<()> {
        match self.0 {
            Some((user, group)) => {
                chown(path, Some(user), Some(group)).map_err(|error| io("Changing the owner of", path, error))
            }
            None => Ok(()),
        }
    }

    /// Makes the directory, for the owner alone, and refuses one that belongs to somebody else.
    pub fn make_directory(&self, path: &Path) -> Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.take(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(path).map_err(|error| io("Reading", path, error))?;
                let expected = self.0.map_or(rustix::process::geteuid().as_raw(), |(user, _)| user);
                if found.is_dir() && found.uid() == expected {
                    return Ok(());
                }
                let message = format!("{} exists and belongs to another user; remove it", path.display());
                Err(Error::new(Kind::Internal, "DATA_DIRECTORY", message))
            }
            Err(error) => Err(io("Making", path, error)),
        }
    }

    /// The first directory on the way to `path` the owner cannot pass, if any.
    pub fn barrier(&self, path: &Path) -> Option<PathBuf> {
        let (user, group) = self.0?;
        path.ancestors().find_map(|directory| {
            let found = fs::metadata(directory).ok()?;
            let bit = match (found.uid() == user, found.gid() == group) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            (found.mode() & bit == 0).then(|| directory.to_owned())
        })
    }
}
