//! Input types of a table: boolean expressions, comparisons, orderings and column enumerations.

use super::role::Builder;
use super::types::{InputDefinition, list, named, required};
use crate::model::{Column, Table};
use crate::syntax::TypeRef;
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize, table: &Table) {
    bool_exp(builder, at, table);
    order_by(builder, at, table);
    let columns = selectable(builder, at, table);
    if columns.is_empty() {
        return;
    }
    let about = format!("select columns of table \"{}\"", table.name);
    let values = columns
        .iter()
        .map(|column| (column.field.clone(), "column name".to_owned()))
        .collect();
    builder.enumeration(format!("{}_select_column", table.field), about, values);
}

pub fn selectable<'t>(builder: &Builder<'_>, at: usize, table: &'t Table) -> Vec<&'t Column> {
    let Some(select) = &builder.schema.permissions[at].select else {
        return Vec::new();
    };
    table
        .columns
        .iter()
        .filter(|column| select.columns.contains(&column.at))
        .collect()
}

fn bool_exp(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let name = format!("{}_bool_exp", table.field);
    let mut fields = IndexMap::new();
    fields.insert("_and".to_owned(), InputDefinition::new(list(&name)));
    fields.insert("_not".to_owned(), InputDefinition::new(named(&name)));
    fields.insert("_or".to_owned(), InputDefinition::new(list(&name)));
    for column in selectable(builder, at, table) {
        let comparison = comparison(builder, column);
        fields.insert(column.field.clone(), InputDefinition::new(named(comparison)));
    }
    for relationship in table
        .relationships
        .values()
        .filter(|relationship| builder.may_select(relationship.target))
    {
        let target = &builder.model.tables[relationship.target].field;
        fields.insert(
            relationship.name.clone(),
            InputDefinition::new(named(format!("{target}_bool_exp"))),
        );
    }
    fields.sort_keys();
    let about = format!(
        "Boolean expression to filter rows from the table \"{}\". All fields are combined with a logical 'AND'.",
        table.name
    );
    builder.input(name, about, fields);
}

/// Defines the comparison type of a column's type and returns its name.
fn comparison(builder: &mut Builder<'_>, column: &Column) -> String {
    let scalar = column.scalar();
    builder.scalar(&scalar);
    let name = match (column.array, scalar.trim_start_matches('_')) {
        (true, element) => format!("{}_array_comparison_exp", crate::model::scalar_of(element)),
        (false, scalar) => format!("{scalar}_comparison_exp"),
    };
    let mut fields = IndexMap::new();
    let mut add = |operator: &str, ty: TypeRef, about: &str| {
        fields.insert(operator.to_owned(), InputDefinition::new(ty).described(about));
    };
    for operator in ["_eq", "_gt", "_gte", "_lt", "_lte", "_neq"] {
        add(operator, named(&scalar), "");
    }
    add("_in", list(&scalar), "");
    add("_nin", list(&scalar), "");
    add("_is_null", named("Boolean"), "");
    if column.is_text() {
        for (operator, about) in TEXT_OPERATORS {
            add(operator, named(&scalar), about);
        }
    }
    if column.is(&["jsonb"]) {
        add(
            "_contained_in",
            named("jsonb"),
            "is the column contained in the given json value",
        );
        add(
            "_contains",
            named("jsonb"),
            "does the column contain the given json value at the top level",
        );
        add(
            "_has_key",
            named("String"),
            "does the string exist as a top-level key in the column",
        );
        add(
            "_has_keys_all",
            list("String"),
            "do all of these strings exist as top-level keys in the column",
        );
        add(
            "_has_keys_any",
            list("String"),
            "do any of these strings exist as top-level keys in the column",
        );
    }
    if column.array {
        add(
            "_contained_in",
            named(&scalar),
            "is the array contained in the given array value",
        );
        add("_contains", named(&scalar), "does the array contain the given value");
    }
    fields.sort_keys();
    let about = format!(
        "Boolean expression to compare columns of type \"{scalar}\". All fields are combined with logical 'AND'."
    );
    builder.input(name.clone(), about, fields);
    name
}

const TEXT_OPERATORS: [(&str, &str); 10] = [
    ("_like", "does the column match the given pattern"),
    ("_nlike", "does the column NOT match the given pattern"),
    ("_ilike", "does the column match the given case-insensitive pattern"),
    (
        "_nilike",
        "does the column NOT match the given case-insensitive pattern",
    ),
    ("_similar", "does the column match the given SQL regular expression"),
    (
        "_nsimilar",
        "does the column NOT match the given SQL regular expression",
    ),
    (
        "_regex",
        "does the column match the given POSIX regular expression, case sensitive",
    ),
    (
        "_nregex",
        "does the column NOT match the given POSIX regular expression, case sensitive",
    ),
    (
        "_iregex",
        "does the column match the given POSIX regular expression, case insensitive",
    ),
    (
        "_niregex",
        "does the column NOT match the given POSIX regular expression, case insensitive",
    ),
];

fn order_by(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let directions = [
        ("asc", "in ascending order, nulls last"),
        ("asc_nulls_first", "in ascending order, nulls first"),
        ("asc_nulls_last", "in ascending order, nulls last"),
        ("desc", "in descending order, nulls first"),
        ("desc_nulls_first", "in descending order, nulls first"),
        ("desc_nulls_last", "in descending order, nulls last"),
    ];
    let values = directions
        .map(|(name, about)| (name.to_owned(), about.to_owned()))
        .to_vec();
    builder.enumeration("order_by".to_owned(), "column ordering options".to_owned(), values);
    let mut fields = IndexMap::new();
    for column in selectable(builder, at, table) {
        fields.insert(column.field.clone(), InputDefinition::new(named("order_by")));
    }
    for relationship in table
        .relationships
        .values()
        .filter(|relationship| builder.may_select(relationship.target))
    {
        let target = &builder.model.tables[relationship.target].field;
        if !relationship.array {
            fields.insert(
                relationship.name.clone(),
                InputDefinition::new(named(format!("{target}_order_by"))),
            );
        } else if builder.may_aggregate(relationship.target) {
            let ty = named(format!("{target}_aggregate_order_by"));
            fields.insert(format!("{}_aggregate", relationship.name), InputDefinition::new(ty));
        }
    }
    fields.sort_keys();
    let about = format!("Ordering options when selecting data from \"{}\".", table.name);
    builder.input(format!("{}_order_by", table.field), about, fields);
    if builder.may_aggregate(at) {
        aggregate_order_by(builder, at, table);
    }
}

/// The aggregate functions that exist for a column.
pub fn functions(column: &Column) -> &'static [&'static str] {
    const NUMERIC: &[&str] = &[
        "avg",
        "max",
        "min",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "sum",
        "var_pop",
        "var_samp",
        "variance",
    ];
    match column {
        column if column.is_numeric() => NUMERIC,
        column if column.is_ordered() && !column.is(&["uuid"]) => &["max", "min"],
        // PostgreSQL has no min(uuid) before 18.
        _ => &[],
    }
}

fn aggregate_order_by(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let mut by_function: IndexMap<String, IndexMap<String, InputDefinition>> = IndexMap::new();
    for column in selectable(builder, at, table) {
        for function in functions(column) {
            let columns = by_function.entry((*function).to_owned()).or_default();
            columns.insert(column.field.clone(), InputDefinition::new(named("order_by")));
        }
    }
    let mut fields = IndexMap::from([("count".to_owned(), InputDefinition::new(named("order_by")))]);
    for (function, columns) in by_function {
        let name = format!("{}_{function}_order_by", table.field);
        let about = format!("order by {function}() on columns of table \"{}\"", table.name);
        builder.input(name.clone(), about, columns);
        fields.insert(function, InputDefinition::new(named(name)));
    }
    fields.sort_keys();
    let about = format!("order by aggregate values of table \"{}\"", table.name);
    builder.input(format!("{}_aggregate_order_by", table.field), about, fields);
}

/// `where`, `order_by`, `limit`, `offset`, `distinct_on`, as every list of rows takes them.
pub fn list_arguments(
    mut field: super::types::FieldDefinition,
    table: &Table,
    has_columns: bool,
) -> super::types::FieldDefinition {
    let name = &table.field;
    if has_columns {
        let distinct = list(format!("{name}_select_column"));
        field = field.argument("distinct_on", distinct, "distinct select on columns");
    }
    field = field
        .argument("limit", named("Int"), "limit the number of rows returned")
        .argument("offset", named("Int"), "skip the first n rows. Use only with order_by");
    if has_columns {
        field = field.argument(
            "order_by",
            list(format!("{name}_order_by")),
            "sort the rows by one or more columns",
        );
    }
    field.argument("where", named(format!("{name}_bool_exp")), "filter the rows returned")
}

/// One required argument per primary key column.
pub fn key_arguments(mut field: super::types::FieldDefinition, table: &Table) -> super::types::FieldDefinition {
    for column in table.primary_key.iter().map(|at| &table.columns[*at]) {
        field = field.argument(
            &column.field,
            required(column.scalar()),
            column.comment.as_deref().unwrap_or_default(),
        );
    }
    field
}
