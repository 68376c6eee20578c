//! Mutation roots of a table with their input and answer types.

use super::inputs::key_arguments;
use super::insert;
use super::role::{Builder, Operation, Root, Verb};
use super::select::{described, has_key};
use super::types::{FieldDefinition, InputDefinition, list, named, own, required};
use crate::model::{Column, Table, Update};
use crate::syntax::TypeRef;
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let permissions = builder.schema.permissions[at].clone();
    if permissions.insert.is_none() && permissions.update.is_none() && permissions.delete.is_none() {
        return;
    }
    answer(builder, at, table);
    if permissions.insert.is_some() {
        insert::add(builder, at, table);
    }
    if let Some(update) = &permissions.update {
        update_roots(builder, at, table, update);
    }
    if permissions.delete.is_some() {
        delete_roots(builder, at, table);
    }
}

pub fn writable<'t>(builder: &mut Builder<'_>, table: &'t Table, columns: &[usize]) -> Vec<&'t Column> {
    let may = |column: &&Column| columns.contains(&column.at) && !column.generated;
    let writable: Vec<&Column> = table.columns.iter().filter(may).collect();
    for column in &writable {
        builder.column_type(column);
    }
    writable
}

pub fn answer_type(builder: &Builder<'_>, at: usize) -> String {
    builder.ty(at, "mutation_response")
}

fn answer(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let affected = FieldDefinition::new(required("Int")).described("number of rows affected by the mutation");
    let mut fields = IndexMap::from([("affected_rows".to_owned(), affected)]);
    if builder.may_select(at) && builder.has(&builder.ty(at, "")) {
        let returning = FieldDefinition::new(list(builder.ty(at, "")).required());
        fields.insert(
            "returning".to_owned(),
            returning.described("data from the rows affected by the mutation"),
        );
    }
    let about = format!("response of any mutation on the table \"{}\"", table.name);
    builder.object(answer_type(builder, at), about, fields);
}

/// Input fields for some columns, all of them optional.
pub fn inputs(builder: &mut Builder<'_>, columns: &[&Column]) -> IndexMap<String, InputDefinition> {
    let mut fields = IndexMap::new();
    for column in columns {
        let ty = builder.column_type(column);
        let about = column.comment.clone().unwrap_or_default();
        fields.insert(column.field.clone(), InputDefinition::new(ty).described(about));
    }
    fields.sort_keys();
    fields
}

/// An operator of `update`: its input type's suffix, fields and description.
type Operator = (&'static str, &'static str, IndexMap<String, InputDefinition>, String);

fn operators(builder: &mut Builder<'_>, columns: &[&Column], name: &str) -> Vec<Operator> {
    let of = |keep: &dyn Fn(&Column) -> bool| -> Vec<&Column> {
        columns.iter().copied().filter(|column| keep(column)).collect()
    };
    let typed = |columns: Vec<&Column>, ty: TypeRef| -> IndexMap<String, InputDefinition> {
        columns
            .iter()
            .map(|column| (column.field.clone(), InputDefinition::new(ty.clone())))
            .collect()
    };
    let json = of(&|column| column.is(&["jsonb"]));
    let append = "append existing jsonb value of filtered columns with new jsonb value";
    let at_path =
        "delete the field or element with specified path (for JSON arrays, negative integers count from the end)";
    let element = "delete the array element with specified index (negative integers count from the end). throws an \
                   error if top level container is not an array";
    let key = "delete key/value pair or string element. key/value pairs are matched based on their key value";
    let prepend = "prepend existing jsonb value of filtered columns with new jsonb value";
    vec![
        (
            "_append",
            "append",
            typed(json.clone(), named("jsonb")),
            append.to_owned(),
        ),
        (
            "_delete_at_path",
            "delete_at_path",
            typed(json.clone(), list("String")),
            at_path.to_owned(),
        ),
        (
            "_delete_elem",
            "delete_elem",
            typed(json.clone(), named("Int")),
            element.to_owned(),
        ),
        (
            "_delete_key",
            "delete_key",
            typed(json.clone(), named("String")),
            key.to_owned(),
        ),
        (
            "_inc",
            "inc",
            inputs(builder, &of(&Column::is_numeric)),
            format!("input type for incrementing numeric columns in table \"{name}\""),
        ),
        ("_prepend", "prepend", typed(json, named("jsonb")), prepend.to_owned()),
        (
            "_set",
            "set",
            inputs(builder, columns),
            format!("input type for updating data in table \"{name}\""),
        ),
    ]
}

/// The arguments `_set`, `_inc` and so on that the role has.
fn operator_arguments(
    builder: &mut Builder<'_>,
    at: usize,
    table: &Table,
    update: &Update,
) -> IndexMap<String, InputDefinition> {
    let naming = builder.naming(at);
    let columns = writable(builder, table, &update.columns);
    let mut arguments = IndexMap::new();
    for (operator, suffix, fields, about) in operators(builder, &columns, &table.name) {
        let ty = builder.ty(at, &format!("{suffix}_input"));
        if builder.input(ty.clone(), about.clone(), fields) {
            let about = match operator {
                "_set" => "sets the columns of the filtered rows to the given values",
                "_inc" => "increments the numeric columns with given value of the filtered values",
                _ => &about,
            };
            let (shown, definition) = own(naming, operator, InputDefinition::new(named(ty)).described(about));
            arguments.insert(shown, definition);
        }
    }
    arguments
}

fn update_roots(builder: &mut Builder<'_>, at: usize, table: &Table, update: &Update) {
    let naming = builder.naming(at);
    let arguments = operator_arguments(builder, at, table, update);
    // Without a select permission there is no boolean expression to name rows by.
    if !builder.may_select(at) || (arguments.is_empty() && update.set.is_empty()) {
        return;
    }
    let with = |mut field: FieldDefinition| {
        field.arguments.extend(arguments.clone());
        field
    };
    let filter = required(builder.ty(at, "bool_exp"));
    let response = named(answer_type(builder, at));
    let root = |verb| Root { verb, table: at };
    let chosen = "filter the rows which have to be updated";
    let many = with(FieldDefinition::new(response.clone())).argument("where", filter.clone(), chosen);
    let about = format!("update data of the table: \"{}\"", table.name);
    let name = naming.root_field(table.custom_root("update"), &["update", &table.field]);
    builder.root(
        Operation::Mutation,
        name,
        root(Verb::Update),
        described(table, "update", many, about),
    );
    let mut one = arguments.clone();
    one.insert("where".to_owned(), InputDefinition::new(filter).described(chosen));
    let updates = builder.ty(at, "updates");
    builder.input(updates.clone(), String::new(), one);
    let about = format!("update multiples rows of table: \"{}\"", table.name);
    let batch = FieldDefinition::new(TypeRef::list(response)).argument(
        "updates",
        list(updates).required(),
        "updates to execute, in order",
    );
    let name = naming.root_field(table.custom_root("update_many"), &["update", &table.field, "many"]);
    let batch = described(table, "update_many", batch, about);
    builder.root(Operation::Mutation, name, root(Verb::UpdateMany), batch);
    if has_key(builder, at, table) {
        let key = key_arguments(builder, FieldDefinition::new(named("Boolean")), table).arguments;
        let columns = builder.ty(at, "pk_columns_input");
        let about = format!("primary key columns input for table: {}", table.field);
        builder.input(columns.clone(), about, key);
        let one = with(FieldDefinition::new(named(builder.ty(at, ""))));
        let one = one.own_argument(naming, "pk_columns", required(columns), "");
        let about = format!("update single row of the table: \"{}\"", table.name);
        let name = naming.root_field(table.custom_root("update_by_pk"), &["update", &table.field, "by_pk"]);
        let one = described(table, "update_by_pk", one, about);
        builder.root(Operation::Mutation, name, root(Verb::UpdateByPrimaryKey), one);
    }
}

fn delete_roots(builder: &mut Builder<'_>, at: usize, table: &Table) {
    if !builder.may_select(at) {
        return;
    }
    let naming = builder.naming(at);
    let filter = required(builder.ty(at, "bool_exp"));
    let many = FieldDefinition::new(named(answer_type(builder, at)));
    let many = many.argument("where", filter, "filter the rows which have to be deleted");
    let about = format!("delete data from the table: \"{}\"", table.name);
    let root = |verb| Root { verb, table: at };
    let name = naming.root_field(table.custom_root("delete"), &["delete", &table.field]);
    builder.root(
        Operation::Mutation,
        name,
        root(Verb::Delete),
        described(table, "delete", many, about),
    );
    if has_key(builder, at, table) {
        let one = key_arguments(builder, FieldDefinition::new(named(builder.ty(at, ""))), table);
        let about = format!("delete single row from the table: \"{}\"", table.name);
        let name = naming.root_field(table.custom_root("delete_by_pk"), &["delete", &table.field, "by_pk"]);
        let one = described(table, "delete_by_pk", one, about);
        builder.root(Operation::Mutation, name, root(Verb::DeleteByPrimaryKey), one);
    }
}
