//! Root fields must have one meaning each, over all tables and sources.

use super::{Model, Table};
use std::collections::HashMap;

/// Kind in metadata, and the parts of the usual name; `{}` is the table.
const MUTATIONS: [(&str, &[&str]); 7] = [
    ("insert", &["insert", "{}"]),
    ("insert_one", &["insert", "{}", "one"]),
    ("update", &["update", "{}"]),
    ("update_by_pk", &["update", "{}", "by_pk"]),
    ("update_many", &["update", "{}", "many"]),
    ("delete", &["delete", "{}"]),
    ("delete_by_pk", &["delete", "{}", "by_pk"]),
];
const QUERIES: [(&str, &[&str]); 3] = [
    ("select", &["{}"]),
    ("select_by_pk", &["{}", "by_pk"]),
    ("select_aggregate", &["{}", "aggregate"]),
];

impl Model {
    /// What Hasura says about fields that are defined twice.
    pub fn conflict(&self) -> Option<String> {
        self.conflict_in("mutation_root", &MUTATIONS)
            .or_else(|| self.conflict_in("query_root", &QUERIES))
    }

    fn conflict_in(&self, root: &str, kinds: &[(&str, &[&str])]) -> Option<String> {
        let mut order = Vec::new();
        let mut found: HashMap<(Option<&str>, String), Vec<String>> = HashMap::new();
        for table in self.tables.iter().filter(|table| !table.logical) {
            let source = &self.sources[table.source];
            for (kind, parts) in kinds.iter().filter(|(kind, _)| has(table, kind)) {
                let parts: Vec<&str> = parts
                    .iter()
                    .map(|part| if *part == "{}" { table.field.as_str() } else { part })
                    .collect();
                let name = source.naming.root_field(table.custom_root(kind), &parts);
                let key = (source.naming.namespace.as_deref(), name);
                let definers = found.entry(key.clone()).or_default();
                definers.push(format!("table {} in source {}", table.shown(), source.name));
                if definers.len() == 2 {
                    order.push(key);
                }
            }
        }
        if order.is_empty() {
            return None;
        }
        let listed: Vec<String> = order
            .iter()
            .rev()
            .map(|key| format!("'{}' defined in [{}]", key.1, found[key].join(", ")))
            .collect();
        Some(format!(
            "Encountered conflicting definitions in the selection set for '{root}' for fields: [{}]. Fields must not be \
             defined more than once across all sources.",
            listed.join(", ")
        ))
    }
}

fn has(table: &Table, kind: &str) -> bool {
    let keyed = !table.primary_key.is_empty();
    match kind {
        "select_by_pk" => keyed,
        "insert" | "insert_one" => table.insertable,
        "update" | "update_many" => table.updatable,
        "update_by_pk" => table.updatable && keyed,
        "delete" => table.deletable,
        "delete_by_pk" => table.deletable && keyed,
        _ => true,
    }
}
