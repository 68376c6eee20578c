//! `portico version`

/// The commit is set by the build (`PORTICO_COMMIT`), where it knows one.
pub fn text() -> String {
    let commit = option_env!("PORTICO_COMMIT").unwrap_or("unknown");
    format!("portico {} (commit {commit})", env!("CARGO_PKG_VERSION"))
}
