//! Metadata as a directory of YAML files, in the layout of Hasura's command line (version 3): a file for each kind of
//! thing, a directory for each source, a file for each table and function. `"!include x"` stands for the content of `x`,
//! seen from the file that says so. Pure: the caller reads and writes the files.

mod actions;
mod read;
mod sdl;
mod write;

pub use read::read;
pub use write::write;

use std::fmt;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub file: String,
    pub line: Option<usize>,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

const SOURCES: &str = "databases/databases.yaml";

/// The other files, and which part of the document each holds. That of actions holds several.
const PARTS: [(&str, &str); 13] = [
    ("allow_list.yaml", "allowlist"),
    ("api_limits.yaml", "api_limits"),
    ("backend_configs.yaml", "backend_configs"),
    ("cron_triggers.yaml", "cron_triggers"),
    ("graphql_schema_introspection.yaml", "graphql_schema_introspection"),
    ("inherited_roles.yaml", "inherited_roles"),
    ("metrics_config.yaml", "metrics_config"),
    ("network.yaml", "network"),
    ("opentelemetry.yaml", "opentelemetry"),
    ("query_collections.yaml", "query_collections"),
    ("remote_schemas.yaml", "remote_schemas"),
    ("rest_endpoints.yaml", "rest_endpoints"),
    ("actions.yaml", ""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metadata;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn read_of(files: &BTreeMap<String, String>) -> Result<Metadata, Mistake> {
        read(&|name| Ok(files.get(name).cloned()))
    }

    #[test]
    fn what_is_written_reads_back() {
        let filter = json!({"_and": [{"name": {"_eq": "true"}}, {"age": {"_gt": -1.5}}, {"note": {"_in": ["", "~", "!x", "a: b", "#", "two\nlines\n", "1e3", "0x10", "- x", "ü"]}}]});
        let metadata: Metadata = serde_json::from_value(json!({"version": 3,
            "sources": [{"name": "main", "kind": "postgres", "configuration": {"connection_info": {"use": true}},
                "tables": [
                    {"table": {"schema": "public", "name": "author"}, "select_permissions": [{"role": "user",
                        "permission": {"columns": ["id", "null"], "filter": filter}}]},
                    {"table": {"schema": "odd schema", "name": "a/../b"}},
                    {"table": {"schema": "odd_schema", "name": "a/../b"}}],
                "functions": [{"function": {"schema": "public", "name": "search"}}]}],
            "query_collections": [{"name": "c", "definition": {"queries": [{"name": "q", "query": "query {\n  author { id }\n}\n"}]}}],
            "actions": [{"name": "act", "definition": {"handler": "http://h", "output_type": "[Made!]!", "kind": "synchronous",
                    "arguments": [{"name": "a", "type": "Odd!", "description": "a \"thing\""}]}, "permissions": [{"role": "user"}]},
                {"name": "ask", "definition": {"handler": "http://h", "output_type": "String", "type": "query"}}],
            "custom_types": {"scalars": [{"name": "Odd", "description": "any"}],
                "objects": [{"name": "Made", "fields": [{"name": "id", "type": "Int!"}], "relationships": [{"name": "author",
                    "type": "object", "source": "main", "remote_table": {"schema": "public", "name": "author"}, "field_mapping": {"id": "id"}}]}],
                "enums": [{"name": "Mood", "values": [{"value": "SAD", "is_deprecated": true}]}]},
            "api_limits": {"depth_limit": {"global": 5}}, "inherited_roles": [{"role_name": "r", "role_set": ["a", "b"]}]}))
        .expect("metadata");
        let files: BTreeMap<String, String> = write(&metadata).into_iter().collect();
        assert_eq!(read_of(&files), Ok(metadata));
        assert!(files["actions.graphql"].contains("type Mutation {\n  act(\n"));
        assert!(
            !files["actions.yaml"].contains("output_type"),
            "{}",
            files["actions.yaml"]
        );
        assert!(files["databases/main/tables/tables.yaml"].contains("- \"!include public_author.yaml\""));
        assert!(files.keys().all(|name| !name.contains("..")), "{:?}", files.keys());
        assert_eq!(files.keys().filter(|name| name.contains("odd_schema")).count(), 2);
    }

    #[test]
    fn mistakes_have_a_place() {
        let told = |files: &[(&str, &str)]| {
            let files = files
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect();
            read_of(&files).expect_err("a mistake").to_string()
        };
        let version = ("version.yaml", "version: 3\n");
        assert!(told(&[]).starts_with("version.yaml: is missing"));
        assert!(told(&[("version.yaml", "version: 2\n")]).starts_with("version.yaml: version 3 is"));
        let sources = (SOURCES, "- name: a\n  tables: \"!include a/tables/tables.yaml\"\n");
        assert_eq!(
            told(&[version, sources]),
            "databases/a/tables/tables.yaml: is missing; databases/databases.yaml:2 includes it"
        );
        let broken = (
            "databases/a/tables/tables.yaml",
            "- table:\n    name: x\n   schema: [\n",
        );
        assert!(told(&[version, sources, broken]).starts_with("databases/a/tables/tables.yaml:3: "));
        let circle = ("databases/a/tables/tables.yaml", "- \"!include tables.yaml\"\n");
        assert!(told(&[version, sources, circle]).contains("includes itself"));
        let outside = (
            "databases/a/tables/tables.yaml",
            "- \"!include ../../../../secret.yaml\"\n",
        );
        assert!(told(&[version, sources, outside]).contains("outside of the directory"));
        let empty = (SOURCES, "[]\n");
        let signatures = ("actions.graphql", "type Query {\n  act(: Int\n}\n");
        assert!(told(&[version, empty, signatures]).starts_with("actions.graphql:2: a name is expected"));
        let alone = ("actions.graphql", "type Query { act: Int }\n");
        assert!(told(&[version, empty, alone]).contains("the action \"act\" has no entry in actions.yaml"));
        let twice = (
            "databases/a/tables/tables.yaml",
            "- table:\n    name: x\n    schema: public\n    name: y\n",
        );
        assert!(told(&[version, sources, twice]).contains("tables.yaml:"));
    }
}
