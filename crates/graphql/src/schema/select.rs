//! Output types of a table and the query roots that return them.

use super::inputs::{
    aggregated_name, as_column, computed, functions, key_arguments, list_arguments, reachable, selectable,
};
use super::relay;
use super::role::{Builder, Operation, Root, Verb};
use super::types::{FieldDefinition, InputDefinition, list, named, required};
use crate::model::{Argument, Column, Computed, Returns, Select, Table};
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let has_columns = !selectable(builder, at, table).is_empty();
    if !row(builder, at, table) {
        return;
    }
    if table.logical {
        return;
    }
    let naming = builder.naming(at);
    let about = format!("fetch data from the table: \"{}\"", table.name);
    if builder.relay {
        if builder.may_aggregate(at) {
            aggregate_types(builder, at, table);
        }
        if builder.schema.node_of(at).is_some() {
            relay::connection_types(builder, at, table);
            let field = relay::connection(builder, at).described(about);
            let name = naming.root_field(None, &[&table.field, "connection"]);
            readable(builder, at, Verb::Connection, name, field);
        }
        return;
    }
    let many = FieldDefinition::new(list(builder.ty(at, "")).required());
    let many = list_arguments(builder, many, at, has_columns);
    let name = naming.root_field(table.custom_root("select"), &[&table.field]);
    readable(
        builder,
        at,
        Verb::Select,
        name,
        described(table, "select", many, about.clone()),
    );
    if has_key(builder, at, table) {
        let one = key_arguments(builder, FieldDefinition::new(named(builder.ty(at, ""))), table);
        let about = format!("{about} using primary key columns");
        let name = naming.root_field(table.custom_root("select_by_pk"), &[&table.field, "by_pk"]);
        readable(
            builder,
            at,
            Verb::ByPrimaryKey,
            name,
            described(table, "select_by_pk", one, about),
        );
    }
    if builder.may_aggregate(at) {
        aggregate_types(builder, at, table);
        let aggregate = FieldDefinition::new(required(builder.ty(at, "aggregate")));
        let aggregate = list_arguments(builder, aggregate, at, has_columns);
        let about = format!("fetch aggregated fields from the table: \"{}\"", table.name);
        let name = naming.root_field(table.custom_root("select_aggregate"), &[&table.field, "aggregate"]);
        readable(
            builder,
            at,
            Verb::Aggregate,
            name,
            described(table, "select_aggregate", aggregate, about),
        );
    }
}

/// The operator's words, else ours.
pub fn described(table: &Table, kind: &str, field: FieldDefinition, ours: String) -> FieldDefinition {
    match table.custom_comment(kind) {
        Some(theirs) => field.described(theirs),
        None => field.described(ours),
    }
}

/// In queries and subscriptions, where the role is shown this kind of root.
fn readable(builder: &mut Builder<'_>, at: usize, verb: Verb, name: String, field: FieldDefinition) {
    let kind = match verb {
        Verb::ByPrimaryKey => "select_by_pk",
        Verb::Aggregate => "select_aggregate",
        _ => "select",
    };
    let root = Root { verb, table: at };
    let shown = |listed: &dyn Fn(&Select) -> Option<Vec<String>>| {
        let select = builder.schema.permissions[at].select.as_ref();
        select
            .and_then(listed)
            .is_none_or(|listed| listed.iter().any(|one| one == kind))
    };
    let (query, subscription) = (
        shown(&|one| one.query_roots.clone()),
        shown(&|one| one.subscription_roots.clone()),
    );
    if query {
        builder.root(Operation::Query, name.clone(), root, field.clone());
    }
    if subscription {
        builder.root(Operation::Subscription, name, root, field);
    }
}

pub fn has_key(builder: &Builder<'_>, at: usize, table: &Table) -> bool {
    let select = builder.schema.permissions[at].select.as_ref();
    !table.primary_key.is_empty()
        && select.is_some_and(|select| table.primary_key.iter().all(|column| select.columns.contains(column)))
}

fn row(builder: &mut Builder<'_>, at: usize, table: &Table) -> bool {
    let naming = builder.naming(at);
    let mut fields = IndexMap::new();
    for column in selectable(builder, at, table) {
        let cells = builder.schema.permissions[at].select.as_ref();
        let everywhere =
            cells.is_none_or(|select| select.shown_where(&crate::model::Cell::Column(column.at)).is_none());
        let field = column_field(builder, column, everywhere);
        fields.insert(column.field.clone(), field);
    }
    for relationship in reachable(builder, table) {
        let target = relationship.target;
        let has_columns = !selectable(builder, target, &builder.model.tables[target]).is_empty();
        if !relationship.array {
            // Behind a row filter even a row that must exist may be invisible.
            let ty = named(builder.ty(target, "")).with_non_null(!relationship.nullable);
            let field = FieldDefinition::new(ty).described("An object relationship");
            fields.insert(relationship.name.clone(), field);
            continue;
        }
        let many = FieldDefinition::new(list(builder.ty(target, "")).required()).described("An array relationship");
        fields.insert(
            relationship.name.clone(),
            list_arguments(builder, many, target, has_columns),
        );
        if builder.may_aggregate(target) {
            let aggregate = FieldDefinition::new(required(builder.ty(target, "aggregate")));
            let aggregate =
                list_arguments(builder, aggregate, target, has_columns).described("An aggregate relationship");
            fields.insert(aggregated_name(naming, &relationship.name), aggregate);
        }
    }
    for field in computed(builder, at, table) {
        let definition = computed_field(builder, at, field);
        fields.insert(field.name.clone(), definition);
    }
    relay::row_fields(builder, at, table, &mut fields);
    fields.sort_keys();
    let about = match &table.comment {
        Some(comment) => comment.clone(),
        None => format!("columns and relationships of \"{}\"", table.name),
    };
    builder.object(builder.ty(at, ""), about, fields)
}

fn column_field(builder: &mut Builder<'_>, column: &Column, everywhere: bool) -> FieldDefinition {
    let ty = builder
        .column_type(column)
        .with_non_null(!column.nullable && everywhere);
    let mut field = FieldDefinition::new(ty).described(column.comment.clone().unwrap_or_default());
    if column.is_json() {
        field = field.argument("path", named("String"), "JSON select path");
    }
    field
}

fn computed_field(builder: &mut Builder<'_>, at: usize, field: &Computed) -> FieldDefinition {
    let mut definition = match &field.returns {
        Returns::Scalar { .. } => {
            let ty = as_column(field).map(|column| builder.column_type(&column));
            let mut definition = FieldDefinition::new(ty.unwrap_or_else(|| named("String")));
            if matches!(field.scalar(), Some("json" | "jsonb")) {
                definition = definition.argument("path", named("String"), "JSON select path");
            }
            definition
        }
        Returns::Rows { table, many } => {
            let has_columns = !selectable(builder, *table, &builder.model.tables[*table]).is_empty();
            match many {
                true => {
                    let rows = FieldDefinition::new(list(builder.ty(*table, "")));
                    list_arguments(builder, rows, *table, has_columns)
                }
                false => FieldDefinition::new(named(builder.ty(*table, ""))),
            }
        }
    };
    let about = field
        .comment
        .clone()
        .unwrap_or_else(|| format!("A computed field, executes function \"{}\"", field.function));
    definition = definition.described(about);
    let given: Vec<Argument> = field.given().cloned().collect();
    if given.is_empty() {
        return definition;
    }
    let naming = builder.naming(at);
    let base = naming.base_type(&field.name);
    let table = builder.model.tables[at].base_type.clone();
    let ty = naming.type_name(&[&base, &table, "args"]);
    let needed = given.iter().any(|argument| !argument.has_default);
    arguments(
        builder,
        &ty,
        &given,
        &format!(
            "input parameters for computed field \"{}\" defined on table \"{table}\"",
            field.name
        ),
    );
    let arguments = if needed { required(ty) } else { named(ty) };
    let about = format!(
        "input parameters for computed field \"{}\" defined on table \"{table}\"",
        field.name
    );
    definition
        .arguments
        .insert("args".to_owned(), InputDefinition::new(arguments).described(about));
    definition
}

/// A function's arguments as an input type.
pub fn arguments(builder: &mut Builder<'_>, ty: &str, given: &[Argument], about: &str) {
    let mut fields = IndexMap::new();
    for argument in given {
        let column = Column::typed(&argument.field, &argument.ty, argument.array, &argument.sql_type);
        let value = builder.column_type(&column);
        fields.insert(argument.field.clone(), InputDefinition::new(value));
    }
    builder.input(ty.to_owned(), about.to_owned(), fields);
}

fn aggregate_types(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let naming = builder.naming(at);
    let mut count = FieldDefinition::new(required("Int"));
    let columns = selectable(builder, at, table);
    if !columns.is_empty() {
        count = count.argument("columns", list(builder.ty(at, "select_column")), "");
    }
    count = count.argument("distinct", named("Boolean"), "");
    let mut fields = IndexMap::from([("count".to_owned(), count)]);
    let mut by_function: IndexMap<&str, IndexMap<String, FieldDefinition>> = IndexMap::new();
    let scalars: Vec<Column> = computed(builder, at, table)
        .into_iter()
        .filter(|field| field.given().next().is_none())
        .filter_map(as_column)
        .collect();
    for column in columns.into_iter().chain(&scalars) {
        for function in functions(column) {
            let ty = match *function {
                "max" | "min" | "sum" => column.scalar(),
                _ => "Float".to_owned(),
            };
            builder.scalar(&ty);
            let field = FieldDefinition::new(named(ty)).described(column.comment.clone().unwrap_or_default());
            by_function
                .entry(function)
                .or_default()
                .insert(column.field.clone(), field);
        }
    }
    for (function, columns) in by_function {
        let ty = builder.ty(at, &format!("{function}_fields"));
        builder.object(ty.clone(), format!("aggregate {function} on columns"), columns);
        fields.insert(naming.field(function), FieldDefinition::new(named(ty)));
    }
    fields.sort_keys();
    let about = format!("aggregate fields of \"{}\"", table.name);
    builder.object(builder.ty(at, "aggregate_fields"), about, fields);
    let aggregate = FieldDefinition::new(named(builder.ty(at, "aggregate_fields")));
    let nodes = FieldDefinition::new(list(builder.ty(at, "")).required());
    let whole = IndexMap::from([("aggregate".to_owned(), aggregate), ("nodes".to_owned(), nodes)]);
    builder.object(
        builder.ty(at, "aggregate"),
        format!("aggregated selection of \"{}\"", table.name),
        whole,
    );
}
