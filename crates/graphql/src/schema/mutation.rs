//! Mutation roots of a table with their input and answer types.

use super::inputs::key_arguments;
use super::role::{Builder, Root, Verb};
use super::types::{FieldDefinition, InputDefinition, list, named, required};
use crate::model::{Column, Table, Update};
use crate::syntax::TypeRef;
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let permissions = builder.schema.permissions[at].clone();
    if permissions.insert.is_none() && permissions.update.is_none() && permissions.delete.is_none() {
        return;
    }
    answer(builder, at, table);
    if let Some(insert) = &permissions.insert {
        let columns = writable(builder, table, &insert.columns);
        insert_roots(builder, at, table, columns, permissions.update.as_ref());
    }
    if let Some(update) = &permissions.update {
        update_roots(builder, at, table, update);
    }
    if permissions.delete.is_some() {
        delete_roots(builder, at, table);
    }
}

fn writable<'t>(builder: &mut Builder<'_>, table: &'t Table, columns: &[usize]) -> Vec<&'t Column> {
    let writable: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| columns.contains(&column.at) && !column.generated)
        .collect();
    for column in &writable {
        builder.scalar(&column.scalar());
    }
    writable
}

fn answer(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let affected = FieldDefinition::new(required("Int")).described("number of rows affected by the mutation");
    let mut fields = IndexMap::from([("affected_rows".to_owned(), affected)]);
    if builder.may_select(at) {
        let returning = FieldDefinition::new(list(&table.field).required());
        fields.insert(
            "returning".to_owned(),
            returning.described("data from the rows affected by the mutation"),
        );
    }
    let about = format!("response of any mutation on the table \"{}\"", table.name);
    builder.object(format!("{}_mutation_response", table.field), about, fields);
}

/// Input fields for some columns, all of them optional.
fn inputs(columns: &[&Column]) -> IndexMap<String, InputDefinition> {
    let mut fields: IndexMap<String, InputDefinition> = columns
        .iter()
        .map(|column| {
            let about = column.comment.clone().unwrap_or_default();
            (
                column.field.clone(),
                InputDefinition::new(named(column.scalar())).described(about),
            )
        })
        .collect();
    fields.sort_keys();
    fields
}

fn insert_roots(builder: &mut Builder<'_>, at: usize, table: &Table, columns: Vec<&Column>, update: Option<&Update>) {
    let name = &table.field;
    let mut fields = inputs(&columns);
    if fields.is_empty() {
        // A row of defaults and presets: GraphQL has no empty input, so one optional placeholder stands for it.
        fields.insert("_".to_owned(), InputDefinition::new(named("Boolean")));
    }
    let about = format!("input type for inserting data into table \"{}\"", table.name);
    builder.input(format!("{name}_insert_input"), about, fields);
    let conflict = on_conflict(builder, table, update).then(|| named(format!("{name}_on_conflict")));
    let row = format!("{name}_insert_input");
    let with_conflict = |field: FieldDefinition| match &conflict {
        Some(ty) => field.argument("on_conflict", ty.clone(), "upsert condition"),
        None => field,
    };
    let many = FieldDefinition::new(named(format!("{name}_mutation_response")))
        .described(format!("insert data into the table: \"{}\"", table.name))
        .argument("objects", list(&row).required(), "the rows to be inserted");
    let field = table.root_field("insert", format!("insert_{name}"));
    builder.mutation(
        field,
        Root {
            verb: Verb::Insert,
            table: at,
        },
        with_conflict(many),
    );
    if builder.may_select(at) {
        let one = FieldDefinition::new(named(name))
            .described(format!("insert a single row into the table: \"{}\"", table.name))
            .argument("object", required(&row), "the row to be inserted");
        let field = table.root_field("insert_one", format!("insert_{name}_one"));
        builder.mutation(
            field,
            Root {
                verb: Verb::InsertOne,
                table: at,
            },
            with_conflict(one),
        );
    }
}

fn on_conflict(builder: &mut Builder<'_>, table: &Table, update: Option<&Update>) -> bool {
    let Some(update) = update.filter(|_| !table.constraints.is_empty()) else {
        return false;
    };
    let name = &table.field;
    let unique = |columns: &[String]| {
        let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        format!("unique or primary key constraint on columns {}", names.join(", "))
    };
    let constraints = table
        .constraints
        .iter()
        .map(|(name, columns)| (name.clone(), unique(columns)))
        .collect();
    let about = format!("unique or primary key constraints on table \"{}\"", table.name);
    builder.enumeration(format!("{name}_constraint"), about, constraints);
    let columns = writable(builder, table, &update.columns);
    let mut values: Vec<(String, String)> = columns
        .iter()
        .map(|column| (column.field.clone(), "column name".to_owned()))
        .collect();
    if values.is_empty() {
        values.push(("_PLACEHOLDER".to_owned(), "placeholder (do not use)".to_owned()));
    }
    let about = format!("update columns of table \"{}\"", table.name);
    builder.enumeration(format!("{name}_update_column"), about, values);
    let mut update_columns = InputDefinition::new(list(format!("{name}_update_column")).required());
    update_columns.default = Some("[]");
    let mut fields = IndexMap::from([
        (
            "constraint".to_owned(),
            InputDefinition::new(required(format!("{name}_constraint"))),
        ),
        ("update_columns".to_owned(), update_columns),
    ]);
    if builder.schema.types.contains_key(&format!("{name}_bool_exp")) {
        fields.insert(
            "where".to_owned(),
            InputDefinition::new(named(format!("{name}_bool_exp"))),
        );
    }
    let about = format!("on_conflict condition type for table \"{}\"", table.name);
    builder.input(format!("{name}_on_conflict"), about, fields)
}

/// Operators of `update`, with the columns they take and the type of their value.
fn operators(
    columns: &[&Column],
    name: &str,
) -> Vec<(&'static str, String, IndexMap<String, InputDefinition>, String)> {
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
    vec![
        (
            "_append",
            "append".to_owned(),
            typed(json.clone(), named("jsonb")),
            "append existing jsonb value of filtered columns with new jsonb value".to_owned(),
        ),
        (
            "_delete_at_path",
            "delete_at_path".to_owned(),
            typed(json.clone(), list("String")),
            "delete the field or element with specified path (for JSON arrays, negative integers count from the end)"
                .to_owned(),
        ),
        (
            "_delete_elem",
            "delete_elem".to_owned(),
            typed(json.clone(), named("Int")),
            "delete the array element with specified index (negative integers count from the end). throws an error \
             if top level container is not an array"
                .to_owned(),
        ),
        (
            "_delete_key",
            "delete_key".to_owned(),
            typed(json.clone(), named("String")),
            "delete key/value pair or string element. key/value pairs are matched based on their key value".to_owned(),
        ),
        (
            "_inc",
            "inc".to_owned(),
            inputs(&of(&Column::is_numeric)),
            format!("input type for incrementing numeric columns in table \"{name}\""),
        ),
        (
            "_prepend",
            "prepend".to_owned(),
            typed(json, named("jsonb")),
            "prepend existing jsonb value of filtered columns with new jsonb value".to_owned(),
        ),
        (
            "_set",
            "set".to_owned(),
            inputs(columns),
            format!("input type for updating data in table \"{name}\""),
        ),
    ]
}

fn update_roots(builder: &mut Builder<'_>, at: usize, table: &Table, update: &Update) {
    let name = &table.field;
    let columns = writable(builder, table, &update.columns);
    let mut arguments = Vec::new();
    for (operator, suffix, fields, about) in operators(&columns, &table.name) {
        let ty = format!("{name}_{suffix}_input");
        if builder.input(ty.clone(), about.clone(), fields) {
            let about = if operator == "_set" {
                "sets the columns of the filtered rows to the given values"
            } else {
                &about
            };
            arguments.push((operator, named(ty), about.to_owned()));
        }
    }
    if arguments.is_empty() {
        return;
    }
    let with = |mut field: FieldDefinition| {
        for (operator, ty, about) in &arguments {
            field = field.argument(operator, ty.clone(), about);
        }
        field
    };
    let filter = required(format!("{name}_bool_exp"));
    let response = named(format!("{name}_mutation_response"));
    if !builder.may_select(at) {
        // Without a select permission there is no boolean expression to name rows by.
        return;
    }
    let many = with(FieldDefinition::new(response.clone()))
        .described(format!("update data of the table: \"{}\"", table.name))
        .argument("where", filter.clone(), "filter the rows which have to be updated");
    let field = table.root_field("update", format!("update_{name}"));
    builder.mutation(
        field,
        Root {
            verb: Verb::Update,
            table: at,
        },
        many,
    );
    let mut one: IndexMap<String, InputDefinition> = arguments
        .iter()
        .map(|(operator, ty, about)| {
            (
                (*operator).to_owned(),
                InputDefinition::new(ty.clone()).described(about),
            )
        })
        .collect();
    one.insert(
        "where".to_owned(),
        InputDefinition::new(filter).described("filter the rows which have to be updated"),
    );
    builder.input(format!("{name}_updates"), String::new(), one);
    let batch = FieldDefinition::new(TypeRef::list(response))
        .described(format!("update multiples rows of table: \"{}\"", table.name))
        .argument(
            "updates",
            list(format!("{name}_updates")).required(),
            "updates to execute, in order",
        );
    let field = table.root_field("update_many", format!("update_{name}_many"));
    builder.mutation(
        field,
        Root {
            verb: Verb::UpdateMany,
            table: at,
        },
        batch,
    );
    if has_key(builder, at, table) {
        let key = key_arguments(FieldDefinition::new(named(name)), table).arguments;
        builder.input(
            format!("{name}_pk_columns_input"),
            format!("primary key columns input for table: {name}"),
            key,
        );
        let one = with(FieldDefinition::new(named(name)))
            .described(format!("update single row of the table: \"{}\"", table.name))
            .argument("pk_columns", required(format!("{name}_pk_columns_input")), "");
        let field = table.root_field("update_by_pk", format!("update_{name}_by_pk"));
        builder.mutation(
            field,
            Root {
                verb: Verb::UpdateByPrimaryKey,
                table: at,
            },
            one,
        );
    }
}

fn has_key(builder: &Builder<'_>, at: usize, table: &Table) -> bool {
    let select = builder.schema.permissions[at].select.as_ref();
    !table.primary_key.is_empty()
        && select.is_some_and(|select| table.primary_key.iter().all(|column| select.columns.contains(column)))
}

fn delete_roots(builder: &mut Builder<'_>, at: usize, table: &Table) {
    if !builder.may_select(at) {
        return;
    }
    let name = &table.field;
    let many = FieldDefinition::new(named(format!("{name}_mutation_response")))
        .described(format!("delete data from the table: \"{}\"", table.name))
        .argument(
            "where",
            required(format!("{name}_bool_exp")),
            "filter the rows which have to be deleted",
        );
    let field = table.root_field("delete", format!("delete_{name}"));
    builder.mutation(
        field,
        Root {
            verb: Verb::Delete,
            table: at,
        },
        many,
    );
    if has_key(builder, at, table) {
        let one = key_arguments(FieldDefinition::new(named(name)), table)
            .described(format!("delete single row from the table: \"{}\"", table.name));
        let field = table.root_field("delete_by_pk", format!("delete_{name}_by_pk"));
        builder.mutation(
            field,
            Root {
                verb: Verb::DeleteByPrimaryKey,
                table: at,
            },
            one,
        );
    }
}
