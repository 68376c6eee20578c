//! Root fields must have one meaning each, over all tables and sources.

use super::{Model, Naming, Table};
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

    /// Whether a table, function or native query of no namespace has a root field of this name.
    pub fn has_root(&self, query: bool, name: &str) -> bool {
        let kinds: &[(&str, &[&str])] = if query { &QUERIES } else { &MUTATIONS };
        let plain = |source: usize| self.sources[source].naming.namespace.is_none();
        let tables = self.tables.iter().filter(|table| !table.logical && plain(table.source));
        let mut of_tables = tables.flat_map(|table| {
            let naming = &self.sources[table.source].naming;
            let there = kinds.iter().filter(|(kind, _)| has(table, kind));
            there
                .map(|(kind, parts)| root_name(naming, table, kind, parts))
                .collect::<Vec<_>>()
        });
        let mut functions = self
            .functions
            .iter()
            .filter(|one| one.mutation != query && plain(one.source));
        let mut natives = self.natives.iter().filter(|_| query);
        of_tables.any(|known| known == name)
            || functions.any(|one| {
                let naming = &self.sources[one.source].naming;
                naming.root_field(one.custom_field.as_deref(), &[&one.field]) == name
            })
            || natives.any(|one| one.name == name)
    }

    fn conflict_in(&self, root: &str, kinds: &[(&str, &[&str])]) -> Option<String> {
        let mut order = Vec::new();
        let mut found: HashMap<(Option<&str>, String), Vec<String>> = HashMap::new();
        for table in self.tables.iter().filter(|table| !table.logical) {
            let source = &self.sources[table.source];
            for (kind, parts) in kinds.iter().filter(|(kind, _)| has(table, kind)) {
                let name = root_name(&source.naming, table, kind, parts);
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

fn root_name(naming: &Naming, table: &Table, kind: &str, parts: &[&str]) -> String {
    let field = |part: &&'_ str| {
        if *part == "{}" {
            table.field.clone()
        } else {
            (*part).to_owned()
        }
    };
    let parts: Vec<String> = parts.iter().map(field).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    naming.root_field(table.custom_root(kind), &parts)
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
