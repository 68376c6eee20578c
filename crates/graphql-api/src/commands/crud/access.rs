//! The refusals that name a table or column of the caller's request.

use super::tables::Tables;
use crate::refusal::Refusal;
use metadata::{Columns, TableEntry};

fn has<P>(list: &[metadata::Permission<P>], role: &str) -> bool {
    list.iter().any(|one| one.role == role)
}

/// # Errors
/// The role has no permission of this kind on the table.
pub fn check(tables: &Tables, table: &TableEntry, verb: &str) -> Result<(), Refusal> {
    let role = tables.role.as_str();
    let allowed = match verb {
        "insert" => has(&table.insert_permissions, role),
        "update" => has(&table.update_permissions, role),
        "delete" => has(&table.delete_permissions, role),
        _ => has(&table.select_permissions, role),
    };
    if role == "admin" || tables.is_inherited || allowed {
        return Ok(());
    }
    let why = match verb {
        "count" => "; \"count\" is only allowed if the role has \"select\" permissions on the table",
        _ => "",
    };
    let verb = if verb == "count" { "select" } else { verb };
    let message = format!(
        "{verb} on \"{}\" for role \"{role}\" is not allowed. {why}",
        table.table
    );
    Err(Refusal::new("permission-denied", "$.args", message))
}

/// Columns the role may read, in the table's order.
pub fn readable<'a>(tables: &'a Tables, table: &TableEntry) -> Vec<&'a str> {
    let all = tables.columns(&table.table);
    let permission = table.select_permissions.iter().find(|one| one.role == tables.role);
    match permission {
        Some(permission) if tables.role != "admin" => all
            .into_iter()
            .filter(|column| permission.permission.columns.holds(column))
            .collect(),
        _ => all,
    }
}

/// # Errors
/// There is no such column, or the role may not read it.
pub fn check_column(tables: &Tables, table: &TableEntry, column: &str, path: &str) -> Result<(), Refusal> {
    if !tables.columns(&table.table).contains(&column) {
        let message = format!("column \"{column}\" does not exist");
        return Err(Refusal::new("not-exists", path, message));
    }
    if !tables.is_inherited && !readable(tables, table).contains(&column) {
        let message = format!(
            "role \"{}\" does not have permission to select column \"{column}\"",
            tables.role
        );
        return Err(Refusal::new("permission-denied", path, message));
    }
    Ok(())
}

/// # Errors
/// A column of `$set` is preset or not the role's to change.
pub fn check_set<'a>(
    tables: &Tables,
    table: &TableEntry,
    columns: impl Iterator<Item = &'a String>,
    path: &str,
) -> Result<(), Refusal> {
    let Some(permission) = table.update_permissions.iter().find(|one| one.role == tables.role) else {
        return Ok(());
    };
    let permission = &permission.permission;
    for column in columns {
        let role = &tables.role;
        if permission.set.contains_key(column) {
            let message = format!(
                "column \"{column}\" is not updatable for role \"{role}\"; its value is predefined in permission"
            );
            return Err(Refusal::new("not-supported", path, message));
        }
        if !matches!(&permission.columns, Columns::Star(_)) && !permission.columns.holds(column) {
            let message = format!("role \"{role}\" does not have permission to update column \"{column}\"");
            return Err(Refusal::new("permission-denied", path, message));
        }
    }
    Ok(())
}
