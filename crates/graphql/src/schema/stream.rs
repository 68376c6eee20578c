//! `…_stream`: the subscription root that hands rows out in the order of a cursor.

use super::inputs::selectable;
use super::role::{Builder, Operation, Root, Verb};
use super::types::{FieldDefinition, InputDefinition, named, own, required};
use crate::model::Table;
use crate::syntax::TypeRef;
use indexmap::IndexMap;

pub fn add(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let columns = selectable(builder, at, table);
    let shown = builder.schema.permissions[at]
        .select
        .as_ref()
        .and_then(|select| select.subscription_roots.clone());
    if columns.is_empty() || shown.is_some_and(|shown| !shown.iter().any(|one| one == "select_stream")) {
        return;
    }
    let naming = builder.naming(at);
    let ordering = naming.type_name(&[&naming.base_type("cursor"), "ordering"]);
    if !builder.has(&ordering) {
        let values = ["ASC", "DESC"].map(|value| {
            let about = if value == "ASC" { "ascending" } else { "descending" };
            (value.to_owned(), format!("{about} ordering of the cursor"))
        });
        builder.enumeration(
            ordering.clone(),
            "ordering argument of a cursor".to_owned(),
            values.to_vec(),
        );
    }
    let mut values = IndexMap::new();
    for column in columns {
        let ty = builder.column_type(column);
        let definition = InputDefinition::new(ty).described(column.comment.clone().unwrap_or_default());
        values.insert(column.field.clone(), definition);
    }
    values.sort_keys();
    let value = builder.ty(at, "stream_cursor_value_input");
    builder.input(
        value.clone(),
        "Initial value of the column from where the streaming should start".to_owned(),
        values,
    );
    let (initial, definition) = own(
        naming,
        "initial_value",
        InputDefinition::new(required(value)).described("Stream column input with initial value"),
    );
    let cursor = IndexMap::from([
        (initial, definition),
        (
            "ordering".to_owned(),
            InputDefinition::new(named(ordering)).described("cursor ordering"),
        ),
    ]);
    let input = builder.ty(at, "stream_cursor_input");
    builder.input(
        input.clone(),
        format!("Streaming cursor of the table \"{}\"", table.name),
        cursor,
    );
    let rows = TypeRef::list(named(builder.ty(at, "")).required()).required();
    let field = FieldDefinition::new(rows)
        .described(format!(
            "fetch data from the table in a streaming manner: \"{}\"",
            table.name
        ))
        .own_argument(
            naming,
            "batch_size",
            required("Int"),
            "maximum number of rows returned in a single batch",
        )
        .argument(
            "cursor",
            TypeRef::list(named(input)).required(),
            "cursor to stream the results returned by the query",
        )
        .argument("where", named(builder.ty(at, "bool_exp")), "filter the rows returned");
    let name = naming.root_field(table.custom_root("select_stream"), &[&table.field, "stream"]);
    let root = Root {
        verb: Verb::Stream,
        table: at,
    };
    builder.root(Operation::Subscription, name, root, field);
}
