//! Output types of a table and the query roots that return them.

use super::inputs::{functions, key_arguments, list_arguments, selectable};
use super::role::{Builder, Root, Verb};
use super::types::{FieldDefinition, list, named, required};
use crate::model::{Column, Table};
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let has_columns = !selectable(builder, at, table).is_empty();
    if !row(builder, at, table) {
        return;
    }
    let name = &table.field;
    let many = FieldDefinition::new(list(name).required());
    let many =
        list_arguments(many, table, has_columns).described(format!("fetch data from the table: \"{}\"", table.name));
    builder.query(
        table.root_field("select", name.clone()),
        Root {
            verb: Verb::Select,
            table: at,
        },
        many,
    );
    let select = builder.schema.permissions[at].select.clone();
    let keyed = |select: &crate::model::Select| {
        !table.primary_key.is_empty() && table.primary_key.iter().all(|column| select.columns.contains(column))
    };
    if select.as_ref().is_some_and(keyed) {
        for column in &table.primary_key {
            builder.scalar(&table.columns[*column].scalar());
        }
        let one = key_arguments(FieldDefinition::new(named(name)), table).described(format!(
            "fetch data from the table: \"{}\" using primary key columns",
            table.name
        ));
        let field = table.root_field("select_by_pk", format!("{name}_by_pk"));
        builder.query(
            field,
            Root {
                verb: Verb::ByPrimaryKey,
                table: at,
            },
            one,
        );
    }
    if builder.may_aggregate(at) {
        aggregate_types(builder, at, table);
        let aggregate = FieldDefinition::new(required(format!("{name}_aggregate")));
        let aggregate = list_arguments(aggregate, table, has_columns)
            .described(format!("fetch aggregated fields from the table: \"{}\"", table.name));
        let field = table.root_field("select_aggregate", format!("{name}_aggregate"));
        builder.query(
            field,
            Root {
                verb: Verb::Aggregate,
                table: at,
            },
            aggregate,
        );
    }
}

fn row(builder: &mut Builder<'_>, at: usize, table: &Table) -> bool {
    let mut fields = IndexMap::new();
    for column in selectable(builder, at, table) {
        builder.scalar(&column.scalar());
        fields.insert(column.field.clone(), column_field(column));
    }
    for relationship in table
        .relationships
        .values()
        .filter(|relationship| builder.may_select(relationship.target))
    {
        let target = &builder.model.tables[relationship.target];
        let has_columns = !selectable(builder, relationship.target, target).is_empty();
        if !relationship.array {
            // Behind a row filter even a row that must exist may be invisible.
            let ty = named(&target.field).with_non_null(!relationship.nullable);
            let field = FieldDefinition::new(ty).described("An object relationship");
            fields.insert(relationship.name.clone(), field);
            continue;
        }
        let many = FieldDefinition::new(list(&target.field).required()).described("An array relationship");
        fields.insert(relationship.name.clone(), list_arguments(many, target, has_columns));
        if builder.may_aggregate(relationship.target) {
            let aggregate = FieldDefinition::new(required(format!("{}_aggregate", target.field)));
            let aggregate = list_arguments(aggregate, target, has_columns).described("An aggregate relationship");
            fields.insert(format!("{}_aggregate", relationship.name), aggregate);
        }
    }
    fields.sort_keys();
    let about = table
        .comment
        .clone()
        .unwrap_or_else(|| format!("columns and relationships of \"{}\"", table.name));
    builder.object(table.field.clone(), about, fields)
}

fn column_field(column: &Column) -> FieldDefinition {
    let mut field = FieldDefinition::new(named(column.scalar()).with_non_null(!column.nullable));
    field.description.clone_from(&column.comment);
    if column.is_json() {
        field = field.argument("path", named("String"), "JSON select path");
    }
    field
}

fn aggregate_types(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let name = &table.field;
    let mut count = FieldDefinition::new(required("Int"));
    let columns = selectable(builder, at, table);
    if !columns.is_empty() {
        count = count.argument("columns", list(format!("{name}_select_column")), "");
    }
    count = count.argument("distinct", named("Boolean"), "");
    let mut fields = IndexMap::from([("count".to_owned(), count)]);
    let mut by_function: IndexMap<&str, IndexMap<String, FieldDefinition>> = IndexMap::new();
    for column in columns {
        for function in functions(column) {
            let ty = match *function {
                "max" | "min" | "sum" => column.scalar(),
                _ => "Float".to_owned(),
            };
            builder.scalar(&ty);
            let mut field = FieldDefinition::new(named(ty));
            field.description.clone_from(&column.comment);
            by_function
                .entry(function)
                .or_default()
                .insert(column.field.clone(), field);
        }
    }
    for (function, columns) in by_function {
        let ty = format!("{name}_{function}_fields");
        builder.object(ty.clone(), format!("aggregate {function} on columns"), columns);
        fields.insert(function.to_owned(), FieldDefinition::new(named(ty)));
    }
    fields.sort_keys();
    let about = format!("aggregate fields of \"{}\"", table.name);
    builder.object(format!("{name}_aggregate_fields"), about, fields);
    let whole = IndexMap::from([
        (
            "aggregate".to_owned(),
            FieldDefinition::new(named(format!("{name}_aggregate_fields"))),
        ),
        ("nodes".to_owned(), FieldDefinition::new(list(name).required())),
    ]);
    builder.object(
        format!("{name}_aggregate"),
        format!("aggregated selection of \"{}\"", table.name),
        whole,
    );
}
