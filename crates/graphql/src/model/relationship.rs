//! Relationships as column pairs.

use super::{Context, Inconsistency, Table, wrong::Part};
use crate::catalog;
use metadata::{ForeignKeyOn, Relationship as Written, TableEntry, TableName, Using};
use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
pub struct Relationship {
    pub name: String,
    pub target: usize,
    pub array: bool,
    pub nullable: bool,
    /// Our column, theirs; names in the database.
    pub on: Vec<(String, String)>,
    /// Nested inserts put our row first: theirs refers to ours.
    pub after: bool,
}

pub(super) fn resolve(
    context: &Context<'_>,
    entry: &TableEntry,
    facts: &catalog::Table,
    table: &mut Table,
    wrong: &mut Vec<Inconsistency>,
) {
    let objects = entry.object_relationships.iter().map(|written| (written, false));
    let arrays = entry.array_relationships.iter().map(|written| (written, true));
    for (written, array) in objects.chain(arrays) {
        let found = match conflict(table, &written.name) {
            Some(reason) => Err(reason),
            None => relationship(context, written, array, facts),
        };
        match found {
            Ok(found) => drop(table.relationships.insert(written.name.clone(), found)),
            Err(reason) => {
                let mut definition = json!({"using": written.using, "name": written.name});
                if let Some(comment) = written.rest.get("comment") {
                    definition["comment"] = comment.clone();
                }
                let part = Part {
                    kind: if array { "array_relation" } else { "object_relation" },
                    name: &written.name,
                    table: &entry.table,
                    source: context.source_name,
                    definition,
                };
                wrong.push(Inconsistency::of(&part, reason));
            }
        }
    }
}

fn conflict(table: &Table, name: &str) -> Option<String> {
    let column = table
        .columns
        .iter()
        .find(|column| column.field == name || column.name == name)?;
    Some(match column.field == column.name {
        true => "field definition conflicts with postgres column".to_owned(),
        false if column.field == name => {
            format!(
                "field definition conflicts with custom field name for postgres column \"{}\"",
                column.name
            )
        }
        false => return None,
    })
}

fn relationship(
    context: &Context<'_>,
    written: &Written,
    array: bool,
    ours: &catalog::Table,
) -> Result<Relationship, String> {
    let (to, on, theirs_refers) = match &written.using {
        Using::ManualConfiguration {
            remote_table,
            column_mapping,
            rest,
        } => {
            let after = rest.get("insertion_order").and_then(Value::as_str) == Some("after_parent");
            (remote_table.clone(), pairs(column_mapping), after)
        }
        Using::ForeignKeyConstraintOn(ForeignKeyOn::Remote { table, column, columns }) => {
            let columns = columns
                .clone()
                .or_else(|| column.clone().map(|column| vec![column]))
                .unwrap_or_default();
            let Some(facts) = context.catalog.table(&table.schema, &table.name) else {
                return Err(format!(
                    "table \"{table}\" does not exist in source: {}",
                    context.source_name
                ));
            };
            let to_us = |key: &&catalog::ForeignKey| key.to_schema == ours.schema && key.to_table == ours.name;
            let key = facts
                .foreign_keys
                .iter()
                .filter(to_us)
                .find(|key| key.columns == columns);
            let key = key.ok_or_else(|| no_key(ours, written))?;
            let on = key
                .to_columns
                .iter()
                .cloned()
                .zip(key.columns.iter().cloned())
                .collect();
            (table.clone(), on, true)
        }
        Using::ForeignKeyConstraintOn(ForeignKeyOn::Column(column)) => {
            let (to, on) = own_key(ours, std::slice::from_ref(column), written)?;
            (to, on, false)
        }
        Using::ForeignKeyConstraintOn(ForeignKeyOn::Columns(columns)) => {
            let (to, on) = own_key(ours, columns, written)?;
            (to, on, false)
        }
    };
    let target = context.known.get(&to).copied();
    let target = target.ok_or_else(|| match context.catalog.table(&to.schema, &to.name) {
        Some(_) => format!("table \"{to}\" is not tracked"),
        None => format!("table \"{to}\" does not exist in source: {}", context.source_name),
    })?;
    let manual = matches!(written.using, Using::ManualConfiguration { .. });
    let ours_nullable = on.iter().any(|(name, _)| {
        ours.columns
            .iter()
            .any(|column| column.name == *name && column.nullable)
    });
    check_columns(ours, &on, context, &to)?;
    Ok(Relationship {
        name: written.name.clone(),
        target,
        array,
        nullable: manual || theirs_refers || ours_nullable,
        on,
        after: theirs_refers || (array && manual),
    })
}

fn check_columns(
    ours: &catalog::Table,
    on: &[(String, String)],
    context: &Context<'_>,
    to: &TableName,
) -> Result<(), String> {
    let has = |table: &catalog::Table, name: &str| table.columns.iter().any(|column| column.name == name);
    let theirs = context.catalog.table(&to.schema, &to.name);
    for (here, there) in on {
        if !has(ours, here) {
            return Err(format!("column \"{here}\" does not exist in table \"{}\"", shown(ours)));
        }
        if theirs.is_some_and(|theirs| !has(theirs, there)) {
            return Err(format!("column \"{there}\" does not exist in table \"{to}\""));
        }
    }
    Ok(())
}

fn shown(table: &catalog::Table) -> String {
    TableName {
        schema: table.schema.clone(),
        name: table.name.clone(),
    }
    .to_string()
}

fn pairs(mapping: &Map<String, Value>) -> Vec<(String, String)> {
    let pair = |(ours, theirs): (&String, &Value)| Some((ours.clone(), theirs.as_str()?.to_owned()));
    mapping.iter().filter_map(pair).collect()
}

type Target = (TableName, Vec<(String, String)>);

fn own_key(ours: &catalog::Table, columns: &[String], written: &Written) -> Result<Target, String> {
    let mut keys = ours.foreign_keys.iter().filter(|key| key.columns == columns);
    let key = keys.next().ok_or_else(|| no_key(ours, written))?;
    let to = TableName {
        schema: key.to_schema.clone(),
        name: key.to_table.clone(),
    };
    let on = key.columns.iter().cloned().zip(key.to_columns.iter().cloned());
    Ok((to, on.collect()))
}

fn no_key(ours: &catalog::Table, written: &Written) -> String {
    format!(
        "in table \"{}\": in relationship \"{}\": no foreign constraint exists on the given column(s)",
        shown(ours),
        written.name
    )
}
