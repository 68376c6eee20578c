//! Files to a document.

use super::{Mistake, PARTS, SOURCES, actions};
use crate::Metadata;
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Value, json};

/// Answers a file's text by its path in the directory; `None` where there is no such file.
pub type Files<'f> = dyn Fn(&str) -> Result<Option<String>, String> + 'f;

/// # Errors
/// The first mistake found, with its file and line.
pub fn read(files: &Files<'_>) -> Result<Metadata, Mistake> {
    let reader = Reader { files };
    let version = reader.file("version.yaml", None, &mut Vec::new())?;
    if version["version"] != 3 {
        let message = format!("version 3 is supported, not {}", version["version"]);
        return Err(mistake("version.yaml", None, message));
    }
    let mut document = Map::from_iter([("version".to_owned(), json!(3))]);
    document.insert("sources".to_owned(), reader.file(SOURCES, None, &mut Vec::new())?);
    for (name, part) in PARTS {
        let Some(value) = reader.optional(name)? else { continue };
        match value {
            Value::Object(parts) if part.is_empty() => {
                document.extend(parts.into_iter().filter(|(_, value)| !is_empty(value)));
            }
            value if part.is_empty() => {
                let message = format!("an object with 'actions' and 'custom_types' is expected, not {value}");
                return Err(mistake(name, None, message));
            }
            value => drop(document.insert(part.to_owned(), value)),
        }
    }
    if let Some(text) =
        (reader.files)(actions::SIGNATURES).map_err(|message| mistake(actions::SIGNATURES, None, message))?
    {
        actions::merge(&mut document, &text)?;
    }
    document.retain(|part, value| part == "sources" || !is_empty(value));
    if document["sources"].is_null() {
        document.insert("sources".to_owned(), json!([]));
    }
    let whole = Value::Object(document);
    serde_json::from_value(whole.clone()).map_err(|error| {
        let file = guilty(&whole).unwrap_or(SOURCES);
        mistake(file, None, error.to_string())
    })
}

/// The file of the first part that is none by itself.
fn guilty(whole: &Value) -> Option<&'static str> {
    let parts = whole.as_object()?.iter().filter(|(part, _)| *part != "version");
    let broken = |(part, value): &(&String, &Value)| {
        let mut alone = json!({"version": 3});
        alone[part.as_str()] = (*value).clone();
        serde_json::from_value::<Metadata>(alone).is_err()
    };
    let part = parts.into_iter().find(broken)?.0;
    PARTS.iter().find(|(_, known)| known == part).map(|(file, _)| *file)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

pub fn mistake(file: &str, line: Option<usize>, message: impl Into<String>) -> Mistake {
    Mistake {
        file: file.to_owned(),
        line,
        message: message.into(),
    }
}

struct Reader<'f> {
    files: &'f Files<'f>,
}

impl Reader<'_> {
    fn optional(&self, name: &str) -> Result<Option<Value>, Mistake> {
        match self.text(name)? {
            Some(text) => self.parsed(name, &text, &mut vec![name.to_owned()]).map(Some),
            None => Ok(None),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, Mistake> {
        (self.files)(name).map_err(|message| mistake(name, None, message))
    }

    /// `by`: which file and line include this one.
    fn file(&self, name: &str, by: Option<(&str, usize)>, open: &mut Vec<String>) -> Result<Value, Mistake> {
        let Some(text) = self.text(name)? else {
            let included = by.map(|(file, line)| format!("; {file}:{line} includes it"));
            let message = format!("is missing{}", included.unwrap_or_default());
            return Err(mistake(name, None, message));
        };
        if let (Some((file, line)), true) = (by, open.iter().any(|above| above == name)) {
            return Err(mistake(file, Some(line), format!("{name} includes itself")));
        }
        open.push(name.to_owned());
        let value = self.parsed(name, &text, open)?;
        open.pop();
        Ok(value)
    }

    fn parsed(&self, name: &str, text: &str, open: &mut Vec<String>) -> Result<Value, Mistake> {
        let documents = MarkedYaml::load_from_str(text)
            .map_err(|error| mistake(name, Some(error.marker().line()), error.info().to_owned()))?;
        match documents.first() {
            Some(document) => self.tree(name, document, open),
            None => Ok(Value::Null),
        }
    }

    fn tree(&self, name: &str, node: &MarkedYaml<'_>, open: &mut Vec<String>) -> Result<Value, Mistake> {
        let line = node.span.start.line();
        Ok(match &node.data {
            YamlData::Value(Scalar::Null) => Value::Null,
            YamlData::Value(Scalar::Boolean(value)) => Value::Bool(*value),
            YamlData::Value(Scalar::Integer(value)) => Value::from(*value),
            YamlData::Value(Scalar::FloatingPoint(value)) => Value::from(**value),
            YamlData::Value(Scalar::String(text)) => match text.strip_prefix("!include ") {
                Some(other) => self.included(name, line, other.trim(), open)?,
                None => Value::from(text.as_ref()),
            },
            YamlData::Tagged(tag, inner) => match (&inner.data, tag.suffix == "include") {
                (YamlData::Value(Scalar::String(other)), true) => self.included(name, line, other.trim(), open)?,
                _ => self.tree(name, inner, open)?,
            },
            YamlData::Sequence(items) => {
                let items = items.iter().map(|item| self.tree(name, item, open));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            YamlData::Mapping(entries) => {
                let mut object = Map::new();
                for (key, value) in entries {
                    let Some(text) = key_text(key) else {
                        let line = key.span.start.line();
                        return Err(mistake(name, Some(line), "a key is text"));
                    };
                    object.insert(text, self.tree(name, value, open)?);
                }
                Value::Object(object)
            }
            _ => return Err(mistake(name, Some(line), "this value cannot be read")),
        })
    }

    fn included(&self, name: &str, line: usize, other: &str, open: &mut Vec<String>) -> Result<Value, Mistake> {
        let Some(path) = beside(name, other) else {
            let message = format!("'{other}' lies outside of the directory");
            return Err(mistake(name, Some(line), message));
        };
        self.file(&path, Some((name, line)), open)
    }
}

fn key_text(key: &MarkedYaml<'_>) -> Option<String> {
    match &key.data {
        YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::Boolean(value)) => Some(value.to_string()),
        YamlData::Value(Scalar::Null) => Some("null".to_owned()),
        _ => None,
    }
}

/// A path as seen from a file; `None` where it leaves the directory.
fn beside(file: &str, other: &str) -> Option<String> {
    if other.starts_with('/') || other.contains('\\') {
        return None;
    }
    let mut steps: Vec<&str> = file.split('/').collect();
    steps.pop();
    for step in other.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()?),
            step => steps.push(step),
        }
    }
    Some(steps.join("/"))
}
