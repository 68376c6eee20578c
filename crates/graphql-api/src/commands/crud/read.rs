//! `select` and `count`.

use super::{
    Answer, Said, access,
    condition::{condition, order},
    tables::{Tables, field},
};
use crate::refusal::Refusal;
use metadata::TableEntry;
use serde_json::{Map, Value};

/// GraphQL text under way: fields written so far, and the variables they use.
#[derive(Default)]
pub struct Writer {
    declared: Vec<String>,
    pub variables: Map<String, Value>,
}

impl Writer {
    /// Declares a variable of this type and gives its name.
    pub fn variable(&mut self, ty: &str, value: Value) -> String {
        let name = format!("v{}", self.declared.len());
        self.declared.push(format!("${name}: {ty}"));
        self.variables.insert(name.clone(), value);
        format!("${name}")
    }

    pub fn finish(self, operation: &str, body: &str, answer: Answer) -> Said {
        let declared = match self.declared.is_empty() {
            true => String::new(),
            false => format!("({})", self.declared.join(", ")),
        };
        Said {
            query: format!("{operation} {declared} {{ {body} }}"),
            variables: self.variables,
            answer,
        }
    }

    /// `where`, `order_by`, `limit`, `offset` as arguments in parentheses.
    fn arguments(&mut self, tables: &Tables, table: &TableEntry, args: &Value) -> Result<String, Refusal> {
        let base = field(&table.table);
        let mut written = Vec::new();
        if let Some(given) = args.get("where").filter(|given| !given.is_null()) {
            let name = self.variable(&format!("{base}_bool_exp!"), condition(tables, table, given)?);
            written.push(format!("where: {name}"));
        }
        if let Some(given) = args.get("order_by").filter(|given| !given.is_null()) {
            let name = self.variable(&format!("[{base}_order_by!]"), order(given)?);
            written.push(format!("order_by: {name}"));
        }
        for key in ["limit", "offset"] {
            if let Some(given) = args.get(key).filter(|given| !given.is_null()) {
                let name = self.variable("Int", number(given, key)?);
                written.push(format!("{key}: {name}"));
            }
        }
        Ok(match written.is_empty() {
            true => String::new(),
            false => format!("({})", written.join(", ")),
        })
    }

    /// `[column, "*", {name, alias, columns, …}]`
    pub fn columns(
        &mut self,
        tables: &Tables,
        table: &TableEntry,
        columns: &Value,
        path: &str,
    ) -> Result<String, Refusal> {
        let mut written = Vec::new();
        let listed = match columns {
            Value::String(_) => std::slice::from_ref(columns),
            _ => columns.as_array().map(Vec::as_slice).unwrap_or_default(),
        };
        for (place, column) in listed.iter().enumerate() {
            match column {
                Value::String(star) if star == "*" => {
                    written.extend(access::readable(tables, table).into_iter().map(str::to_owned));
                }
                Value::String(name) => {
                    access::check_column(tables, table, name, &format!("{path}[{place}]"))?;
                    written.push(name.clone());
                }
                related => written.push(self.related(tables, table, related, &format!("{path}[{place}]"))?),
            }
        }
        Ok(written.join(" "))
    }

    fn related(&mut self, tables: &Tables, table: &TableEntry, given: &Value, path: &str) -> Result<String, Refusal> {
        let name = given["name"].as_str().unwrap_or_default();
        let Some(target) = tables.target(table, name) else {
            let message = format!("relationship \"{name}\" does not exist");
            return Err(Refusal::new("not-exists", format!("{path}.name"), message));
        };
        let alias = given["alias"].as_str().unwrap_or(name);
        let arguments = self.arguments(tables, target, given)?;
        let columns = self.columns(tables, target, &given["columns"], &format!("{path}.columns"))?;
        Ok(format!("{alias}: {name}{arguments} {{ {columns} }}"))
    }
}

fn number(given: &Value, key: &str) -> Result<Value, Refusal> {
    match given.as_i64() {
        None => {
            let kind = if given.is_string() { "String" } else { "another type" };
            let message = format!("parsing Int failed, expected Number, but encountered {kind}");
            Err(Refusal::new("parse-failed", format!("$.{key}"), message))
        }
        Some(number) if number < 0 => {
            let message = "unexpected negative value";
            Err(Refusal::new("not-supported", format!("$.args.{key}"), message))
        }
        Some(number) => Ok(Value::from(number)),
    }
}

pub fn select(tables: &Tables, args: &Value) -> Result<Said, Refusal> {
    let table = tables.named(args)?;
    access::check(tables, table, "select")?;
    let mut writer = Writer::default();
    let arguments = writer.arguments(tables, table, args)?;
    let columns = writer.columns(tables, table, &args["columns"], "$.args.columns")?;
    let body = format!("rows: {}{arguments} {{ {columns} }}", field(&table.table));
    Ok(writer.finish("query", &body, Answer::Rows))
}

/// Counting is reading: the role's rows are counted whether or not GraphQL shows it aggregates.
pub fn count(tables: &Tables, args: &Value) -> Result<Said, Refusal> {
    let table = tables.named(args)?;
    access::check(tables, table, "count")?;
    let mut writer = Writer::default();
    let arguments = writer.arguments(tables, table, args)?;
    let distinct = args["distinct"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (place, column) in distinct.iter().enumerate() {
        let name = column.as_str().unwrap_or_default();
        if !tables.columns(&table.table).contains(&name) {
            let message = format!("no such column exists: \"{name}\"");
            return Err(Refusal::new(
                "permission-denied",
                format!("$.args.distinct[{place}]"),
                message,
            ));
        }
    }
    let counted = match distinct.is_empty() {
        true => String::new(),
        false => {
            let names: Vec<&str> = distinct.iter().filter_map(Value::as_str).collect();
            format!("(distinct: true, columns: [{}])", names.join(", "))
        }
    };
    let body = format!(
        "rows: {}_aggregate{arguments} {{ aggregate {{ count{counted} }} }}",
        field(&table.table)
    );
    Ok(writer.finish("query", &body, Answer::Count))
}
