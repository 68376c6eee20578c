//! Dynamic configuration from a file or a directory, YAML or TOML. A broken change keeps the last good configuration and says
//! what is wrong where. Changes are found by looking at the files' times and sizes, which works on every file system.

use super::template::{self, Environment};
use crate::{
    gateway::Control,
    model::{Dynamic, Mistake, Place, text},
    settings::FileProvider,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_millis(100);

pub async fn run(settings: FileProvider, control: Arc<Control>, stop: CancellationToken) {
    let mut seen = None;
    loop {
        let files = list(&settings.path);
        if seen.as_ref() != Some(&files) {
            apply(&files, &control);
            seen = Some(files);
        }
        if !settings.watch {
            return stop.cancelled().await;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// What is there is in force before the first request comes.
pub fn load(settings: &FileProvider, control: &Control) {
    apply(&list(&settings.path), control);
}

fn apply(files: &Seen, control: &Control) {
    match read(files, &control.shared.settings.environment) {
        Ok(dynamic) => control.apply("file", dynamic),
        Err(mistakes) => {
            for mistake in &mistakes {
                tracing::error!(place = %mistake.place, key = mistake.key, message_ = mistake.message, "the configuration was not applied");
            }
        }
    }
}

/// What is configured at a path now.
///
/// # Errors
/// Every mistake in the files.
pub fn read_all(path: &Path, environment: &Environment) -> Result<Dynamic, Vec<Mistake>> {
    read(&list(path), environment)
}

type Seen = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// The configuration files at a path, with what tells one version from another, by name.
fn list(path: &Path) -> Seen {
    let mut files = Vec::new();
    // What cannot be listed now is looked for again in a moment.
    let _ = collect(path, true, &mut files);
    files.sort();
    files
}

fn collect(path: &Path, named: bool, files: &mut Seen) -> io::Result<()> {
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            // A file that vanished meanwhile is no reason to miss the others.
            let _ = collect(&entry?.path(), false, files);
        }
        return Ok(());
    }
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    if named || matches!(extension, "yml" | "yaml" | "toml") {
        files.push((path.to_owned(), meta.modified().ok(), meta.len()));
    }
    Ok(())
}

fn read(files: &Seen, environment: &Environment) -> Result<Dynamic, Vec<Mistake>> {
    let mut whole = Dynamic::default();
    let mut mistakes = Vec::new();
    for (path, ..) in files {
        match read_one(path, environment) {
            Ok(part) => {
                for name in whole.merge(part) {
                    tracing::error!(file = %path.display(), name, "configured twice, differently; left out");
                }
            }
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() { Ok(whole) } else { Err(mistakes) }
}

/// One file of dynamic configuration, its template carried out.
///
/// # Errors
/// Every mistake in it.
fn read_one(path: &Path, environment: &Environment) -> Result<Dynamic, Vec<Mistake>> {
    let name = path.display().to_string();
    let wrong = |message: String| {
        let place = Place {
            source: name.as_str().into(),
            line: 0,
        };
        vec![Mistake {
            place,
            key: "file".into(),
            message,
        }]
    };
    let content = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let content = template::render(&content, gtmpl_ng::Value::Nil, environment).map_err(wrong)?;
    let node = if name.ends_with(".toml") {
        text::toml(&name, &content)
    } else {
        text::yaml(&name, &content)
    };
    Dynamic::read(&node.map_err(|mistake| vec![mistake])?)
}
