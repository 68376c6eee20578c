//! Input types of a table: boolean expressions, orderings and column enumerations.

use super::comparison::comparison;
use super::role::Builder;
use super::types::{FieldDefinition, InputDefinition, list, named, own, required};
use crate::model::{Column, Computed, Naming, Relationship, Returns, Table};
use crate::syntax::TypeRef;
use indexmap::IndexMap;

impl Builder<'_> {
    /// The type of a column's values, defined.
    pub fn column_type(&mut self, column: &Column) -> TypeRef {
        let scalar = column.scalar();
        match &column.values {
            Some((name, values)) if !self.has(name) => {
                let shown = values
                    .iter()
                    .map(|value| (value.name.clone(), value.comment.clone().unwrap_or_default()));
                self.enumeration(name.clone(), String::new(), shown.collect());
            }
            Some(_) => {}
            None => self.scalar(&scalar),
        }
        match column.array {
            true => list(scalar),
            false => named(scalar),
        }
    }
}

pub fn add(builder: &mut Builder<'_>, at: usize, table: &Table) {
    bool_exp(builder, at, table);
    order_by(builder, at, table);
    if builder.may_aggregate(at) {
        aggregate_bool_exp(builder, at, table);
    }
    let columns = selectable(builder, at, table);
    if columns.is_empty() {
        return;
    }
    let about = format!("select columns of table \"{}\"", table.name);
    let values = columns
        .iter()
        .map(|column| (column.field.clone(), "column name".to_owned()));
    let values = values.collect();
    builder.enumeration(builder.ty(at, "select_column"), about, values);
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

/// Relationships to what the role may read.
pub fn reachable<'t>(builder: &Builder<'_>, table: &'t Table) -> Vec<&'t Relationship> {
    let relationships = table.relationships.values();
    relationships
        .filter(|relationship| builder.may_select(relationship.target))
        .collect()
}

/// Computed fields the role may read.
pub fn computed<'t>(builder: &Builder<'_>, at: usize, table: &'t Table) -> Vec<&'t Computed> {
    let may = |field: &&Computed| match field.returns {
        Returns::Scalar { .. } => builder.schema.may_compute(at, &field.name),
        Returns::Rows { table, .. } => builder.may_select(table),
    };
    table.computed.values().filter(may).collect()
}

/// As a column, for comparing and typing.
pub fn as_column(field: &Computed) -> Option<Column> {
    match &field.returns {
        Returns::Scalar { ty, array, sql_type } => Some(Column::typed(&field.name, ty, *array, sql_type)),
        Returns::Rows { .. } => None,
    }
}

fn bool_exp(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let name = builder.ty(at, "bool_exp");
    let naming = builder.naming(at);
    let mut fields = IndexMap::new();
    fields.insert("_and".to_owned(), InputDefinition::new(list(&name)));
    fields.insert("_not".to_owned(), InputDefinition::new(named(&name)));
    fields.insert("_or".to_owned(), InputDefinition::new(list(&name)));
    for column in selectable(builder, at, table) {
        let comparison = comparison(builder, naming, column);
        fields.insert(column.field.clone(), InputDefinition::new(named(comparison)));
    }
    for field in computed(builder, at, table)
        .into_iter()
        .filter(|field| field.given().next().is_none())
    {
        let ty = match (&field.returns, as_column(field)) {
            (Returns::Rows { table, .. }, _) => builder.ty(*table, "bool_exp"),
            (_, Some(column)) => comparison(builder, naming, &column),
            (_, None) => continue,
        };
        fields.insert(field.name.clone(), InputDefinition::new(named(ty)));
    }
    for relationship in reachable(builder, table) {
        let ty = named(builder.ty(relationship.target, "bool_exp"));
        fields.insert(relationship.name.clone(), InputDefinition::new(ty));
        if relationship.array && builder.may_aggregate(relationship.target) {
            let ty = named(builder.ty(relationship.target, "aggregate_bool_exp"));
            let (shown, definition) = aggregated(naming, &relationship.name, InputDefinition::new(ty));
            fields.insert(shown, definition);
        }
    }
    fields.sort_keys();
    let about = format!(
        "Boolean expression to filter rows from the table \"{}\". All fields are combined with a logical 'AND'.",
        table.name
    );
    builder.input(name, about, fields);
}

/// `articles_aggregate`, `articlesAggregate`
pub fn aggregated(naming: &Naming, field: &str, mut definition: InputDefinition) -> (String, InputDefinition) {
    let canonical = format!("{field}_aggregate");
    let shown = aggregated_name(naming, field);
    definition.canonical = (shown != canonical).then_some(canonical);
    (shown, definition)
}

pub fn aggregated_name(naming: &Naming, field: &str) -> String {
    match naming.camel {
        true => format!("{field}Aggregate"),
        false => format!("{field}_aggregate"),
    }
}

/// Conditions on the aggregates of a table's related rows.
fn aggregate_bool_exp(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let naming = builder.naming(at);
    let columns = selectable(builder, at, table);
    let predicate = |builder: &mut Builder<'_>, ty: &str| comparison(builder, naming, &Column::plain(ty));
    let mut fields = IndexMap::new();
    let mut count = IndexMap::new();
    if !columns.is_empty() {
        let ty = list(builder.ty(at, "select_column"));
        count.insert("arguments".to_owned(), InputDefinition::new(ty));
    }
    count.insert("distinct".to_owned(), InputDefinition::new(named("Boolean")));
    count.insert(
        "filter".to_owned(),
        InputDefinition::new(named(builder.ty(at, "bool_exp"))),
    );
    let compared = predicate(builder, "int4");
    count.insert("predicate".to_owned(), InputDefinition::new(required(compared)));
    let ty = builder.ty(at, "aggregate_bool_exp_count");
    builder.input(ty.clone(), String::new(), count);
    fields.insert("count".to_owned(), InputDefinition::new(named(ty)));
    let truths: Vec<&&Column> = columns.iter().filter(|column| column.is(&["bool"])).collect();
    for function in ["bool_and", "bool_or"] {
        if truths.is_empty() {
            break;
        }
        let arguments = format!(
            "select_column_{}_aggregate_bool_exp_{function}_arguments_columns",
            table.base_type
        );
        let arguments = builder.ty(at, &arguments);
        let values = truths
            .iter()
            .map(|column| (column.field.clone(), "column name".to_owned()));
        let about = format!(
            "select \"{}_aggregate_bool_exp_{function}_arguments_columns\" columns of table \"{}\"",
            table.base_type, table.name
        );
        builder.enumeration(arguments.clone(), about, values.collect());
        let compared = predicate(builder, "bool");
        let input = IndexMap::from([
            ("arguments".to_owned(), InputDefinition::new(required(arguments))),
            ("distinct".to_owned(), InputDefinition::new(named("Boolean"))),
            (
                "filter".to_owned(),
                InputDefinition::new(named(builder.ty(at, "bool_exp"))),
            ),
            ("predicate".to_owned(), InputDefinition::new(required(compared))),
        ]);
        let ty = builder.ty(at, &format!("aggregate_bool_exp_{function}"));
        builder.input(ty.clone(), String::new(), input);
        let (shown, definition) = own(naming, function, InputDefinition::new(named(ty)));
        fields.insert(shown, definition);
    }
    fields.sort_keys();
    builder.input(builder.ty(at, "aggregate_bool_exp"), String::new(), fields);
}

fn order_by(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let naming = builder.naming(at);
    let direction = direction(builder, naming);
    let mut fields = IndexMap::new();
    for column in selectable(builder, at, table) {
        fields.insert(column.field.clone(), InputDefinition::new(named(&direction)));
    }
    for field in computed(builder, at, table)
        .into_iter()
        .filter(|field| field.given().next().is_none())
    {
        match field.returns {
            Returns::Scalar { .. } => {
                fields.insert(field.name.clone(), InputDefinition::new(named(&direction)));
            }
            Returns::Rows { table, many: true } if builder.may_aggregate(table) => {
                let ty = named(builder.ty(table, "aggregate_order_by"));
                let (shown, definition) = aggregated(naming, &field.name, InputDefinition::new(ty));
                fields.insert(shown, definition);
            }
            Returns::Rows { .. } => {}
        }
    }
    for relationship in reachable(builder, table) {
        let target = relationship.target;
        if !relationship.array {
            let ty = named(builder.ty(target, "order_by"));
            fields.insert(relationship.name.clone(), InputDefinition::new(ty));
        } else if builder.may_aggregate(target) {
            let ty = named(builder.ty(target, "aggregate_order_by"));
            let (shown, definition) = aggregated(naming, &relationship.name, InputDefinition::new(ty));
            fields.insert(shown, definition);
        }
    }
    fields.sort_keys();
    let about = format!("Ordering options when selecting data from \"{}\".", table.name);
    builder.input(builder.ty(at, "order_by"), about, fields);
    if builder.may_aggregate(at) {
        aggregate_order_by(builder, at, table, &direction);
    }
}

/// The enumeration of directions, defined.
fn direction(builder: &mut Builder<'_>, naming: &Naming) -> String {
    let name = naming.type_name(&[&naming.base_type("order"), "by"]);
    let values = [
        ("asc", "in ascending order, nulls last"),
        ("asc_nulls_first", "in ascending order, nulls first"),
        ("asc_nulls_last", "in ascending order, nulls last"),
        ("desc", "in descending order, nulls first"),
        ("desc_nulls_first", "in descending order, nulls first"),
        ("desc_nulls_last", "in descending order, nulls last"),
    ];
    if !builder.has(&name) {
        let values = values.map(|(value, about)| (naming.enum_value(value), about.to_owned()));
        builder.enumeration(name.clone(), "column ordering options".to_owned(), values.to_vec());
    }
    name
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
        // Of money there is no deviation.
        column if column.is(&["money"]) => &["max", "min", "sum"],
        column if column.is_numeric() => NUMERIC,
        column if column.is_ordered() && !column.is(&["uuid"]) => &["max", "min"],
        // PostgreSQL has no min(uuid) before 18.
        _ => &[],
    }
}

fn aggregate_order_by(builder: &mut Builder<'_>, at: usize, table: &Table, direction: &str) {
    let naming = builder.naming(at);
    let mut by_function: IndexMap<String, IndexMap<String, InputDefinition>> = IndexMap::new();
    for column in selectable(builder, at, table) {
        for function in functions(column) {
            let columns = by_function.entry((*function).to_owned()).or_default();
            columns.insert(column.field.clone(), InputDefinition::new(named(direction)));
        }
    }
    let mut fields = IndexMap::from([("count".to_owned(), InputDefinition::new(named(direction)))]);
    for (function, columns) in by_function {
        let name = builder.ty(at, &format!("{function}_order_by"));
        let about = format!("order by {function}() on columns of table \"{}\"", table.name);
        builder.input(name.clone(), about, columns);
        let (shown, definition) = own(naming, &function, InputDefinition::new(named(name)));
        fields.insert(shown, definition);
    }
    fields.sort_keys();
    let about = format!("order by aggregate values of table \"{}\"", table.name);
    builder.input(builder.ty(at, "aggregate_order_by"), about, fields);
}

/// `where`, `order_by`, `limit`, `offset`, `distinct_on`, as every list of rows takes them.
pub fn list_arguments(
    builder: &Builder<'_>,
    mut field: FieldDefinition,
    at: usize,
    has_columns: bool,
) -> FieldDefinition {
    let naming = builder.naming(at);
    if has_columns {
        let distinct = list(builder.ty(at, "select_column"));
        field = field.own_argument(naming, "distinct_on", distinct, "distinct select on columns");
    }
    field = field
        .argument("limit", named("Int"), "limit the number of rows returned")
        .argument("offset", named("Int"), "skip the first n rows. Use only with order_by");
    if has_columns || is_orderable(builder, at) {
        let order = list(builder.ty(at, "order_by"));
        field = field.own_argument(naming, "order_by", order, "sort the rows by one or more columns");
    }
    if let Some(limit) = field.arguments.get_mut("limit") {
        limit.strict = true;
    }
    field.argument("where", named(builder.ty(at, "bool_exp")), "filter the rows returned")
}

/// Without a column of its own: by what it is related to, or what is computed of it.
fn is_orderable(builder: &Builder<'_>, at: usize) -> bool {
    let table = &builder.model.tables[at];
    let related = reachable(builder, table);
    let mut related = related
        .iter()
        .map(|relationship| !relationship.array || builder.may_aggregate(relationship.target));
    let computed = computed(builder, at, table);
    let mut computed = computed
        .iter()
        .map(|field| field.scalar().is_some() && field.given().next().is_none());
    related.any(|orderable| orderable) || computed.any(|orderable| orderable)
}

/// One required argument per primary key column.
pub fn key_arguments(builder: &mut Builder<'_>, mut field: FieldDefinition, table: &Table) -> FieldDefinition {
    for column in table.primary_key.iter().map(|at| &table.columns[*at]) {
        let ty = builder.column_type(column).required();
        field = field.argument(&column.field, ty, column.comment.as_deref().unwrap_or_default());
    }
    field
}
