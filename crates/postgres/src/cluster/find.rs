//! Finds the server binaries: where the setting says, on PATH, or where distributions and Homebrew put them.

use super::Settings;
use foundation::{Error, Kind, Result};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// The oldest release we run on.
const OLDEST: u32 = 15;

/// A directory with `postgres` and `initdb` of one release.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub directory: PathBuf,
    pub major: u32,
}

impl Binaries {
    pub fn path(&self, program: &str) -> PathBuf {
        self.directory.join(program)
    }
}

/// The newest release found, or exactly `wanted` (the one an existing cluster was made by).
pub(super) async fn find(settings: &Settings, wanted: Option<u32>) -> Result<Binaries> {
    let setting = settings.binaries.as_deref();
    let directories = match setting {
        Some(directory) => vec![directory.to_owned(), directory.join("bin")],
        None => candidates(&settings.search_path),
    };
    let mut found: Vec<Binaries> = Vec::new();
    for directory in directories {
        if !directory.join("postgres").is_file() || !directory.join("initdb").is_file() {
            continue;
        }
        // A link on PATH may stand alone; its target has the other tools beside it.
        let real = directory.join("postgres").canonicalize().ok();
        let directory = match real.as_deref().and_then(Path::parent) {
            Some(parent) if parent.join("initdb").is_file() => parent.to_owned(),
            _ => directory,
        };
        if let Some(major) = major_of(&directory.join("postgres")).await {
            found.push(Binaries { directory, major });
        }
    }
    let best = match wanted {
        Some(wanted) => found.iter().find(|binaries| binaries.major == wanted),
        None => found
            .iter()
            .filter(|binaries| binaries.major >= OLDEST)
            .max_by_key(|binaries| binaries.major),
    };
    best.cloned().ok_or_else(|| missing(setting, wanted, &found))
}

/// A program of the newest release there is, such as `pg_dump`; its server need not be here.
pub async fn client_program(settings: &Settings, name: &str) -> Option<PathBuf> {
    let directories = match settings.binaries.as_deref() {
        Some(directory) => vec![directory.to_owned(), directory.join("bin")],
        None => candidates(&settings.search_path),
    };
    let mut newest: Option<(u32, PathBuf)> = None;
    for program in directories.into_iter().map(|directory| directory.join(name)) {
        let known = newest.as_ref().map_or(0, |(major, _)| *major);
        match major_of(&program).await {
            Some(major) if major > known => newest = Some((major, program)),
            _ => {}
        }
    }
    newest.map(|(_, program)| program)
}

fn candidates(search_path: &OsStr) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = std::env::split_paths(search_path).collect();
    for (parent, prefix, suffix) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
    ] {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        let matching = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        directories.extend(matching.map(|entry| entry.path().join(suffix)));
    }
    directories
}

/// `postgres (PostgreSQL) 15.14 (Debian …)` → 15
async fn major_of(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split(") ").nth(1)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn missing(setting: Option<&Path>, wanted: Option<u32>, found: &[Binaries]) -> Error {
    let have: Vec<String> = found
        .iter()
        .map(|binaries| format!("{} in {}", binaries.major, binaries.directory.display()))
        .collect();
    let seen = if have.is_empty() {
        "none was found".to_owned()
    } else {
        format!("found only {}", have.join(", "))
    };
    let place = setting.map_or(String::new(), |path| format!(" in {}", path.display()));
    let need = match wanted {
        Some(major) => format!("The local cluster was made by PostgreSQL {major}, which is needed to run it"),
        None => format!("PostgreSQL {OLDEST} or newer is needed{place}"),
    };
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let install = install_command(std::env::consts::OS, &release, wanted);
    let message = format!("{need}; {seen}. Install it with: {install} — or point DATABASE_URL at a server you have");
    Error::new(Kind::Unavailable, "POSTGRES_NOT_FOUND", message)
}

fn install_command(os: &str, os_release: &str, wanted: Option<u32>) -> String {
    if os == "macos" {
        return format!("brew install postgresql@{}", wanted.unwrap_or(17));
    }
    let field = |name: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned()
    };
    let family = format!("{} {}", field("ID"), field("ID_LIKE"));
    let is = |name: &str| family.split_whitespace().any(|word| word == name);
    let version = |prefix: &str, plain: &str| wanted.map_or(plain.to_owned(), |major| format!("{prefix}{major}"));
    if is("debian") || is("ubuntu") {
        format!("sudo apt-get install -y {}", version("postgresql-", "postgresql"))
    } else if is("fedora") || is("rhel") {
        "sudo dnf install -y postgresql-server postgresql-contrib".into()
    } else if is("alpine") {
        format!("apk add {}", version("postgresql", "postgresql"))
    } else if is("arch") {
        "sudo pacman -S postgresql".into()
    } else if is("suse") || is("opensuse") {
        "sudo zypper install postgresql-server".into()
    } else {
        "your package manager (the package is usually called postgresql or postgresql-server)".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(os: &str, release: &str, expected: &str) {
        assert_eq!(install_command(os, release, None), expected);
    }

    #[test]
    fn the_install_command_fits_the_system() {
        check("linux", "ID=debian\n", "sudo apt-get install -y postgresql");
        check(
            "linux",
            "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
            "sudo apt-get install -y postgresql",
        );
        check(
            "linux",
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
            "sudo dnf install -y postgresql-server postgresql-contrib",
        );
        check("linux", "ID=alpine\n", "apk add postgresql");
        check("macos", "", "brew install postgresql@17");
        assert_eq!(
            install_command("linux", "ID=debian", Some(16)),
            "sudo apt-get install -y postgresql-16"
        );
    }
}
