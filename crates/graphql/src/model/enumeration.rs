//! Tables used as enumerations, and the columns whose values they are.

use super::{Context, Inconsistency, Naming, Table, is_graphql_name, table::EnumValue};
use crate::catalog;
use metadata::TableEntry;

pub(super) fn resolve(
    context: &Context<'_>,
    entries: &[(&TableEntry, &catalog::Table)],
    tables: &mut [Table],
    naming: &Naming,
    wrong: &mut Vec<Inconsistency>,
) {
    for (place, (entry, facts)) in entries.iter().enumerate().filter(|(_, (entry, _))| entry.is_enum) {
        match values(context, facts, naming) {
            Ok(values) => tables[place].values = Some(values),
            Err(reasons) => {
                let (why, list) = match reasons.as_slice() {
                    [one] => (" because ", one.clone()),
                    many => (" for the following reasons:\n  • ", many.join("\n  • ") + "\n"),
                };
                let text = format!("the table \"{}\" cannot be used as an enum{why}{list}", entry.table);
                wrong.push(Inconsistency::table(&entry.table, context.source_name, text));
            }
        }
    }
    for (place, (_, facts)) in entries.iter().enumerate() {
        for key in facts.foreign_keys.iter().filter(|key| key.columns.len() == 1) {
            let target = metadata::TableName {
                schema: key.to_schema.clone(),
                name: key.to_table.clone(),
            };
            let target = context.known.get(&target).and_then(|at| {
                let first = context.known.values().min().copied().unwrap_or_default();
                tables.get(*at - first)
            });
            let Some((name, values)) =
                target.and_then(|table| Some((naming.type_name(&[&table.base_type, "enum"]), table.values.clone()?)))
            else {
                continue;
            };
            let column = tables[place]
                .columns
                .iter_mut()
                .find(|column| column.name == key.columns[0]);
            if let Some(column) = column.filter(|column| !column.array) {
                column.values = Some((name, values));
            }
        }
    }
}

fn values(context: &Context<'_>, facts: &catalog::Table, naming: &Naming) -> Result<Vec<EnumValue>, Vec<String>> {
    let mut reasons = Vec::new();
    let is_text = |column: &catalog::Column| column.ty.name == "text" && !column.ty.is_array;
    match facts.keys.iter().find(|key| key.primary) {
        None => reasons.push("the table has no primary key".to_owned()),
        Some(key) => match key.columns.as_slice() {
            [one] => {
                let column = facts.columns.iter().find(|column| column.name == *one);
                if let Some(column) = column.filter(|column| !is_text(column)) {
                    let ty = shown(&column.ty);
                    reasons.push(format!(
                        "the table’s primary key (\"{one}\") must have type \"text\", not type \"{ty}\""
                    ));
                }
                let others: Vec<_> = facts.columns.iter().filter(|column| column.name != *one).collect();
                match others.as_slice() {
                    [] => {}
                    [comment] if is_text(comment) => {}
                    [comment] => {
                        let ty = shown(&comment.ty);
                        reasons.push(format!(
                            "the table’s comment column (\"{}\") must have type \"text\", not type \"{ty}\"",
                            comment.name
                        ));
                    }
                    many => {
                        let mut names: Vec<&str> = many.iter().map(|column| column.name.as_str()).collect();
                        names.push(one);
                        names.sort_unstable();
                        reasons.push(format!(
                            "the table must have exactly one primary key and optionally one comment column, not {} columns ({})",
                            names.len(),
                            names.join(", ")
                        ));
                    }
                }
            }
            many => reasons.push(format!(
                "the table’s primary key must not span multiple columns ({})",
                many.join(", ")
            )),
        },
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let rows = context.catalog.enums.get(&(facts.schema.clone(), facts.name.clone()));
    let rows = rows.map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return Err(vec!["the table is empty".to_owned()]);
    }
    let bad: Vec<String> = rows
        .iter()
        .filter(|(value, _)| !is_graphql_name(value) || matches!(value.as_str(), "true" | "false" | "null"))
        .map(|(value, _)| format!("\"{value}\""))
        .collect();
    if !bad.is_empty() {
        let what = if bad.len() == 1 {
            "value is not a valid"
        } else {
            "values are not valid"
        };
        return Err(vec![format!("the {} {what} GraphQL enum value name", bad.join(", "))]);
    }
    Ok(rows
        .iter()
        .map(|(value, comment)| EnumValue {
            name: naming.enum_value(value),
            value: value.clone(),
            comment: comment.clone(),
        })
        .collect())
}

/// A type as its name is written in SQL.
fn shown(ty: &catalog::Type) -> String {
    match ty.name.as_str() {
        "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "bool" => "boolean",
        "float8" => "double precision",
        "float4" => "real",
        "timestamptz" => "timestamp with time zone",
        "varchar" => "character varying",
        other => other,
    }
    .to_owned()
}
