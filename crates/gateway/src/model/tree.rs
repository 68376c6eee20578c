//! The tree every configuration source is read into, and how typed configuration is read out of it: keys in any case, scalars as
//! text, every mistake with its place and the nearest key that exists. The rules are those of Traefik's own decoder.

use indexmap::IndexMap;
use std::{fmt, sync::Arc, time::Duration};

/// Where a value was written: a file, a flag, a container's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub source: Arc<str>,
    /// From 1; 0 where lines mean nothing.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.source),
            line => write!(f, "{}:{line}", self.source),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// One thing that is wrong, told so that it can be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    pub key: String,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.key, self.message)
    }
}

/// Collects mistakes while knowing the key being read.
#[derive(Default)]
pub struct Reader {
    pub mistakes: Vec<Mistake>,
    path: Vec<String>,
}

impl Reader {
    pub fn wrong(&mut self, node: &Node, message: impl Into<String>) {
        self.mistakes.push(Mistake {
            place: node.place.clone(),
            key: self.path.join("."),
            message: message.into(),
        });
    }

    pub fn inside<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key.to_owned());
        let value = read(self);
        self.path.pop();
        value
    }

    pub fn unknown_key(&mut self, node: &Node, key: &str, known: &[&str]) {
        let hint = nearest(key, known).map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        self.inside(key, |reader| {
            reader.wrong(node, format!("there is no such key{hint}"));
        });
    }
}

/// The key of `known` that `given` most likely meant.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &name.to_ascii_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A type that can be read out of a tree.
pub trait Shape: Sized {
    /// `None` after a mistake, which has been noted.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self>;
}

impl Shape for String {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Null => Some(String::new()),
            _ => {
                reader.wrong(node, "a text is expected here");
                None
            }
        }
    }
}

fn number<T: std::str::FromStr>(node: &Node, reader: &mut Reader, what: &str) -> Option<T> {
    let parsed = match &node.value {
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    if parsed.is_none() {
        reader.wrong(node, format!("{what} is expected here"));
    }
    parsed
}

macro_rules! numbers {
    ($($type:ty => $what:literal),*) => {$(
        impl Shape for $type {
            fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
                number(node, reader, $what)
            }
        }
    )*};
}

numbers!(i64 => "a whole number", u64 => "a whole number, 0 or more", u32 => "a whole number, 0 or more",
         u16 => "a number from 0 to 65535", f64 => "a number", bool => "true or false");

impl<T: Shape> Shape for Vec<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::List(items) => {
                let read = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| reader.inside(&format!("[{index}]"), |reader| T::read(item, reader)));
                read.collect::<Vec<_>>().into_iter().collect()
            }
            Value::Text(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                parts
                    .map(|part| {
                        let item = Node {
                            place: node.place.clone(),
                            value: Value::Text(part.to_owned()),
                        };
                        T::read(&item, reader)
                    })
                    .collect()
            }
            Value::Null => Some(Vec::new()),
            Value::Map(_) => {
                reader.wrong(node, "a list is expected here");
                None
            }
        }
    }
}

impl<T: Shape> Shape for IndexMap<String, T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                let mut map = IndexMap::with_capacity(entries.len());
                let mut whole = true;
                for (key, value) in entries {
                    match reader.inside(key, |reader| T::read(value, reader)) {
                        Some(value) => drop(map.insert(key.clone(), value)),
                        None => whole = false,
                    }
                }
                whole.then_some(map)
            }
            Value::Null => Some(IndexMap::new()),
            _ => {
                reader.wrong(node, "a table of names is expected here");
                None
            }
        }
    }
}

/// A length of time in Go's notation (`1m30s`, `300ms`); a bare number counts seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period(pub Duration);

impl Period {
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(seconds) = text.parse::<f64>() {
            return (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).ok().map(Period))?;
        }
        let (mut rest, mut total) = (text, 0.0_f64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let value: f64 = rest[..digits].parse().ok()?;
            let unit_end = rest[digits..]
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .map_or(rest.len(), |end| digits + end);
            total += value
                * match &rest[digits..unit_end] {
                    "ns" => 1e-9,
                    "us" | "µs" => 1e-6,
                    "ms" => 1e-3,
                    "s" => 1.0,
                    "m" => 60.0,
                    "h" => 3600.0,
                    _ => return None,
                };
            rest = &rest[unit_end..];
        }
        Duration::try_from_secs_f64(total).ok().map(Period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if self.0.subsec_nanos() != 0 && seconds == 0 {
            return write!(f, "{}ms", self.0.as_secs_f64() * 1e3);
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", self.0.as_secs_f64() - (hours * 3600 + minutes * 60) as f64)
    }
}

impl serde::Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Shape for Period {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let parsed = match &node.value {
            Value::Text(text) => Period::parse(text),
            _ => None,
        };
        if parsed.is_none() {
            reader.wrong(node, "a length of time such as 10s or 1m30s is expected here");
        }
        parsed
    }
}

/// Declares a table of optional keys. The key of a field is its name in camelCase, in any case.
macro_rules! shape {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident $(as $key:literal)?: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$field_doc])* $(#[serde(rename = $key)])? #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }

        impl $name {
            #[allow(dead_code, reason = "not every table is asked for its keys")]
            pub const KEYS: &'static [&'static str] = &[$(stringify!($field)),*];
        }

        impl $crate::model::tree::Shape for $name {
            #[allow(unused_mut, unused_variables, reason = "a table may have no key")]
            fn read(node: &$crate::model::tree::Node, reader: &mut $crate::model::tree::Reader) -> Option<Self> {
                let entries = match $crate::model::tree::table(node, reader)? {
                    Some(entries) => entries,
                    None => return Some(Self::default()),
                };
                let mut out = Self::default();
                let mut whole = true;
                for (key, value) in entries {
                    let plain = $crate::model::tree::plain(key);
                    $(if plain == $crate::model::tree::plain(stringify!($field)) {
                        out.$field = reader.inside(key, |reader| $crate::model::tree::Shape::read(value, reader));
                        whole &= out.$field.is_some();
                        continue;
                    })*
                    whole = false;
                    let known: Vec<String> = Self::KEYS.iter().map(|key| $crate::model::tree::camel(key)).collect();
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    reader.unknown_key(value, key, &known);
                }
                whole.then_some(out)
            }
        }
    )*};
}
pub(crate) use shape;

/// The entries of a table; `Some(None)` for a table switched on without options (`true`, empty).
#[allow(clippy::option_option, reason = "three outcomes: a mistake, all defaults, entries")]
pub fn table<'a>(node: &'a Node, reader: &mut Reader) -> Option<Option<&'a [(String, Node)]>> {
    match &node.value {
        Value::Map(entries) => Some(Some(entries)),
        Value::Null => Some(None),
        Value::Text(text) if text.is_empty() || text.eq_ignore_ascii_case("true") => Some(None),
        _ => {
            reader.wrong(node, "a table of keys is expected here");
            None
        }
    }
}

/// Keys are compared in lower case; our field names have underscores besides.
pub fn plain(key: &str) -> String {
    key.chars()
        .filter(|c| *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

pub fn camel(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut upper = false;
    for c in field.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_as_go_writes_them() {
        let check =
            |text: &str, ms: Option<u128>| assert_eq!(Period::parse(text).map(|p| p.0.as_millis()), ms, "{text}");
        check("300ms", Some(300));
        check("1m30s", Some(90_000));
        check("1.5h", Some(5_400_000));
        check("7", Some(7_000));
        check("soon", None);
        check("5 minutes", None);
        check("-1", None);
    }

    #[test]
    fn a_misspelt_key_names_the_nearest() {
        assert_eq!(nearest("priorty", &["rule", "priority"]), Some("priority"));
        assert_eq!(nearest("zzz", &["rule", "priority"]), None);
    }
}
