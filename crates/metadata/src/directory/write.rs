//! A document to files. The same document gives the same files.

use super::{PARTS, SOURCES, actions};
use crate::Metadata;
use saphyr::{Mapping, Scalar, Yaml, YamlEmitter};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Every file of the directory: its path and its text.
pub fn write(metadata: &Metadata) -> Vec<(String, String)> {
    let mut document = match json!(metadata) {
        Value::Object(document) => document,
        _ => Map::new(),
    };
    document.remove("version");
    let mut files = vec![("version.yaml".to_owned(), text(&json!({"version": 3})))];
    let sources = match document.remove("sources") {
        Some(Value::Array(sources)) => sources,
        _ => Vec::new(),
    };
    let mut directories = HashSet::new();
    let sources = sources
        .into_iter()
        .map(|source| with_files(source, &mut directories, &mut files));
    let sources = Value::Array(sources.collect());
    files.push((SOURCES.to_owned(), text(&sources)));
    for (name, part) in PARTS.iter().filter(|(_, part)| !part.is_empty()) {
        let lists = [
            "allowlist",
            "cron_triggers",
            "inherited_roles",
            "query_collections",
            "remote_schemas",
            "rest_endpoints",
        ];
        let nothing = if lists.contains(part) { json!([]) } else { json!({}) };
        let value = document.remove(*part).unwrap_or(nothing);
        files.push(((*name).to_owned(), text(&value)));
    }
    // Actions, their types, and whatever a newer server has.
    document.entry("actions").or_insert_with(|| json!([]));
    document.entry("custom_types").or_insert_with(|| json!({}));
    document.sort_keys();
    files.push(actions::split(&mut document));
    files.push(("actions.yaml".to_owned(), text(&Value::Object(document))));
    files
}

/// A source whose tables and functions are in files of their own.
fn with_files(mut source: Value, directories: &mut HashSet<String>, files: &mut Vec<(String, String)>) -> Value {
    let name = source["name"].as_str().unwrap_or_default();
    let directory = free(directories, &plain(name));
    for (list, key) in [("tables", "table"), ("functions", "function")] {
        let Some(Value::Array(entries)) = source.get_mut(list).map(Value::take) else {
            continue;
        };
        let mut taken = HashSet::from([list.to_owned()]);
        let mut includes = Vec::with_capacity(entries.len());
        for entry in entries {
            let of = |part: &str| entry[key][part].as_str().unwrap_or_default().to_owned();
            let file = free(&mut taken, &plain(&format!("{}_{}", of("schema"), of("name"))));
            files.push((format!("databases/{directory}/{list}/{file}.yaml"), text(&entry)));
            includes.push(Value::from(format!("!include {file}.yaml")));
        }
        let path = format!("{directory}/{list}/{list}.yaml");
        files.push((format!("databases/{path}"), text(&Value::Array(includes))));
        source[list] = Value::from(format!("!include {path}"));
    }
    source
}

/// A name no file or directory has yet.
fn free(taken: &mut HashSet<String>, name: &str) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while !taken.insert(free.to_lowercase()) {
        free = format!("{name}_{number}");
        number += 1;
    }
    free
}

/// A name that is one on every file system.
fn plain(name: &str) -> String {
    let letter = |letter: char| {
        if letter.is_alphanumeric() || letter == '-' {
            letter
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}

fn text(value: &Value) -> String {
    let mut text = String::new();
    let mut emitter = YamlEmitter::new(&mut text);
    emitter.multiline(true);
    // Writing to a string does not fail.
    let _ = emitter.dump(&yaml(value));
    let text = text.strip_prefix("---\n").unwrap_or(&text);
    format!("{}\n", text.trim_end_matches('\n'))
}

fn yaml(value: &Value) -> Yaml<'_> {
    match value {
        Value::Null => Yaml::Value(Scalar::Null),
        Value::Bool(value) => Yaml::Value(Scalar::Boolean(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Yaml::Value(Scalar::Integer(number)),
            None => Yaml::value_from_cow(number.to_string().into()),
        },
        Value::String(text) => Yaml::Value(Scalar::String(text.into())),
        Value::Array(items) => Yaml::Sequence(items.iter().map(yaml).collect()),
        Value::Object(fields) => {
            let mut mapping = Mapping::new();
            for (key, value) in fields {
                mapping.insert(Yaml::Value(Scalar::String(key.into())), yaml(value));
            }
            Yaml::Mapping(mapping)
        }
    }
}
