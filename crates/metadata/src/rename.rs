//! What the document says about a table, column or relationship under its old name, said under the new one: after
//! `rename_relationship`, and after SQL that renamed things.

use crate::{Columns, ForeignKeyOn, Relationship, Source, TableEntry, TableName, Using};
use serde_json::{Map, Value};

/// A table has another name in the database.
pub fn table(source: &mut Source, old: &TableName, new: &TableName) {
    let rename = |name: &mut TableName| {
        if name == old {
            name.clone_from(new);
        }
    };
    for entry in &mut source.tables {
        rename(&mut entry.table);
        for relationship in relationships(entry) {
            match &mut relationship.using {
                Using::ForeignKeyConstraintOn(ForeignKeyOn::Remote { table, .. }) => rename(table),
                Using::ManualConfiguration { remote_table, .. } => rename(remote_table),
                Using::ForeignKeyConstraintOn(_) => {}
            }
        }
    }
}

/// A column of `table` has another name in the database; `target` tells which table a relationship of a table leads to.
pub fn column(
    source: &mut Source,
    table: &TableName,
    old: &str,
    new: &str,
    target: &dyn Fn(&TableName, &str) -> Option<TableName>,
) {
    let change = |name: &mut String| {
        if name == old {
            new.clone_into(name);
        }
    };
    for entry in &mut source.tables {
        let here = entry.table == *table;
        if here {
            own_column(entry, old, new);
        }
        for relationship in relationships(entry) {
            match &mut relationship.using {
                Using::ForeignKeyConstraintOn(ForeignKeyOn::Column(column)) if here => change(column),
                Using::ForeignKeyConstraintOn(ForeignKeyOn::Columns(columns)) if here => {
                    columns.iter_mut().for_each(change);
                }
                Using::ForeignKeyConstraintOn(ForeignKeyOn::Remote {
                    table: remote,
                    column,
                    columns,
                }) if remote == table => {
                    column.iter_mut().chain(columns.iter_mut().flatten()).for_each(change);
                }
                Using::ManualConfiguration {
                    remote_table,
                    column_mapping,
                    ..
                } => {
                    if remote_table == table {
                        for theirs in column_mapping.values_mut().filter(|theirs| *theirs == old) {
                            *theirs = Value::from(new);
                        }
                    }
                    if here {
                        rekey(column_mapping, old, new);
                    }
                }
                Using::ForeignKeyConstraintOn(_) => {}
            }
        }
        let at = entry.table.clone();
        for_each_filter(entry, &mut |filter| in_filter(filter, &at, table, old, new, target));
    }
}

/// A relationship of `table` has another name in the document.
pub fn relationship(source: &mut Source, table: &TableName, old: &str, new: &str) {
    let nowhere = |_: &TableName, _: &str| None;
    for entry in source.tables.iter_mut().filter(|entry| entry.table == *table) {
        let at = entry.table.clone();
        for_each_filter(entry, &mut |filter| in_filter(filter, &at, table, old, new, &nowhere));
    }
}

fn relationships(entry: &mut TableEntry) -> impl Iterator<Item = &mut Relationship> {
    entry
        .object_relationships
        .iter_mut()
        .chain(&mut entry.array_relationships)
}

/// The table's own column in its configuration, permissions' columns and presets.
fn own_column(entry: &mut TableEntry, old: &str, new: &str) {
    if let Some(configuration) = &mut entry.configuration {
        rekey(&mut configuration.column_config, old, new);
    }
    let listed = |columns: &mut Columns| {
        if let Columns::List(names) = columns {
            for name in names.iter_mut().filter(|name| *name == old) {
                new.clone_into(name);
            }
        }
    };
    for one in &mut entry.select_permissions {
        listed(&mut one.permission.columns);
    }
    for one in &mut entry.insert_permissions {
        one.permission.columns.iter_mut().for_each(listed);
        rekey(&mut one.permission.set, old, new);
    }
    for one in &mut entry.update_permissions {
        listed(&mut one.permission.columns);
        rekey(&mut one.permission.set, old, new);
    }
    for one in &mut entry.event_triggers {
        for watched in one.definition.each_mut() {
            listed(&mut watched.columns);
            watched.payload.iter_mut().for_each(listed);
        }
    }
}

fn for_each_filter(entry: &mut TableEntry, change: &mut dyn FnMut(&mut Value)) {
    for one in &mut entry.select_permissions {
        change(&mut one.permission.filter);
    }
    for one in &mut entry.insert_permissions {
        change(&mut one.permission.check);
    }
    for one in &mut entry.update_permissions {
        change(&mut one.permission.filter);
        one.permission.check.iter_mut().for_each(&mut *change);
    }
    for one in &mut entry.delete_permissions {
        change(&mut one.permission.filter);
    }
}

/// Walks a condition on table `at`; `old` is renamed where the condition is about `table`.
fn in_filter(
    filter: &mut Value,
    at: &TableName,
    table: &TableName,
    old: &str,
    new: &str,
    target: &dyn Fn(&TableName, &str) -> Option<TableName>,
) {
    match filter {
        Value::Array(all) => {
            for one in all {
                in_filter(one, at, table, old, new, target);
            }
        }
        Value::Object(fields) => {
            for (key, inner) in fields.iter_mut() {
                let operator = key.starts_with(['_', '$']);
                match target(at, key) {
                    _ if operator => in_filter(inner, at, table, old, new, target),
                    Some(to) => in_filter(inner, &to, table, old, new, target),
                    None => {}
                }
            }
            if at == table {
                rekey(fields, old, new);
            }
        }
        _ => {}
    }
}

/// The same entries in the same order, one under another key.
fn rekey(fields: &mut Map<String, Value>, old: &str, new: &str) {
    if !fields.contains_key(old) {
        return;
    }
    let taken = std::mem::take(fields);
    *fields = taken
        .into_iter()
        .map(|(key, value)| {
            if key == old {
                (new.to_owned(), value)
            } else {
                (key, value)
            }
        })
        .collect();
}
