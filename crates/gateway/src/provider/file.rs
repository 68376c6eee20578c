//! Dynamic configuration from a file or a directory, YAML or TOML. A broken change keeps the last good configuration and says
//! what is wrong where. Changes are found by looking at the files' times and sizes, which works on every file system.

use super::{
    embed,
    template::{self, Environment},
};
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
    // Certificates, keys and authorities the configuration names.
    let mut named = Vec::new();
    let mut good = false;
    loop {
        let files = list(&settings.path);
        let now = (files.clone(), versions(&named));
        if seen.as_ref() != Some(&now) {
            seen = Some(now);
            if let Some(found) = apply(&files, &control, good) {
                good = true;
                if found != named {
                    // They are looked at from now on, and read once more, for what happened meanwhile.
                    named = found;
                    seen = None;
                }
            }
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
    apply(&list(&settings.path), control, false);
}

/// The files the configuration names, if it could be applied.
fn apply(files: &Seen, control: &Control, keep_pairs: bool) -> Option<Vec<PathBuf>> {
    let read = read(files, &control.shared.settings.environment).and_then(|mut dynamic| {
        let named = embed::files(&mut dynamic);
        // A certificate without its key: somebody is replacing both, and what is in force is better.
        match embed::broken_pair(&dynamic).filter(|_| keep_pairs) {
            Some(mistake) => Err(vec![mistake]),
            None => Ok((dynamic, named)),
        }
    });
    match read {
        Ok((dynamic, named)) => {
            control.apply("file", dynamic);
            Some(named)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                tracing::error!(place = %mistake.place, key = mistake.key, message_ = mistake.message, "the configuration was not applied");
            }
            None
        }
    }
}

fn versions(files: &[PathBuf]) -> Seen {
    let version = |path: &PathBuf| {
        let meta = fs::metadata(path).ok();
        let modified = meta.as_ref().and_then(|meta| meta.modified().ok());
        (path.clone(), modified, meta.map_or(0, |meta| meta.len()))
    };
    files.iter().map(version).collect()
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
