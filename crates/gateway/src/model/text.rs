//! YAML, TOML and JSON texts, and dotted keys (labels, flags), to the one tree.

use super::tree::{Mistake, Node, Place, Value};
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use std::sync::Arc;
use toml::{Spanned, de::DeValue};

fn mistake(source: &Arc<str>, line: usize, message: impl Into<String>) -> Mistake {
    Mistake {
        place: Place {
            source: source.clone(),
            line,
        },
        key: "syntax".into(),
        message: message.into(),
    }
}

/// # Errors
/// The text is no YAML.
pub fn yaml(source: &str, text: &str) -> Result<Node, Mistake> {
    let source: Arc<str> = source.into();
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|error| mistake(&source, error.marker().line(), error.info().to_owned()))?;
    match documents.first() {
        Some(document) => from_yaml(&source, document),
        None => Ok(empty(&source)),
    }
}

fn empty(source: &Arc<str>) -> Node {
    Node {
        place: Place {
            source: source.clone(),
            line: 1,
        },
        value: Value::Null,
    }
}

fn from_yaml(source: &Arc<str>, node: &MarkedYaml<'_>) -> Result<Node, Mistake> {
    let place = Place {
        source: source.clone(),
        line: node.span.start.line(),
    };
    let value = match &node.data {
        YamlData::Value(scalar) => match scalar_text(scalar) {
            Some(text) => Value::Text(text),
            None => Value::Null,
        },
        YamlData::Representation(text, ..) => Value::Text(text.to_string()),
        YamlData::Sequence(items) => Value::List(
            items
                .iter()
                .map(|item| from_yaml(source, item))
                .collect::<Result<_, _>>()?,
        ),
        YamlData::Mapping(entries) => {
            let mut map = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                let YamlData::Value(key) = &key.data else {
                    return Err(mistake(source, place.line, "a key must be a plain text"));
                };
                map.push((scalar_text(key).unwrap_or_default(), from_yaml(source, value)?));
            }
            Value::Map(map)
        }
        YamlData::Tagged(_, inner) => return from_yaml(source, inner),
        YamlData::Alias(_) | YamlData::BadValue => {
            return Err(mistake(source, place.line, "this value cannot be read"));
        }
    };
    Ok(Node { place, value })
}

fn scalar_text(scalar: &Scalar<'_>) -> Option<String> {
    match scalar {
        Scalar::Null => None,
        Scalar::Boolean(value) => Some(value.to_string()),
        Scalar::Integer(value) => Some(value.to_string()),
        Scalar::FloatingPoint(value) => Some(value.to_string()),
        Scalar::String(value) => Some(value.to_string()),
    }
}

/// # Errors
/// The text is no TOML.
pub fn toml(source: &str, text: &str) -> Result<Node, Mistake> {
    let source: Arc<str> = source.into();
    let line_of = |offset: usize| 1 + text[..offset.min(text.len())].matches('\n').count();
    let table = toml::de::DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(span.start));
        mistake(&source, line, error.message().to_owned())
    })?;
    let entries = table.get_ref().iter();
    let map = entries
        .map(|(key, value)| (key.get_ref().to_string(), from_toml(&source, value, &line_of)))
        .collect();
    Ok(Node {
        place: Place { source, line: 1 },
        value: Value::Map(map),
    })
}

fn from_toml(source: &Arc<str>, node: &Spanned<DeValue<'_>>, line_of: &dyn Fn(usize) -> usize) -> Node {
    let place = Place {
        source: source.clone(),
        line: line_of(node.span().start),
    };
    let value = match node.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Text(number.as_str().to_owned()),
        DeValue::Float(number) => Value::Text(number.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Text(value.to_string()),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| from_toml(source, item, line_of)).collect()),
        DeValue::Table(table) => {
            let entries = table.iter();
            Value::Map(
                entries
                    .map(|(key, value)| (key.get_ref().to_string(), from_toml(source, value, line_of)))
                    .collect(),
            )
        }
    };
    Node { place, value }
}

/// # Errors
/// The text is no JSON.
pub fn json(source: &str, text: &str) -> Result<Node, Mistake> {
    let place = Place {
        source: source.into(),
        line: 0,
    };
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| mistake(&place.source, error.line(), error.to_string()))?;
    Ok(from_json(&place, value))
}

fn from_json(place: &Place, value: serde_json::Value) -> Node {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Text(value.to_string()),
        Json::Number(value) => Value::Text(value.to_string()),
        Json::String(value) => Value::Text(value),
        Json::Array(items) => Value::List(items.into_iter().map(|item| from_json(place, item)).collect()),
        Json::Object(map) => Value::Map(
            map.into_iter()
                .map(|(key, value)| (key, from_json(place, value)))
                .collect(),
        ),
    };
    Node {
        place: place.clone(),
        value,
    }
}

/// Puts `value` at a dotted key (`http.routers.x.rule`, `servers[0].url`) below `root`. Segments compare in any case.
pub fn put(root: &mut Node, key: &str, value: &str, place: &Place) {
    let mut node = root;
    for segment in key.split('.') {
        let (name, index) = match segment.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (segment, None),
        };
        node = child(node, name, place);
        if let Some(index) = index {
            node = element(node, index, place);
        }
    }
    node.place = place.clone();
    // A table switched on (`=true`) before or after its keys were given keeps the keys.
    let switched = value.eq_ignore_ascii_case("true") || value.is_empty();
    if !(switched && matches!(node.value, Value::Map(_))) {
        node.value = Value::Text(value.to_owned());
    }
}

fn fresh(place: &Place) -> Node {
    Node {
        place: place.clone(),
        value: Value::Null,
    }
}

fn child<'a>(node: &'a mut Node, name: &str, place: &Place) -> &'a mut Node {
    if !matches!(node.value, Value::Map(_)) {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else {
        unreachable!("the value was just made a map")
    };
    let found = entries.iter().position(|(key, _)| key.eq_ignore_ascii_case(name));
    let index = found.unwrap_or_else(|| {
        entries.push((name.to_owned(), fresh(place)));
        entries.len() - 1
    });
    &mut entries[index].1
}

fn element<'a>(node: &'a mut Node, index: usize, place: &Place) -> &'a mut Node {
    if !matches!(node.value, Value::List(_)) {
        node.value = Value::List(Vec::new());
    }
    let Value::List(items) = &mut node.value else {
        unreachable!("the value was just made a list")
    };
    // Nobody writes a thousand indexed servers by hand; a label must not make us allocate a gigabyte.
    let index = index.min(1000);
    while items.len() <= index {
        items.push(fresh(place));
    }
    &mut items[index]
}

#[cfg(test)]
mod tests {
    use super::super::Dynamic;
    use super::*;

    const RULE: &str = "Host(`a.test`)";

    #[test]
    fn yaml_and_toml_read_alike_and_keys_have_no_case() {
        let from_yaml = yaml(
            "a.yml",
            "http:\n  ROUTERS:\n    r: {rule: 'Host(`a.test`)', priority: 7}\n",
        )
        .expect("yaml");
        let from_toml = toml("a.toml", "[http.routers.r]\nrule = 'Host(`a.test`)'\npriority = 7\n").expect("toml");
        let a = Dynamic::read(&from_yaml).expect("valid");
        let b = Dynamic::read(&from_toml).expect("valid");
        assert_eq!(a, b);
        let router = &a.http.expect("http").routers.expect("routers")["r"];
        assert_eq!((router.rule.as_deref(), router.priority), (Some(RULE), Some(7)));
    }

    #[test]
    fn a_mistake_says_file_line_key_and_what_was_meant() {
        let node = yaml(
            "d/two.yml",
            "http:\n  routers:\n    two:\n      rule: x\n      priorty: 5\n",
        )
        .expect("yaml");
        let mistakes = Dynamic::read(&node).expect_err("misspelt");
        let text = mistakes[0].to_string();
        assert_eq!(
            text,
            "d/two.yml:5: http.routers.two.priorty: there is no such key; did you mean 'priority'?"
        );
    }

    #[test]
    fn labels_become_the_same_tree() {
        let place = Place {
            source: "label".into(),
            line: 0,
        };
        let mut root = fresh(&place);
        put(&mut root, "http.routers.r.rule", RULE, &place);
        put(&mut root, "http.routers.r.tls", "true", &place);
        put(
            &mut root,
            "http.services.s.loadbalancer.servers[0].url",
            "http://x",
            &place,
        );
        let dynamic = Dynamic::read(&root).expect("valid");
        let http = dynamic.http.expect("http");
        assert!(http.routers.expect("routers")["r"].tls.is_some());
        assert!(http.services.expect("services")["s"].load_balancer.is_some());
    }
}
