//! Metadata objects that do not fit the database, in Hasura's shape and words.

use metadata::TableName;
use serde_json::{Value, json};

/// One metadata object that does not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Inconsistency {
    pub kind: &'static str,
    pub name: String,
    pub reason: String,
    pub definition: Value,
}

const INHERITED: &str = "inherited role permission inconsistency";

fn reason(text: impl std::fmt::Display) -> String {
    format!("Inconsistent object: {text}")
}

/// A part of a table in metadata: its kind, what it is called, its definition.
pub(crate) struct Part<'a> {
    pub kind: &'static str,
    pub name: &'a str,
    pub table: &'a TableName,
    pub source: &'a str,
    /// What else Hasura lists, before `table`.
    pub definition: Value,
}

impl Inconsistency {
    pub(crate) fn no_table(table: &TableName, source: &str) -> Self {
        Inconsistency {
            kind: "table",
            name: format!("table {table} in source {source}"),
            reason: reason(format_args!("no such table/view exists in source: \"{table}\"")),
            definition: json!(table),
        }
    }

    pub(crate) fn table(table: &TableName, source: &str, text: impl std::fmt::Display) -> Self {
        Inconsistency {
            reason: reason(text),
            ..Self::no_table(table, source)
        }
    }

    pub(crate) fn function(function: &TableName, source: &str, text: impl std::fmt::Display) -> Self {
        Inconsistency {
            kind: "function",
            name: format!("function {function} in source {source}"),
            reason: reason(text),
            definition: json!(function),
        }
    }

    /// No fault of an object's: what a role could have inherited it does not.
    pub(crate) fn inherited(role: &str, kind: &str, table: &str, source: &str) -> Self {
        let text = format!(
            "Could not inherit permission for the role '{role}' for the entity: '{kind} permission, table: {table}, \
             source: '{source}''"
        );
        Inconsistency {
            kind: INHERITED,
            name: role.to_owned(),
            reason: text,
            definition: json!({"permission_type": kind, "source": source, "table": table}),
        }
    }

    /// Nothing is refused for its sake.
    pub fn is_note(&self) -> bool {
        self.kind == INHERITED
    }

    pub(crate) fn of(part: &Part<'_>, text: impl std::fmt::Display) -> Self {
        let mut definition = part.definition.clone();
        definition["source"] = json!(part.source);
        if definition.get("comment").is_none() {
            definition["comment"] = Value::Null;
        }
        definition["table"] = json!(part.table);
        Inconsistency {
            kind: part.kind,
            name: format!(
                "{} {} in table {} in source {}",
                part.kind, part.name, part.table, part.source
            ),
            reason: reason(text),
            definition,
        }
    }

    pub(crate) fn permission(
        kind: &'static str,
        role: &str,
        table: &TableName,
        source: &str,
        permission: Value,
        text: impl std::fmt::Display,
    ) -> Self {
        let definition = json!({"role": role, "permission": permission});
        let part = Part {
            kind,
            name: role,
            table,
            source,
            definition,
        };
        let text = format!("in table \"{table}\": in permission for role \"{role}\": {text}");
        let made = Self::of(&part, text);
        let words = kind.replace('_', " ");
        Inconsistency {
            name: format!("{words} of role {role} in table {table} in source {source}")
                .replace("permission of", "permission of"),
            ..made
        }
    }
}
