//! Insert roots, with the input types of nested objects and of upserts.

use super::mutation::{answer_type, inputs, writable};
use super::role::{Builder, Operation, Root, Verb};
use super::select::described;
use super::types::{FieldDefinition, InputDefinition, list, named, own, required};
use crate::model::{Table, Update};
use crate::syntax::TypeRef;
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let naming = builder.naming(at);
    input(builder, at, table);
    let row = builder.ty(at, "insert_input");
    let conflict = conflict_type(builder, at, table);
    let with_conflict = |field: FieldDefinition| match &conflict {
        Some(ty) => field.own_argument(naming, "on_conflict", named(ty), "upsert condition"),
        None => field,
    };
    let many = FieldDefinition::new(named(answer_type(builder, at)));
    let many = with_conflict(many.argument("objects", list(&row).required(), "the rows to be inserted"));
    let about = format!("insert data into the table: \"{}\"", table.name);
    let name = naming.root_field(table.custom_root("insert"), &["insert", &table.field]);
    let root = |verb| Root { verb, table: at };
    builder.root(
        Operation::Mutation,
        name,
        root(Verb::Insert),
        described(table, "insert", many, about),
    );
    if builder.may_select(at) && builder.has(&builder.ty(at, "")) {
        let one = FieldDefinition::new(named(builder.ty(at, "")));
        let one = with_conflict(one.argument("object", required(&row), "the row to be inserted"));
        let about = format!("insert a single row into the table: \"{}\"", table.name);
        let name = naming.root_field(table.custom_root("insert_one"), &["insert", &table.field, "one"]);
        builder.root(
            Operation::Mutation,
            name,
            root(Verb::InsertOne),
            described(table, "insert_one", one, about),
        );
    }
}

/// Columns, and what is related and may be inserted too. A relationship that leads back finds its type begun.
fn input(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let name = builder.ty(at, "insert_input");
    if builder.has(&name) {
        return;
    }
    let Some(insert) = builder.schema.permissions[at].insert.clone() else {
        return;
    };
    let columns = writable(builder, table, &insert.columns);
    let mut fields = inputs(builder, &columns);
    let about = format!("input type for inserting data into table \"{}\"", table.name);
    let placeholder = || IndexMap::from([("_".to_owned(), InputDefinition::new(named("Boolean")))]);
    // Held here while what it contains is made.
    builder.input(name.clone(), about.clone(), placeholder());
    for relationship in table.relationships.values() {
        let target = relationship.target;
        if builder.schema.permissions[target].insert.is_none() {
            continue;
        }
        let nested = &builder.model.tables[target];
        input(builder, target, nested);
        let ty = nested_type(builder, target, nested, relationship.array);
        fields.insert(relationship.name.clone(), InputDefinition::new(named(ty)));
    }
    fields.sort_keys();
    if fields.is_empty() {
        // A row of defaults and presets: GraphQL has no empty input, so one optional placeholder stands for it.
        fields = placeholder();
    }
    builder.input(name, about, fields);
}

fn nested_type(builder: &mut Builder<'_>, at: usize, table: &Table, array: bool) -> String {
    let (suffix, data, about) = match array {
        true => (
            "arr_rel_insert_input",
            TypeRef::list(required(builder.ty(at, "insert_input"))).required(),
            format!(
                "input type for inserting array relation for remote table \"{}\"",
                table.name
            ),
        ),
        false => (
            "obj_rel_insert_input",
            required(builder.ty(at, "insert_input")),
            format!(
                "input type for inserting object relation for remote table \"{}\"",
                table.name
            ),
        ),
    };
    let name = builder.ty(at, suffix);
    if builder.has(&name) {
        return name;
    }
    let mut fields = IndexMap::from([("data".to_owned(), InputDefinition::new(data))]);
    if let Some(conflict) = conflict_type(builder, at, table) {
        let naming = builder.naming(at);
        let definition = InputDefinition::new(named(conflict)).described("upsert condition");
        let (shown, definition) = own(naming, "on_conflict", definition);
        fields.insert(shown, definition);
    }
    builder.input(name.clone(), about, fields);
    name
}

/// `None`: there is nothing to conflict with, or the role may not update.
fn conflict_type(builder: &mut Builder<'_>, at: usize, table: &Table) -> Option<String> {
    let update: Update = builder.schema.permissions[at].update.clone()?;
    if table.constraints.is_empty() {
        return None;
    }
    let ty = builder.ty(at, "on_conflict");
    if builder.has(&ty) {
        return Some(ty);
    }
    let naming = builder.naming(at);
    let unique = |columns: &[String]| {
        let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        format!("unique or primary key constraint on columns {}", names.join(", "))
    };
    let constraints = table
        .constraints
        .iter()
        .map(|(name, columns)| (name.clone(), unique(columns)));
    let about = format!("unique or primary key constraints on table \"{}\"", table.name);
    let constraint = builder.ty(at, "constraint");
    builder.enumeration(constraint.clone(), about, constraints.collect());
    let columns = writable(builder, table, &update.columns);
    let mut values: Vec<(String, String)> = columns
        .iter()
        .map(|column| (column.field.clone(), "column name".to_owned()))
        .collect();
    if values.is_empty() {
        values.push(("_PLACEHOLDER".to_owned(), "placeholder (do not use)".to_owned()));
    }
    let about = format!("update columns of table \"{}\"", table.name);
    let column = builder.ty(at, "update_column");
    builder.enumeration(column.clone(), about, values);
    let mut update_columns = InputDefinition::new(list(column).required());
    update_columns.default = Some("[]".into());
    let (shown, update_columns) = own(naming, "update_columns", update_columns);
    let mut fields = IndexMap::from([
        ("constraint".to_owned(), InputDefinition::new(required(constraint))),
        (shown, update_columns),
    ]);
    if builder.may_select(at) {
        let filter = builder.ty(at, "bool_exp");
        fields.insert("where".to_owned(), InputDefinition::new(named(filter)));
    }
    let about = format!("on_conflict condition type for table \"{}\"", table.name);
    builder.input(ty.clone(), about, fields);
    Some(ty)
}
