//! Functions of a row as fields of it.

use super::{Context, Inconsistency, Table, function::Argument, is_graphql_name, scalar_of, wrong::Part};
use crate::catalog;
use indexmap::IndexMap;
use metadata::{ComputedField, TableEntry, TableName};
use serde_json::json;

#[derive(Debug, Clone)]
pub struct Computed {
    pub name: String,
    pub schema: String,
    pub function: String,
    /// In the function's order; the row and the session among them.
    pub arguments: Vec<Slot>,
    pub returns: Returns,
    pub comment: Option<String>,
}

/// Of a function; with the argument's name, where it has one.
#[derive(Debug, Clone)]
pub enum Slot {
    Row(Option<String>),
    Session(Option<String>),
    Given(Argument),
}

#[derive(Debug, Clone)]
pub enum Returns {
    /// `pg_type.typname`, whether it is an array of it, and what a cast names.
    Scalar { ty: String, array: bool, sql_type: String },
    /// A set of rows, or one.
    Rows { table: usize, many: bool },
}

impl Computed {
    pub fn given(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter_map(|slot| match slot {
            Slot::Given(argument) => Some(argument),
            _ => None,
        })
    }

    pub fn scalar(&self) -> Option<&str> {
        match &self.returns {
            Returns::Scalar { ty, .. } => Some(scalar_of(ty)),
            Returns::Rows { .. } => None,
        }
    }
}

pub(super) fn resolve(
    context: &Context<'_>,
    entry: &TableEntry,
    tables: &[Table],
    own: usize,
    wrong: &mut Vec<Inconsistency>,
) -> IndexMap<String, Computed> {
    let mut found = IndexMap::new();
    for field in &entry.computed_fields {
        let conflict = conflict(&tables[own], &field.name);
        let made = match conflict {
            Some(text) => Err(text.to_owned()),
            None => computed(context, entry, field).map_err(|text| {
                format!(
                    "in table \"{}\": in computed field \"{}\": {text}",
                    entry.table, field.name
                )
            }),
        };
        match made {
            Ok(made) => drop(found.insert(field.name.clone(), made)),
            Err(text) => {
                let mut definition = json!({"definition": field.definition, "name": field.name});
                if let Some(comment) = &field.comment {
                    definition["comment"] = json!(comment);
                }
                let part = Part {
                    kind: "computed_field",
                    name: &field.name,
                    table: &entry.table,
                    source: context.source_name,
                    definition,
                };
                wrong.push(Inconsistency::of(&part, text));
            }
        }
    }
    found
}

fn conflict(table: &Table, name: &str) -> Option<&'static str> {
    if table.columns.iter().any(|column| column.field == name) {
        return Some("field definition conflicts with postgres column");
    }
    table
        .relationships
        .contains_key(name)
        .then_some("field definition conflicts with relationship")
}

fn computed(context: &Context<'_>, entry: &TableEntry, field: &ComputedField) -> Result<Computed, String> {
    let name = &field.definition.function;
    let overloads = context.catalog.functions(&name.schema, &name.name);
    let function = match overloads.as_slice() {
        [] => return Err(format!("no such function exists: \"{name}\"")),
        [one] => *one,
        _ => {
            return Err(format!(
                "function \"{name}\" is overloaded. Overloaded functions are not supported"
            ));
        }
    };
    let mut reasons = Vec::new();
    if !is_graphql_name(&field.name) {
        reasons.push(format!("\"{}\" is not valid GraphQL name", field.name));
    }
    if function.volatile {
        reasons.push(format!(
            "the function \"{name}\" is of type VOLATILE; cannot be added as a computed field"
        ));
    }
    let row = row_argument(entry, field, function, &mut reasons);
    let session = session_argument(field, function, &mut reasons);
    let returns = returns(context, function, &mut reasons);
    if let (Some(returns), true) = (returns, reasons.is_empty()) {
        return Ok(Computed {
            name: field.name.clone(),
            schema: name.schema.clone(),
            function: name.name.clone(),
            arguments: slots(function, row, session),
            returns,
            comment: field.comment.clone().or_else(|| function.comment.clone()),
        });
    }
    let what = format!(
        "the computed field \"{}\" cannot be added to table \"{}\"",
        field.name, entry.table
    );
    Err(match reasons.as_slice() {
        [one] => format!("{what} because {one}"),
        many => format!("{what} for the following reasons:\n  • {}\n", many.join("\n  • ")),
    })
}

fn slots(function: &catalog::Function, row: Option<usize>, session: Option<usize>) -> Vec<Slot> {
    let mut unnamed = 0;
    let slot = |(place, argument): (usize, &catalog::Argument)| {
        if Some(place) == row {
            return Slot::Row(argument.name.clone());
        }
        if Some(place) == session {
            return Slot::Session(argument.name.clone());
        }
        Slot::Given(Argument::of(argument, &mut unnamed))
    };
    function.arguments.iter().enumerate().map(slot).collect()
}

/// The place of the row among the arguments: the named one, else the first.
fn row_argument(
    entry: &TableEntry,
    field: &ComputedField,
    function: &catalog::Function,
    reasons: &mut Vec<String>,
) -> Option<usize> {
    let name = &field.definition.function;
    if function.arguments.is_empty() {
        reasons.push(format!("the function \"{name}\" has no input arguments"));
        return None;
    }
    let (place, shown) = match &field.definition.table_argument {
        None => (0, "first argument".to_owned()),
        Some(asked) => {
            let place = function
                .arguments
                .iter()
                .position(|one| one.name.as_ref() == Some(asked));
            let Some(place) = place else {
                reasons.push(format!(
                    "\"{asked}\" is not an input argument of the function \"{name}\""
                ));
                return None;
            };
            (place, format!("\"{asked}\" argument"))
        }
    };
    let ty = &function.arguments[place].ty;
    if ty.kind != "c" {
        reasons.push(format!("{shown} of the function \"{name}\" is not COMPOSITE type"));
    }
    let ours = ty
        .table
        .as_ref()
        .is_some_and(|table| table.schema == entry.table.schema && table.name == entry.table.name);
    if !ours {
        let ty = ty.sql.replace('"', "");
        reasons.push(format!(
            "{shown} of the function \"{name}\" of type \"{ty}\" is not the table to which the computed field is being added"
        ));
    }
    Some(place)
}

fn session_argument(field: &ComputedField, function: &catalog::Function, reasons: &mut Vec<String>) -> Option<usize> {
    let name = &field.definition.function;
    let asked = field.definition.session_argument.as_ref()?;
    let place = function
        .arguments
        .iter()
        .position(|one| one.name.as_ref() == Some(asked));
    match place {
        None => reasons.push(format!(
            "\"{asked}\" is not an input argument of the function \"{name}\""
        )),
        Some(place) if function.arguments[place].ty.name != "json" => {
            reasons.push(format!(
                "\"{asked}\" argument of the function \"{name}\" is not of type JSON"
            ));
        }
        Some(_) => {}
    }
    place
}

fn returns(context: &Context<'_>, function: &catalog::Function, reasons: &mut Vec<String>) -> Option<Returns> {
    let ty = &function.returns;
    if let Some(table) = &ty.table {
        let table = TableName {
            schema: table.schema.clone(),
            name: table.name.clone(),
        };
        let Some(at) = context.known.get(&table) else {
            reasons.push(format!(
                "the function \"{}\" returning set of table \"{table}\" is not tracked",
                function.name
            ));
            return None;
        };
        return Some(Returns::Rows {
            table: *at,
            many: function.returns_set,
        });
    }
    if function.returns_set || !matches!(ty.kind.as_str(), "b" | "e" | "d" | "r" | "m") {
        reasons.push(format!(
            "the function \"{}\" returning type {} is not a BASE type",
            function.name, ty.name
        ));
        return None;
    }
    Some(Returns::Scalar {
        ty: ty.name.clone(),
        array: ty.is_array,
        sql_type: ty.sql.clone(),
    })
}
