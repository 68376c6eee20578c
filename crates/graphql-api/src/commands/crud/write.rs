//! `insert`, `update`, `delete`.

use super::{
    Answer, Said, access,
    condition::condition,
    read::Writer,
    tables::{Tables, field},
};
use crate::refusal::Refusal;
use metadata::TableEntry;
use serde_json::{Map, Value, json};

/// What a change answers: how many rows, and those asked for.
fn selection(writer: &mut Writer, tables: &Tables, table: &TableEntry, args: &Value) -> Result<String, Refusal> {
    match args.get("returning").filter(|columns| !columns.is_null()) {
        None => Ok("affected_rows".to_owned()),
        Some(columns) => {
            access::check(tables, table, "select")?;
            let columns = writer.columns(tables, table, columns, "$.args.returning")?;
            Ok(format!("affected_rows returning {{ {columns} }}"))
        }
    }
}

pub fn insert(tables: &Tables, args: &Value) -> Result<Said, Refusal> {
    let table = tables.named(args)?;
    access::check(tables, table, "insert")?;
    let base = field(&table.table);
    let mut writer = Writer::default();
    let objects = args["objects"].clone();
    if !objects.is_array() {
        return Err(Refusal::new("parse-failed", "$.args", "key \"objects\" not found"));
    }
    let objects = writer.variable(&format!("[{base}_insert_input!]!"), objects);
    let mut arguments = format!("objects: {objects}");
    if let Some(given) = args.get("on_conflict").filter(|given| !given.is_null()) {
        let conflict = on_conflict(tables, table, given, &args["objects"])?;
        let name = writer.variable(&format!("{base}_on_conflict"), conflict);
        arguments.push_str(&format!(", on_conflict: {name}"));
    }
    let selection = selection(&mut writer, tables, table, args)?;
    let body = format!("rows: insert_{base}({arguments}) {{ {selection} }}");
    Ok(writer.finish("mutation", &body, Answer::Rows))
}

/// `update` writes every column the objects have, `ignore` none.
fn on_conflict(tables: &Tables, table: &TableEntry, given: &Value, objects: &Value) -> Result<Value, Refusal> {
    let columns: Vec<&str> = match &given["constraint_on"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let constraint = match given["constraint"].as_str() {
        Some(name) => Some(name),
        None => tables.key_over(&table.table, &columns),
    };
    let Some(constraint) = constraint else {
        let message = "\"constraint\" or \"constraint_on\" with the columns of a unique key is needed";
        return Err(Refusal::new("unexpected-payload", "$.args.on_conflict", message));
    };
    let mut written: Vec<&str> = Vec::new();
    if given["action"] != "ignore" {
        for key in objects
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .flat_map(Map::keys)
        {
            if !written.contains(&key.as_str()) {
                written.push(key);
            }
        }
        if let Some(permission) = table.update_permissions.iter().find(|one| one.role == tables.role) {
            written.retain(|column| permission.permission.columns.holds(column));
        }
    }
    Ok(json!({"constraint": constraint, "update_columns": written}))
}

pub fn update(tables: &Tables, args: &Value) -> Result<Said, Refusal> {
    let table = tables.named(args)?;
    access::check(tables, table, "update")?;
    let base = field(&table.table);
    let mut writer = Writer::default();
    let mut arguments = vec![where_argument(&mut writer, tables, table, args)?];
    let operators = [("$set", "_set", "set"), ("$inc", "_inc", "inc")];
    for (old, operator, kind) in operators {
        let Some(given) = args.get(old).or_else(|| args.get(operator)) else {
            continue;
        };
        let columns = given.as_object().into_iter().flat_map(Map::keys);
        access::check_set(tables, table, columns, &format!("$.args[\"{old}\"]"))?;
        let name = writer.variable(&format!("{base}_{kind}_input"), given.clone());
        arguments.push(format!("{operator}: {name}"));
    }
    if let Some(unknown) = ["$mul", "_mul", "$default", "_default"]
        .into_iter()
        .find(|key| args.get(*key).is_some())
    {
        let message = format!("'{unknown}' is not supported here; use $set or $inc, or run_sql");
        return Err(Refusal::new("not-supported", format!("$.args[\"{unknown}\"]"), message));
    }
    let selection = selection(&mut writer, tables, table, args)?;
    let body = format!("rows: update_{base}({}) {{ {selection} }}", arguments.join(", "));
    Ok(writer.finish("mutation", &body, Answer::Rows))
}

fn where_argument(writer: &mut Writer, tables: &Tables, table: &TableEntry, args: &Value) -> Result<String, Refusal> {
    let Some(given) = args.get("where").filter(|given| !given.is_null()) else {
        return Err(Refusal::new("parse-failed", "$.args", "key \"where\" not found"));
    };
    let made = condition(tables, table, given)?;
    let name = writer.variable(&format!("{}_bool_exp!", field(&table.table)), made);
    Ok(format!("where: {name}"))
}

pub fn delete(tables: &Tables, args: &Value) -> Result<Said, Refusal> {
    let table = tables.named(args)?;
    access::check(tables, table, "delete")?;
    let mut writer = Writer::default();
    let condition = where_argument(&mut writer, tables, table, args)?;
    let selection = selection(&mut writer, tables, table, args)?;
    let body = format!("rows: delete_{}({condition}) {{ {selection} }}", field(&table.table));
    Ok(writer.finish("mutation", &body, Answer::Rows))
}
