//! `portico metadata apply|export|diff`: a directory of metadata against a running GraphQL service, ours or Hasura, over
//! `/v1/metadata`. Reads no settings of ours: the service may be anywhere.

use axum::http::{Request, StatusCode};
use clap::ArgMatches;
use foundation::{Error, Kind, Result};
use metadata::{Metadata, directory};
use serde_json::{Value, json};
use similar::TextDiff;
use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use telemetry::client::{Client, full};

const WITHIN: Duration = Duration::from_secs(120);
const LARGEST_ANSWER: usize = 256 << 20;

pub async fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(ExitCode::from(2));
    };
    let place = Service::of(matches)?;
    let directory = PathBuf::from(super::text(matches, "directory"));
    match name {
        "apply" => place.apply(&directory, matches.get_flag("allow-inconsistent")).await,
        "export" => export(&directory, &place.exported().await?),
        _ => diff(&directory, &place.exported().await?),
    }
}

struct Service {
    url: String,
    secret: Option<String>,
}

impl Service {
    fn of(matches: &ArgMatches) -> Result<Self> {
        let given = |flag: &str, variable: &str| {
            let set = || std::env::var(variable).ok().filter(|value| !value.is_empty());
            matches.get_one::<String>(flag).cloned().or_else(set)
        };
        let endpoint =
            given("endpoint", "HASURA_GRAPHQL_ENDPOINT").unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return Err(wrong(format!("--endpoint: '{endpoint}' is no http:// or https:// URL")));
        }
        Ok(Service {
            url: format!("{}/v1/metadata", endpoint.trim_end_matches('/')),
            secret: given("secret", "HASURA_GRAPHQL_ADMIN_SECRET"),
        })
    }

    async fn command(&self, body: &Value) -> Result<Value> {
        let mut request = Request::post(&self.url).header("content-type", "application/json");
        if let Some(secret) = &self.secret {
            request = request.header("x-hasura-admin-secret", secret);
        }
        let request = request
            .body(full(body.to_string()))
            .map_err(|error| wrong(format!("{}: {error}", self.url)))?;
        let answer = Client::new().fetch(request, WITHIN, LARGEST_ANSWER).await;
        let answer = answer.map_err(|error| wrong(format!("{} does not answer: {error}", self.url)))?;
        let status = answer.status();
        let told: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if status == StatusCode::OK {
            return Ok(told);
        }
        let message = told["error"]
            .as_str()
            .unwrap_or("the answer is no JSON of a metadata API");
        let mut text = format!(
            "{} refuses ({status}): {message} (at {})",
            self.url,
            told["path"].as_str().unwrap_or("$")
        );
        for object in told["internal"].as_array().into_iter().flatten() {
            text.push_str(&format!("\n{}", inconsistent(object)));
        }
        Err(wrong(text))
    }

    async fn exported(&self) -> Result<Metadata> {
        let answer = self
            .command(&json!({"type": "export_metadata", "version": 2, "args": {}}))
            .await?;
        serde_json::from_value(answer["metadata"].clone()).map_err(|error| {
            wrong(format!(
                "{}: what it exports is no metadata of version 3: {error}",
                self.url
            ))
        })
    }

    async fn apply(&self, directory: &Path, allow: bool) -> Result<ExitCode> {
        let metadata = read(directory)?;
        let args = json!({"allow_inconsistent_metadata": allow, "metadata": metadata});
        let answer = self
            .command(&json!({"type": "replace_metadata", "version": 2, "args": args}))
            .await?;
        let wrong = answer["inconsistent_objects"].as_array().cloned().unwrap_or_default();
        for object in &wrong {
            eprintln!("{}", inconsistent(object));
        }
        println!("applied: {}", counted(&metadata));
        Ok(if wrong.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn counted(metadata: &Metadata) -> String {
    let tables: usize = metadata.sources.iter().map(|source| source.tables.len()).sum();
    let sources = metadata.sources.len();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!("{sources} source{}, {tables} table{}", plural(sources), plural(tables))
}

fn inconsistent(object: &Value) -> String {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    format!("inconsistent {}: {}", text("name"), text("reason"))
}

fn wrong(message: String) -> Error {
    Error::new(Kind::Malformed, "METADATA", message)
}

fn read(root: &Path) -> Result<Metadata> {
    let file = |name: &str| match fs::read_to_string(root.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    directory::read(&file).map_err(|mistake| wrong(format!("{}/{mistake}", root.display())))
}

/// Writes the files, and takes away those of tables and functions that are no more.
fn export(root: &Path, metadata: &Metadata) -> Result<ExitCode> {
    let files: BTreeMap<String, String> = directory::write(metadata).into_iter().collect();
    let failed = |path: &Path, error: std::io::Error| wrong(format!("{}: {error}", path.display()));
    for (name, text) in &files {
        let path = root.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        // Whole or not at all, also where we are stopped in between.
        let part = path.with_extension("yaml.part");
        fs::write(&part, text).map_err(|error| failed(&part, error))?;
        fs::rename(&part, &path).map_err(|error| failed(&path, error))?;
    }
    for stale in stale(root, &files) {
        fs::remove_file(&stale).map_err(|error| failed(&stale, error))?;
    }
    println!("exported: {}, {} files", counted(metadata), files.len());
    Ok(ExitCode::SUCCESS)
}

fn stale(root: &Path, files: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let entries = |path: PathBuf| {
        fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    let lists = entries(root.join("databases")).flat_map(|source| [source.join("tables"), source.join("functions")]);
    lists
        .flat_map(entries)
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| {
            let name = path.strip_prefix(root).ok().and_then(Path::to_str);
            name.is_some_and(|name| !files.contains_key(name))
        })
        .collect()
}

/// What `apply` would change: the service's files against the directory's, both in their normal form. 1 where they differ.
fn diff(root: &Path, theirs: &Metadata) -> Result<ExitCode> {
    let ours: BTreeMap<String, String> = directory::write(&read(root)?).into_iter().collect();
    let theirs: BTreeMap<String, String> = directory::write(theirs).into_iter().collect();
    let mut same = true;
    let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        let (old, new) = (theirs.get(name), ours.get(name));
        if old == new {
            continue;
        }
        same = false;
        let label = |there: bool, side: &str| {
            if there {
                format!("{side}/{name}")
            } else {
                "/dev/null".to_owned()
            }
        };
        let text = |side: Option<&String>| side.cloned().unwrap_or_default();
        let (before, after) = (text(old), text(new));
        let lines = TextDiff::from_lines(&before, &after);
        let mut shown = lines.unified_diff();
        print!(
            "{}",
            shown.header(&label(old.is_some(), "service"), &label(new.is_some(), "directory"))
        );
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
