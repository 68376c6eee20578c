//! Relay's schema: lists as connections with cursors, every row with a key as a `Node` with a global id.

use super::inputs::{list_arguments, reachable, selectable};
use super::role::Builder;
use super::types::{FieldDefinition, named, required};
use crate::model::Table;
use crate::syntax::TypeRef;
use indexmap::IndexMap;

/// A table whose rows have a global id.
#[derive(Debug)]
pub struct Node {
    pub table: usize,
    pub ty: String,
    pub schema: String,
    pub name: String,
    /// The primary key's columns, as the database names them.
    pub key: Vec<String>,
}

/// The types every connection shares, and which tables are nodes.
pub fn add(builder: &mut Builder<'_>) {
    let mut nodes = Vec::new();
    for (at, table) in builder.model.tables.iter().enumerate() {
        if table.primary_key.is_empty() || !builder.may_select(at) {
            continue;
        }
        nodes.push(Node {
            table: at,
            ty: builder.ty(at, ""),
            schema: table.schema.clone(),
            name: table.name.clone(),
            key: table.key_columns().map(|column| column.name.clone()).collect(),
        });
    }
    builder.schema.nodes = nodes;
    let page = ["endCursor", "hasNextPage", "hasPreviousPage", "startCursor"].map(|name| {
        let ty = if name.ends_with("Cursor") { "String" } else { "Boolean" };
        (name.to_owned(), FieldDefinition::new(required(ty)))
    });
    builder.object("PageInfo".to_owned(), String::new(), IndexMap::from(page));
    let about = "An object with globally unique ID".to_owned();
    builder.interface(
        "Node".to_owned(),
        about,
        IndexMap::from([("id".to_owned(), id_field())]),
    );
}

pub fn id_field() -> FieldDefinition {
    FieldDefinition::new(required("ID")).described("A globally unique identifier")
}

pub fn node_field() -> FieldDefinition {
    FieldDefinition::new(named("Node")).argument("id", required("ID"), "A globally unique id")
}

/// What a row type has beside its columns and relationships.
pub fn row_fields(builder: &mut Builder<'_>, at: usize, table: &Table, fields: &mut IndexMap<String, FieldDefinition>) {
    if !builder.relay {
        return;
    }
    for relationship in reachable(builder, table) {
        let target = relationship.target;
        if relationship.array && builder.schema.node_of(target).is_some() {
            let field = connection(builder, target).described("An array relationship connection");
            fields.insert(format!("{}_connection", relationship.name), field);
        }
    }
    if builder.schema.node_of(at).is_some() {
        fields.insert("id".to_owned(), id_field());
    }
}

/// A list of a table's rows as Relay pages through it.
pub fn connection(builder: &Builder<'_>, at: usize) -> FieldDefinition {
    let ty = format!("{}Connection", builder.ty(at, ""));
    let has_columns = !selectable(builder, at, &builder.model.tables[at]).is_empty();
    let mut field = list_arguments(builder, FieldDefinition::new(required(ty)), at, has_columns);
    field.arguments.shift_remove("limit");
    field.arguments.shift_remove("offset");
    field
        .argument("first", named("Int"), "")
        .argument("last", named("Int"), "")
        .argument("after", named("String"), "")
        .argument("before", named("String"), "")
}

/// The types of a table's connections.
pub fn connection_types(builder: &mut Builder<'_>, at: usize, table: &Table) {
    let row = builder.ty(at, "");
    let edge = format!("{row}Edge");
    let edges = TypeRef::list(named(edge.clone()).required()).required();
    let whole = [
        ("edges".to_owned(), FieldDefinition::new(edges)),
        ("pageInfo".to_owned(), FieldDefinition::new(required("PageInfo"))),
    ];
    let about = format!("A Relay connection object on \"{}\"", table.name);
    builder.object(format!("{row}Connection"), about, IndexMap::from(whole));
    let parts = [
        ("cursor".to_owned(), FieldDefinition::new(required("String"))),
        ("node".to_owned(), FieldDefinition::new(required(row))),
    ];
    builder.object(edge, String::new(), IndexMap::from(parts));
}
