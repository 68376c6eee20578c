//! The tables of one source under their names in the database.

use crate::{draft::Draft, refusal::Refusal};
use graphql::{Catalog, Session};
use metadata::{ForeignKeyOn, Metadata, Source, TableEntry, TableName, Using};
use serde_json::Value;
use std::sync::Arc;

pub struct Tables {
    source: Source,
    catalog: Arc<Catalog>,
    pub role: String,
    /// A role made of others has its permissions from them.
    pub is_inherited: bool,
}

impl Tables {
    pub fn of(draft: &Draft<'_>, source: &str, session: &Session) -> Result<Self, Refusal> {
        let found = draft.metadata.source(source).zip(draft.catalogs.get(source));
        let Some((source, catalog)) = found else {
            let message = format!("source with name \"{source}\" does not exist");
            return Err(Refusal::new("not-exists", "$.args.source", message));
        };
        let roles = &draft.metadata.inherited_roles;
        Ok(Tables {
            source: source.clone(),
            catalog: catalog.clone(),
            role: session.role.clone(),
            is_inherited: roles.iter().any(|role| role.role_name == session.role),
        })
    }

    pub fn named(&self, args: &Value) -> Result<&TableEntry, Refusal> {
        let name: TableName = serde_json::from_value(args["table"].clone())
            .map_err(|_| Refusal::new("parse-failed", "$.args", "key \"table\" not found"))?;
        let missing = || Refusal::new("not-exists", "$.args.table", format!("table \"{name}\" does not exist"));
        self.source.table(&name).ok_or_else(missing)
    }

    pub fn columns(&self, table: &TableName) -> Vec<&str> {
        let found = self.catalog.table(&table.schema, &table.name);
        let columns = found.into_iter().flat_map(|table| &table.columns);
        columns.map(|column| column.name.as_str()).collect()
    }

    /// The name of the key over exactly these columns.
    pub fn key_over(&self, table: &TableName, columns: &[&str]) -> Option<&str> {
        let keys = &self.catalog.table(&table.schema, &table.name)?.keys;
        let same = |key: &&graphql::CatalogKey| {
            key.columns.len() == columns.len() && key.columns.iter().all(|column| columns.contains(&column.as_str()))
        };
        keys.iter().find(same).map(|key| key.name.as_str())
    }

    /// Where a relationship leads.
    pub fn target(&self, table: &TableEntry, relationship: &str) -> Option<&TableEntry> {
        let mut all = table.object_relationships.iter().chain(&table.array_relationships);
        let found = all.find(|one| one.name == relationship)?;
        let of_key = |columns: &[String]| {
            let facts = self.catalog.table(&table.table.schema, &table.table.name)?;
            let key = facts.foreign_keys.iter().find(|key| key.columns == columns)?;
            Some(TableName {
                schema: key.to_schema.clone(),
                name: key.to_table.clone(),
            })
        };
        let to = match &found.using {
            Using::ManualConfiguration { remote_table, .. } => remote_table.clone(),
            Using::ForeignKeyConstraintOn(ForeignKeyOn::Remote { table, .. }) => table.clone(),
            Using::ForeignKeyConstraintOn(ForeignKeyOn::Column(column)) => of_key(std::slice::from_ref(column))?,
            Using::ForeignKeyConstraintOn(ForeignKeyOn::Columns(columns)) => of_key(columns)?,
        };
        self.source.table(&to)
    }
}

/// The base of a table's GraphQL names where nothing is customised.
pub fn field(table: &TableName) -> String {
    match table.schema.as_str() {
        "public" => table.name.clone(),
        schema => format!("{schema}_{}", table.name),
    }
}

/// The metadata without any name of its own.
pub fn plain(metadata: &Metadata) -> Metadata {
    let mut plain = metadata.clone();
    for source in &mut plain.sources {
        source.customization = None;
        for entry in &mut source.tables {
            entry.configuration = None;
            // `count` needs no more than the permission to read.
            for one in &mut entry.select_permissions {
                one.permission.allow_aggregations = true;
                one.permission.query_root_fields = None;
            }
        }
        for function in &mut source.functions {
            if let Some(configuration) = &mut function.configuration {
                configuration.custom_name = None;
                configuration.custom_root_fields.clear();
            }
        }
    }
    plain
}
