//! Tables and columns with both their names.

use super::{Computed, Naming, Permissions, Relationship, is_graphql_name};
use crate::catalog;
use indexmap::IndexMap;
use metadata::TableEntry;
use std::collections::HashMap;

#[derive(Debug)]
pub struct Table {
    /// Position in the model's sources.
    pub source: usize,
    pub schema: String,
    pub name: String,
    /// The base of root fields.
    pub field: String,
    /// The base of type names.
    pub base_type: String,
    pub comment: Option<String>,
    pub insertable: bool,
    pub updatable: bool,
    pub deletable: bool,
    /// Name and description by kind.
    custom_roots: HashMap<String, (Option<String>, Option<String>)>,
    pub columns: Vec<Column>,
    /// Every column in the database's order, with what no name in GraphQL can be given to.
    pub whole_row: Vec<String>,
    pub relationships: IndexMap<String, Relationship>,
    pub computed: IndexMap<String, Computed>,
    /// Positions in `columns`.
    pub primary_key: Vec<usize>,
    /// Name and columns.
    pub constraints: Vec<(String, Vec<String>)>,
    pub permissions: HashMap<String, Permissions>,
    /// Its rows, where it is an enumeration: name in GraphQL, value, comment.
    pub values: Option<Vec<EnumValue>>,
    /// Its rows come from native queries only.
    pub logical: bool,
}

#[derive(Debug, Clone)]
pub struct EnumValue {
    pub name: String,
    pub value: String,
    pub comment: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub at: usize,
    /// In the database.
    pub name: String,
    /// In GraphQL.
    pub field: String,
    /// `pg_type.typname`, of the element where this is an array.
    pub ty: String,
    /// What a cast names.
    pub sql_type: String,
    pub array: bool,
    pub nullable: bool,
    pub generated: bool,
    pub comment: Option<String>,
    /// The enumeration its values are of: the type's name and the values.
    pub values: Option<(String, Vec<EnumValue>)>,
}

impl Table {
    /// A logical model.
    pub fn logical(
        source: usize,
        name: &str,
        base_type: String,
        comment: Option<String>,
        columns: Vec<Column>,
    ) -> Self {
        Table {
            source,
            schema: String::new(),
            name: name.to_owned(),
            field: name.to_owned(),
            base_type,
            comment,
            insertable: false,
            updatable: false,
            deletable: false,
            custom_roots: HashMap::new(),
            whole_row: Vec::new(),
            relationships: IndexMap::new(),
            computed: IndexMap::new(),
            primary_key: Vec::new(),
            constraints: Vec::new(),
            permissions: HashMap::new(),
            values: None,
            logical: true,
            columns,
        }
    }

    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.primary_key.iter().map(|at| &self.columns[*at])
    }

    pub fn column_named(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn column_of(&self, field: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.field == field)
    }

    pub fn custom_root(&self, kind: &str) -> Option<&str> {
        self.custom_roots.get(kind)?.0.as_deref()
    }

    /// What the operator wrote about a root field; empty text hides ours.
    pub fn custom_comment(&self, kind: &str) -> Option<&str> {
        self.custom_roots.get(kind)?.1.as_deref()
    }

    pub fn shown(&self) -> String {
        match self.schema.as_str() {
            "public" => self.name.clone(),
            schema => format!("{schema}.{}", self.name),
        }
    }
}

impl Column {
    /// One of no table, for what only has a type.
    pub fn plain(ty: &str) -> Self {
        Column::typed("", ty, false, ty)
    }

    pub fn typed(name: &str, ty: &str, array: bool, sql_type: &str) -> Self {
        Column {
            at: 0,
            name: name.to_owned(),
            field: name.to_owned(),
            ty: ty.to_owned(),
            sql_type: sql_type.to_owned(),
            array,
            nullable: true,
            generated: false,
            comment: None,
            values: None,
        }
    }

    /// The scalar of its values; of the elements where it is an array.
    pub fn scalar(&self) -> String {
        match &self.values {
            Some((name, _)) => name.clone(),
            None => scalar_of(&self.ty).to_owned(),
        }
    }

    pub fn is(&self, types: &[&str]) -> bool {
        !self.array && self.values.is_none() && types.contains(&self.ty.as_str())
    }

    pub fn is_text(&self) -> bool {
        self.is(&["text", "varchar", "bpchar", "citext", "name"])
    }

    pub fn is_json(&self) -> bool {
        self.is(&["json", "jsonb"])
    }

    pub fn is_geographic(&self) -> bool {
        self.is(&["geometry", "geography"])
    }

    pub fn is_numeric(&self) -> bool {
        self.is(&["int2", "int4", "int8", "float4", "float8", "numeric", "money"])
    }

    pub fn is_ordered(&self) -> bool {
        let others = [
            "date",
            "time",
            "timetz",
            "timestamp",
            "timestamptz",
            "interval",
            "uuid",
            "inet",
        ];
        self.is_numeric() || self.is_text() || self.is(&others)
    }
}

pub(super) fn table(entry: &TableEntry, facts: &catalog::Table, source: usize, naming: &Naming) -> Table {
    let configuration = entry.configuration.clone().unwrap_or_default();
    let usual = match facts.schema.as_str() {
        "public" => facts.name.clone(),
        schema => format!("{schema}_{}", facts.name),
    };
    let custom = configuration.custom_name.clone();
    let field = custom.clone().unwrap_or_else(|| naming.field(&usual));
    let base_type = custom.unwrap_or_else(|| naming.base_type(&usual));
    let config = |column: &str, key: &str| {
        let text = configuration.column_config.get(column)?.get(key)?.as_str()?;
        Some(text.to_owned())
    };
    let named = facts.columns.iter().map(|column| {
        let field = config(&column.name, "custom_name").unwrap_or_else(|| naming.field(&column.name));
        (field, column)
    });
    let columns: Vec<Column> = named
        .filter(|(field, _)| is_graphql_name(field))
        .enumerate()
        .map(|(at, (field, column))| Column {
            at,
            name: column.name.clone(),
            field,
            ty: column.ty.name.clone(),
            sql_type: column.ty.sql.clone(),
            array: column.ty.is_array,
            nullable: column.nullable,
            generated: column.generated,
            comment: config(&column.name, "comment").or_else(|| column.comment.clone()),
            values: None,
        })
        .collect();
    let at = |name: &String| columns.iter().position(|column| column.name == *name);
    let primary = facts.keys.iter().find(|key| key.primary);
    let primary_key = primary.and_then(|key| key.columns.iter().map(at).collect::<Option<Vec<_>>>());
    let custom_roots = configuration.custom_root_fields.iter().map(|(kind, given)| {
        let text = |key: &str| given.get(key).and_then(|text| text.as_str()).map(str::to_owned);
        let name = given.as_str().map(str::to_owned).or_else(|| text("name"));
        (kind.clone(), (name, text("comment")))
    });
    Table {
        source,
        schema: facts.schema.clone(),
        name: facts.name.clone(),
        field,
        base_type,
        comment: configuration.comment.clone().or_else(|| facts.comment.clone()),
        insertable: facts.insertable,
        updatable: facts.updatable,
        deletable: facts.deletable,
        custom_roots: custom_roots.collect(),
        primary_key: primary_key.unwrap_or_default(),
        constraints: facts
            .keys
            .iter()
            .map(|key| (key.name.clone(), key.columns.clone()))
            .collect(),
        relationships: IndexMap::new(),
        computed: IndexMap::new(),
        permissions: HashMap::new(),
        values: None,
        logical: false,
        whole_row: facts.columns.iter().map(|column| column.name.clone()).collect(),
        columns,
    }
}

/// Hasura's scalar for a PostgreSQL type.
pub fn scalar_of(ty: &str) -> &str {
    match ty {
        "int4" => "Int",
        "bool" => "Boolean",
        "text" | "varchar" => "String",
        "float4" => "Float",
        "int2" => "smallint",
        "int8" => "bigint",
        other => other,
    }
}
