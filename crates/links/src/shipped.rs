//! The metadata shipped in `metadata/`, in the layout Hasura's command line writes: `"!include x"` names another file.

use ::metadata::Metadata;
use foundation::{Error, Result};
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Value, json};

const FILES: [(&str, &str); 4] = [
    ("databases.yaml", include_str!("../metadata/databases/databases.yaml")),
    (
        "default/tables/tables.yaml",
        include_str!("../metadata/databases/default/tables/tables.yaml"),
    ),
    (
        "links_links.yaml",
        include_str!("../metadata/databases/default/tables/links_links.yaml"),
    ),
    (
        "links_clicks.yaml",
        include_str!("../metadata/databases/default/tables/links_clicks.yaml"),
    ),
];

/// # Errors
/// A shipped file is no metadata; the tests of this crate would have said so.
pub fn metadata() -> Result<Metadata> {
    let sources = file("databases.yaml")?;
    serde_json::from_value(json!({"version": 3, "sources": sources}))
        .map_err(|error| Error::internal("reading the shipped metadata", error))
}

fn file(name: &str) -> Result<Value> {
    let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) else {
        return Err(Error::internal(
            "reading the shipped metadata",
            format!("{name} is not embedded"),
        ));
    };
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|error| Error::internal("reading the shipped metadata", error.to_string()))?;
    documents.first().map_or(Ok(Value::Null), tree)
}

fn tree(node: &MarkedYaml<'_>) -> Result<Value> {
    Ok(match &node.data {
        YamlData::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        YamlData::Value(Scalar::Integer(value)) => Value::from(*value),
        YamlData::Value(Scalar::String(text)) => match text.strip_prefix("!include ") {
            Some(name) => file(name)?,
            None => Value::from(text.as_ref()),
        },
        YamlData::Sequence(items) => Value::Array(items.iter().map(tree).collect::<Result<_>>()?),
        YamlData::Mapping(entries) => {
            let mut object = serde_json::Map::new();
            for (key, value) in entries {
                if let YamlData::Value(Scalar::String(key)) = &key.data {
                    object.insert(key.to_string(), tree(value)?);
                }
            }
            Value::Object(object)
        }
        _ => Value::Null,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shipped_metadata_tracks_both_tables() {
        let metadata = super::metadata().expect("metadata");
        let names: Vec<&str> = metadata.sources[0]
            .tables
            .iter()
            .map(|entry| entry.table.name.as_str())
            .collect();
        assert_eq!(names, ["links", "clicks"]);
        assert_eq!(metadata.sources[0].tables[0].select_permissions.len(), 2);
    }
}
