//! Logical models as tables that have no place in the database, and native queries as what their rows come from.

use super::{Column, Context, Inconsistency, Model, Table, is_graphql_name, permission};
use indexmap::IndexMap;
use metadata::{LogicalField, LogicalModel, NativeQuery};
use serde_json::{Value, json};
use std::collections::HashMap;

#[derive(Debug)]
pub struct Native {
    pub name: String,
    pub comment: Option<String>,
    pub arguments: IndexMap<String, Column>,
    /// SQL between the arguments that stand in it.
    pub code: Vec<Piece>,
    /// The logical model's position among the tables.
    pub table: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Sql(String),
    Argument(String),
}

pub(super) fn resolve(
    context: &Context<'_>,
    source: &metadata::Source,
    model: &mut Model,
    wrong: &mut Vec<Inconsistency>,
) {
    let mut models = HashMap::new();
    for one in &source.logical_models {
        let made = logical(context, one, model);
        match made {
            Ok(table) => {
                models.insert(one.name.clone(), model.tables.len());
                model.tables.push(table);
                let own = model.tables.len() - 1;
                for given in &one.select_permissions {
                    if let Err(reason) = permission::reading(model, own, &given.role, &given.permission) {
                        wrong.push(wrong_model(
                            context,
                            one,
                            &format!("in permission for role \"{}\": {reason}", given.role),
                        ));
                    }
                }
            }
            Err(reason) => wrong.push(wrong_model(context, one, &reason)),
        }
    }
    for one in &source.native_queries {
        match native(one, &models) {
            Ok(made) => model.natives.push(made),
            Err(reason) => wrong.push(Inconsistency {
                kind: "native_query",
                name: format!("native_query {} in source {}", one.root_field_name, context.source_name),
                reason: format!(
                    "Inconsistent object: in native query \"{}\": {reason}",
                    one.root_field_name
                ),
                definition: json!({"source": context.source_name, "root_field_name": one.root_field_name}),
            }),
        }
    }
}

fn wrong_model(context: &Context<'_>, one: &LogicalModel, reason: &str) -> Inconsistency {
    Inconsistency {
        kind: "logical_model",
        name: format!("logical_model {} in source {}", one.name, context.source_name),
        reason: format!("Inconsistent object: in logical model \"{}\": {reason}", one.name),
        definition: json!({"source": context.source_name, "name": one.name}),
    }
}

fn logical(context: &Context<'_>, one: &LogicalModel, model: &Model) -> Result<Table, String> {
    if !is_graphql_name(&one.name) {
        return Err("its name is no GraphQL name".to_owned());
    }
    let naming = &model.sources[context.source].naming;
    let mut columns = Vec::with_capacity(one.fields.len());
    for (at, field) in one.fields.iter().enumerate() {
        let mut column = column(field)?;
        column.at = at;
        column.field = naming.field(&field.name);
        column.comment = field.description.clone();
        columns.push(column);
    }
    if columns.is_empty() {
        return Err("it has no fields".to_owned());
    }
    Ok(Table::logical(
        context.source,
        &one.name,
        naming.base_type(&one.name),
        one.description.clone(),
        columns,
    ))
}

fn column(field: &LogicalField) -> Result<Column, String> {
    if !is_graphql_name(&field.name) {
        return Err(format!("\"{}\" is no GraphQL name", field.name));
    }
    let (ty, inner) = match &field.ty {
        Value::String(ty) => (ty.as_str(), None),
        given => (
            given["scalar"].as_str().unwrap_or_default(),
            given["nullable"].as_bool(),
        ),
    };
    if ty.is_empty() {
        return Err(format!(
            "the type of field \"{}\" has to be a PostgreSQL type; nested models are not supported",
            field.name
        ));
    }
    let mut column = typed(&field.name, ty);
    column.nullable = field.nullable.or(inner).unwrap_or(false);
    Ok(column)
}

/// PostgreSQL's longer names are those of its catalogue too.
fn typed(name: &str, ty: &str) -> Column {
    let (base, array) = match ty.trim().strip_suffix("[]") {
        Some(base) => (base.trim(), true),
        None => (ty.trim(), false),
    };
    let lower = base.to_lowercase();
    let without_size = lower.split('(').next().unwrap_or_default().trim();
    let known = match without_size {
        "integer" | "int" | "serial" => "int4",
        "bigint" | "bigserial" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time with time zone" => "timetz",
        "time without time zone" => "time",
        other => other,
    };
    Column::typed(name, known, array, ty.trim())
}

fn native(one: &NativeQuery, models: &HashMap<String, usize>) -> Result<Native, String> {
    if !is_graphql_name(&one.root_field_name) {
        return Err("its name is no GraphQL name".to_owned());
    }
    let Some(table) = models.get(&one.returns) else {
        return Err(format!("the logical model \"{}\" is not tracked", one.returns));
    };
    let mut arguments = IndexMap::new();
    for (name, given) in &one.arguments {
        let Some(ty) = given["type"].as_str().filter(|_| is_graphql_name(name)) else {
            return Err(format!("argument \"{name}\" needs a GraphQL name and a type"));
        };
        let mut column = typed(name, ty);
        column.nullable = given["nullable"].as_bool().unwrap_or(false);
        column.comment = given["description"].as_str().map(str::to_owned);
        arguments.insert(name.clone(), column);
    }
    let code = pieces(&one.code)?;
    let undeclared = code.iter().find_map(|piece| match piece {
        Piece::Argument(name) if !arguments.contains_key(name) => Some(name),
        _ => None,
    });
    if let Some(name) = undeclared {
        return Err(format!(
            "its code names {{{{{name}}}}}, which is not among its arguments"
        ));
    }
    Ok(Native {
        name: one.root_field_name.clone(),
        comment: one.comment.clone(),
        arguments,
        code,
        table: *table,
    })
}

fn pieces(code: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = code.trim().trim_end_matches(';');
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else {
            return Err("its code opens '{{' and does not close it".to_owned());
        };
        pieces.push(Piece::Sql(before.to_owned()));
        pieces.push(Piece::Argument(name.trim().to_owned()));
        rest = behind;
    }
    pieces.push(Piece::Sql(rest.to_owned()));
    Ok(pieces)
}
