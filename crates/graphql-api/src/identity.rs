//! Tables and columns by the numbers PostgreSQL knows them under, which outlive a rename.

use crate::refusal::Refusal;
use foundation::{Error, Result};
use metadata::{Source, SourceObject, TableName, rename};
use postgres_chassis::translate;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::GenericClient;

const SQL: &str = "
select coalesce(json_agg(json_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname,
        'columns', (select coalesce(json_object_agg(a.attnum, a.attname), '{}') from pg_attribute a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
        'foreign_keys', (select coalesce(json_agg(json_build_object('to', k.confrelid::int8,
                'columns', (select json_agg(a.attname order by key.place)
                    from unnest(k.conkey) with ordinality key (number, place)
                    join pg_attribute a on a.attrelid = c.oid and a.attnum = key.number))), '[]')
            from pg_constraint k where k.conrelid = c.oid and k.contype = 'f'))), '[]')::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'v', 'm', 'f', 'p')
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_t%'";

const FUNCTIONS: &str = "
select n.nspname, p.proname, array_agg(p.oid::int8), bool_or(p.provolatile = 'v')
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_t%'
group by n.nspname, p.proname";

#[derive(Deserialize)]
struct Table {
    oid: i64,
    #[serde(flatten)]
    name: TableName,
    columns: BTreeMap<String, String>,
    foreign_keys: Vec<ForeignKey>,
}

#[derive(Deserialize)]
struct ForeignKey {
    to: i64,
    columns: Vec<String>,
}

pub struct Identities(HashMap<i64, Table>, HashMap<TableName, Functions>);

/// Those of one name.
struct Functions {
    oids: Vec<i64>,
    volatile: bool,
}

impl Identities {
    pub async fn read(client: &impl GenericClient) -> Result<Self> {
        let row = client.query_one(SQL, &[]).await;
        let row = row.map_err(|error| translate("reading the tables' identities", error))?;
        let tables: Vec<Table> = serde_json::from_str(row.get(0))
            .map_err(|error| Error::internal("reading the tables' identities", error))?;
        let rows = client.query(FUNCTIONS, &[]).await;
        let rows = rows.map_err(|error| translate("reading the functions' names", error))?;
        let functions = rows.iter().map(|row| {
            let name = TableName {
                schema: row.get(0),
                name: row.get(1),
            };
            let functions = Functions {
                oids: row.get(2),
                volatile: row.get(3),
            };
            (name, functions)
        });
        let functions = functions.collect();
        Ok(Identities(
            tables.into_iter().map(|table| (table.oid, table)).collect(),
            functions,
        ))
    }

    pub fn holds(&self, name: &TableName) -> bool {
        self.0.values().any(|table| table.name == *name)
    }

    pub fn holds_function(&self, name: &TableName) -> bool {
        self.1.contains_key(name)
    }

    /// # Errors
    /// A function that a computed field stands on was replaced, overloaded or made volatile.
    pub fn check_computed_fields(&self, after: &Identities, source: &Source) -> Result<(), Refusal> {
        for entry in &source.tables {
            for field in &entry.computed_fields {
                let function = &field.definition.function;
                let (Some(was), Some(is)) = (self.1.get(function), after.1.get(function)) else {
                    continue;
                };
                let (name, table) = (&field.name, &entry.table);
                if !is.oids.iter().any(|oid| was.oids.contains(oid)) {
                    let object = SourceObject::ComputedField {
                        table: table.clone(),
                        name: name.clone(),
                    };
                    let message = format!(
                        "cannot drop due to the following dependent objects: {object} in source \"{}\"",
                        source.name
                    );
                    return Err(Refusal::new("dependency-error", "$.args", message));
                }
                let message = if is.oids.len() > 1 {
                    format!(
                        "The function \"{function}\" associated with computed field\"{name}\" of table \"{table}\" is being overloaded"
                    )
                } else if is.volatile && !was.volatile {
                    format!(
                        "The type of function \"{function}\" associated with computed field \"{name}\" of table \"{table}\" is being altered to \"VOLATILE\""
                    )
                } else {
                    continue;
                };
                return Err(Refusal::new("not-supported", "$.args", message));
            }
        }
        Ok(())
    }

    /// Says in `source` what is called otherwise in `after`.
    pub fn rename(&self, after: &Identities, source: &mut Source) {
        for (oid, old) in &self.0 {
            let Some(new) = after.0.get(oid) else { continue };
            if old.name != new.name {
                rename::table(source, &old.name, &new.name);
            }
        }
        for (oid, old) in &self.0 {
            let Some(new) = after.0.get(oid) else { continue };
            for (number, was) in &old.columns {
                let is = new.columns.get(number).filter(|is| *is != was);
                if let Some(is) = is {
                    let leads = leads(source, after, self);
                    let target = |table: &TableName, name: &str| leads.get(&(table.clone(), name.to_owned())).cloned();
                    rename::column(source, &new.name, was, is, &target);
                }
            }
        }
    }
}

/// Where each relationship of the source leads.
fn leads(source: &Source, after: &Identities, before: &Identities) -> HashMap<(TableName, String), TableName> {
    use metadata::{ForeignKeyOn, Using};
    let mut found = HashMap::new();
    for entry in &source.tables {
        for relationship in entry.object_relationships.iter().chain(&entry.array_relationships) {
            let to = match &relationship.using {
                Using::ManualConfiguration { remote_table, .. } => Some(remote_table.clone()),
                Using::ForeignKeyConstraintOn(ForeignKeyOn::Remote { table, .. }) => Some(table.clone()),
                Using::ForeignKeyConstraintOn(ForeignKeyOn::Column(column)) => {
                    after.target(before, &entry.table, std::slice::from_ref(column))
                }
                Using::ForeignKeyConstraintOn(ForeignKeyOn::Columns(columns)) => {
                    after.target(before, &entry.table, columns)
                }
            };
            if let Some(to) = to {
                found.insert((entry.table.clone(), relationship.name.clone()), to);
            }
        }
    }
    found
}

impl Identities {
    /// Under the columns' names of before or after.
    fn target(&self, before: &Identities, table: &TableName, columns: &[String]) -> Option<TableName> {
        let now = self.0.values().find(|known| known.name == *table)?;
        let then = before.0.get(&now.oid);
        let keys = now
            .foreign_keys
            .iter()
            .chain(then.into_iter().flat_map(|then| &then.foreign_keys));
        let key = keys.into_iter().find(|key| key.columns == columns)?;
        self.0.get(&key.to).map(|known| known.name.clone())
    }
}
