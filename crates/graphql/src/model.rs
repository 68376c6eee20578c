//! Metadata resolved against the catalogue: tables with their GraphQL names, relationships as column pairs, and
//! permissions per role. What does not resolve is reported and left out.

use crate::catalog::{self, Catalog};
use indexmap::IndexMap;
use metadata::{Columns, ForeignKeyOn, Metadata, Relationship as Written, TableEntry, TableName, Using};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub struct Model {
    pub tables: Vec<Table>,
}

#[derive(Debug)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// The base of type names and root fields.
    pub field: String,
    pub comment: Option<String>,
    pub insertable: bool,
    pub updatable: bool,
    pub deletable: bool,
    custom_roots: HashMap<String, String>,
    pub columns: Vec<Column>,
    pub relationships: IndexMap<String, Relationship>,
    /// Positions in `columns`.
    pub primary_key: Vec<usize>,
    /// Name and columns.
    pub constraints: Vec<(String, Vec<String>)>,
    pub permissions: HashMap<String, Permissions>,
}

#[derive(Debug)]
pub struct Column {
    pub at: usize,
    /// In the database.
    pub name: String,
    /// In GraphQL.
    pub field: String,
    /// `pg_type.typname`, of the element where this is an array.
    ty: String,
    /// What a cast names.
    pub sql_type: String,
    pub array: bool,
    pub nullable: bool,
    pub generated: bool,
    pub comment: Option<String>,
}

#[derive(Debug)]
pub struct Relationship {
    pub name: String,
    pub target: usize,
    pub array: bool,
    pub nullable: bool,
    /// Our column, theirs; names in the database.
    pub on: Vec<(String, String)>,
}

/// What one role may do with one table.
#[derive(Debug, Default, Clone)]
pub struct Permissions {
    pub select: Option<Select>,
    pub insert: Option<Insert>,
    pub update: Option<Update>,
    pub delete: Option<Delete>,
}

#[derive(Debug, Default, Clone)]
pub struct Select {
    pub columns: Vec<usize>,
    pub filter: Value,
    pub limit: Option<u64>,
    pub aggregations: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Insert {
    pub columns: Vec<usize>,
    pub check: Value,
    pub set: Map<String, Value>,
    pub backend_only: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Update {
    pub columns: Vec<usize>,
    pub filter: Value,
    pub check: Option<Value>,
    pub set: Map<String, Value>,
    pub backend_only: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Delete {
    pub filter: Value,
    pub backend_only: bool,
}

/// One metadata object that does not fit the database, in Hasura's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Inconsistency {
    pub kind: &'static str,
    pub name: String,
    pub reason: String,
    pub definition: Value,
}

impl Permissions {
    /// An administrator's.
    pub fn all(columns: usize) -> Self {
        let columns: Vec<usize> = (0..columns).collect();
        let filter = Value::Object(Map::new());
        Permissions {
            select: Some(Select {
                columns: columns.clone(),
                filter: filter.clone(),
                limit: None,
                aggregations: true,
            }),
            insert: Some(Insert {
                columns: columns.clone(),
                check: filter.clone(),
                ..Insert::default()
            }),
            update: Some(Update {
                columns,
                filter: filter.clone(),
                ..Update::default()
            }),
            delete: Some(Delete {
                filter,
                backend_only: false,
            }),
        }
    }
}

impl Table {
    pub fn column_named(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn column_of(&self, field: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.field == field)
    }

    /// The name of a root field: the metadata's own or the usual one.
    pub fn root_field(&self, kind: &str, usual: String) -> String {
        self.custom_roots.get(kind).cloned().unwrap_or(usual)
    }
}

impl Column {
    pub fn scalar(&self) -> String {
        if self.array {
            format!("_{}", self.ty)
        } else {
            scalar_of(&self.ty).to_owned()
        }
    }

    pub fn is(&self, types: &[&str]) -> bool {
        !self.array && types.contains(&self.ty.as_str())
    }

    pub fn is_text(&self) -> bool {
        self.is(&["text", "varchar", "bpchar", "citext", "name"])
    }

    pub fn is_json(&self) -> bool {
        self.is(&["json", "jsonb"])
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

impl Model {
    pub fn resolve(catalog: &Catalog, metadata: &Metadata) -> (Model, Vec<Inconsistency>) {
        let mut wrong = Vec::new();
        let mut model = Model::default();
        let mut known: HashMap<TableName, usize> = HashMap::new();
        let mut resolved = Vec::new();
        for entry in metadata.sources.iter().flat_map(|source| &source.tables) {
            let Some(facts) = catalog.table(&entry.table.schema, &entry.table.name) else {
                let shown = shown(&entry.table);
                wrong.push(Inconsistency {
                    kind: "table",
                    name: format!("table {shown} in source default"),
                    reason: format!("Inconsistent object: no such table/view exists in source: \"{shown}\""),
                    definition: json!(entry.table),
                });
                continue;
            };
            known.insert(entry.table.clone(), model.tables.len());
            model.tables.push(table(entry, facts));
            resolved.push((entry, facts));
        }
        for (at, (entry, facts)) in resolved.iter().enumerate() {
            let objects = entry.object_relationships.iter().map(|written| (written, false));
            let arrays = entry.array_relationships.iter().map(|written| (written, true));
            for (written, array) in objects.chain(arrays) {
                if let Some(found) = relationship(written, array, facts, catalog, &known) {
                    model.tables[at].relationships.insert(written.name.clone(), found);
                    continue;
                }
                let kind = if array { "array_relation" } else { "object_relation" };
                wrong.push(Inconsistency {
                    kind,
                    name: format!("{kind} {} in table {}", written.name, shown(&entry.table)),
                    reason: "Inconsistent object: the relationship names no tracked table or foreign key".to_owned(),
                    definition: json!(written),
                });
            }
        }
        (model, wrong)
    }
}

fn shown(table: &TableName) -> String {
    if table.schema == "public" {
        table.name.clone()
    } else {
        format!("{}.{}", table.schema, table.name)
    }
}

fn table(entry: &TableEntry, facts: &catalog::Table) -> Table {
    let configuration = entry.configuration.clone().unwrap_or_default();
    let field = configuration
        .custom_name
        .clone()
        .unwrap_or_else(|| match facts.schema.as_str() {
            "public" => facts.name.clone(),
            schema => format!("{schema}_{}", facts.name),
        });
    let custom = |column: &str| {
        let name = configuration.column_config.get(column)?.get("custom_name")?.as_str()?;
        Some(name.to_owned())
    };
    let columns: Vec<Column> = facts
        .columns
        .iter()
        .map(|column| (custom(&column.name).unwrap_or_else(|| column.name.clone()), column))
        .filter(|(field, _)| is_graphql_name(field))
        .enumerate()
        .map(|(at, (field, column))| Column {
            at,
            name: column.name.clone(),
            field,
            ty: column.ty.clone(),
            sql_type: column.sql_type.clone(),
            array: column.is_array,
            nullable: column.nullable,
            generated: column.generated,
            comment: column.comment.clone(),
        })
        .collect();
    let at = |name: &String| columns.iter().position(|column| column.name == *name);
    let primary = facts.keys.iter().find(|key| key.primary);
    let primary_key = primary
        .and_then(|key| key.columns.iter().map(at).collect::<Option<Vec<_>>>())
        .unwrap_or_default();
    let custom_roots = configuration.custom_root_fields.iter().filter_map(|(kind, name)| {
        let name = name.as_str().or_else(|| name.get("name")?.as_str())?;
        Some((kind.clone(), name.to_owned()))
    });
    Table {
        schema: facts.schema.clone(),
        name: facts.name.clone(),
        field,
        comment: facts.comment.clone(),
        insertable: facts.insertable,
        updatable: facts.updatable,
        deletable: facts.deletable,
        custom_roots: custom_roots.collect(),
        primary_key,
        constraints: facts
            .keys
            .iter()
            .map(|key| (key.name.clone(), key.columns.clone()))
            .collect(),
        relationships: IndexMap::new(),
        permissions: permissions(entry, &columns),
        columns,
    }
}

fn permissions(entry: &TableEntry, columns: &[Column]) -> HashMap<String, Permissions> {
    let held = |held: &Columns, preset: &Map<String, Value>| -> Vec<usize> {
        let mine = columns
            .iter()
            .filter(|column| held.holds(&column.name) && !preset.contains_key(&column.name));
        mine.map(|column| column.at).collect()
    };
    let none = Map::new();
    let mut all: HashMap<String, Permissions> = HashMap::new();
    for one in &entry.select_permissions {
        let given = &one.permission;
        all.entry(one.role.clone()).or_default().select = Some(Select {
            columns: held(&given.columns, &none),
            filter: given.filter.clone(),
            limit: given.limit,
            aggregations: given.allow_aggregations,
        });
    }
    for one in &entry.insert_permissions {
        let given = &one.permission;
        let star = Columns::Star("*".to_owned());
        all.entry(one.role.clone()).or_default().insert = Some(Insert {
            columns: held(given.columns.as_ref().unwrap_or(&star), &given.set),
            check: given.check.clone(),
            set: given.set.clone(),
            backend_only: given.backend_only,
        });
    }
    for one in &entry.update_permissions {
        let given = &one.permission;
        all.entry(one.role.clone()).or_default().update = Some(Update {
            columns: held(&given.columns, &given.set),
            filter: given.filter.clone(),
            check: given.check.clone().filter(|check| !check.is_null()),
            set: given.set.clone(),
            backend_only: given.backend_only,
        });
    }
    for one in &entry.delete_permissions {
        let given = &one.permission;
        all.entry(one.role.clone()).or_default().delete = Some(Delete {
            filter: given.filter.clone(),
            backend_only: given.backend_only,
        });
    }
    all
}

fn relationship(
    written: &Written,
    array: bool,
    ours: &catalog::Table,
    catalog: &Catalog,
    known: &HashMap<TableName, usize>,
) -> Option<Relationship> {
    let by_columns = |table: &catalog::Table, columns: &[String]| {
        table.foreign_keys.iter().find(|key| key.columns == columns).cloned()
    };
    let (to, on): (TableName, Vec<(String, String)>) = match &written.using {
        Using::ManualConfiguration {
            remote_table,
            column_mapping,
            ..
        } => {
            let pairs = column_mapping
                .iter()
                .filter_map(|(ours, theirs)| Some((ours.clone(), theirs.as_str()?.to_owned())));
            (remote_table.clone(), pairs.collect())
        }
        Using::ForeignKeyConstraintOn(ForeignKeyOn::Remote { table, column, columns }) => {
            let columns = columns.clone().or_else(|| column.clone().map(|column| vec![column]))?;
            let key = by_columns(catalog.table(&table.schema, &table.name)?, &columns)?;
            (table.clone(), key.to_columns.into_iter().zip(key.columns).collect())
        }
        Using::ForeignKeyConstraintOn(ForeignKeyOn::Column(column)) => {
            let key = by_columns(ours, std::slice::from_ref(column))?;
            (
                TableName {
                    schema: key.to_schema,
                    name: key.to_table,
                },
                key.columns.into_iter().zip(key.to_columns).collect(),
            )
        }
        Using::ForeignKeyConstraintOn(ForeignKeyOn::Columns(columns)) => {
            let key = by_columns(ours, columns)?;
            (
                TableName {
                    schema: key.to_schema,
                    name: key.to_table,
                },
                key.columns.into_iter().zip(key.to_columns).collect(),
            )
        }
    };
    let nullable = matches!(&written.using, Using::ManualConfiguration { .. })
        || matches!(
            &written.using,
            Using::ForeignKeyConstraintOn(ForeignKeyOn::Remote { .. })
        )
        || on.iter().any(|(name, _)| {
            ours.columns
                .iter()
                .any(|column| column.name == *name && column.nullable)
        });
    Some(Relationship {
        name: written.name.clone(),
        target: *known.get(&to)?,
        array,
        nullable,
        on,
    })
}

fn is_graphql_name(name: &str) -> bool {
    !name.starts_with("__")
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
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
