//! The rules of the house that a compiler does not check (docs/decisions/0001-layout.md).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A crate imports lower levels only, never sideways.
const LEVELS: [(&str, u8); 16] = [
    ("foundation", 0),
    ("telemetry", 0),
    ("metadata", 0),
    ("kriti", 0),
    ("graphql", 1),
    ("http", 1),
    ("postgres", 1),
    ("passwords", 1),
    ("webhooks", 2),
    ("objects", 2),
    ("graphql-api", 3),
    ("gateway", 4),
    ("core", 4),
    ("media", 4),
    ("links", 4),
    ("portico", 5),
];

/// Level 0 is strangers to each other, except that everybody may name an error or an id.
const FOUNDATION: &str = "foundation";

/// Heavy libraries and who may name them.
const OWNERS: [(&str, &[&str]); 9] = [
    ("argon2", &["passwords"]),
    ("lettre", &["core"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("prometheus-client", &["telemetry"]),
    ("rusty-s3", &["objects"]),
    ("s3s", &["objects"]),
    ("clap", &["portico"]),
    ("redis", &["gateway"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn dependencies(directory: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("crates").join(directory).join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = text.parse().expect("TOML");
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

/// Directory by package name.
fn packages() -> BTreeMap<String, &'static str> {
    LEVELS
        .iter()
        .map(|(directory, _)| {
            let text =
                fs::read_to_string(root().join("crates").join(directory).join("Cargo.toml")).expect("a manifest");
            let manifest: toml::Table = text.parse().expect("TOML");
            (
                manifest["package"]["name"].as_str().expect("a name").to_owned(),
                *directory,
            )
        })
        .collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_crate_imports_lower_levels_only() {
    let packages = packages();
    let level = |directory: &str| LEVELS.iter().find(|(name, _)| *name == directory).expect("a level").1;
    for (directory, own) in LEVELS {
        for dependency in dependencies(directory) {
            if let Some(target) = packages.get(&dependency).filter(|target| **target != FOUNDATION) {
                assert!(
                    level(target) < own,
                    "{directory} (level {own}) imports {target} (level {})",
                    level(target)
                );
            }
        }
    }
}

#[test]
fn every_crate_has_a_level() {
    let known: BTreeSet<String> = LEVELS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let found: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .expect("crates")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, known);
}

#[test]
fn heavy_libraries_have_one_owner() {
    for (directory, _) in LEVELS {
        let dependencies = dependencies(directory);
        for (library, owners) in OWNERS {
            assert!(
                !dependencies.contains(library) || owners.contains(&directory),
                "{directory} names {library}, which belongs to {owners:?}"
            );
        }
    }
}

#[test]
fn only_the_binary_reads_the_environment_or_exits() {
    let mut files = Vec::new();
    for (directory, _) in LEVELS.iter().filter(|(name, _)| *name != "portico") {
        sources(&root().join("crates").join(directory).join("src"), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["env::var(", "env::vars(", "env::var_os(", "process::exit("] {
            assert!(!code.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn a_file_opens_with_why_it_exists_and_stays_readable() {
    /// A ratchet: these are known to be longer; new ones are a question, and these may only shrink.
    const LONGEST: usize = 600;
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        assert!(text.starts_with("//!"), "{} does not say why it exists", file.display());
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", file.display());
    }
}
