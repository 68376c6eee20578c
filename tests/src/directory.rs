//! A temporary directory that goes with the test.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub struct Directory(PathBuf);

impl Directory {
    /// Passable for others, because the database server runs as another user when the tests run as root.
    pub fn make() -> Self {
        let name = foundation::new_id().simple().to_string();
        let path = Path::new("/tmp").join(format!("portico-{}", &name[14..]));
        fs::create_dir(&path).expect("a fresh directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).expect("its mode");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let keep = std::env::var_os("PORTICO_TEST_KEEP").is_some();
        if keep || std::thread::panicking() && std::env::var_os("PORTICO_TEST_KEEP_FAILED").is_some() {
            eprintln!("kept {}", self.0.display());
            return;
        }
        // A directory left behind in /tmp is no reason to fail.
        let _ = fs::remove_dir_all(&self.0);
    }
}
