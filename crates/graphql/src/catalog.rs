//! A picture of the database: what one catalogue statement tells about tables, columns, keys and their types.

use serde::Deserialize;

/// One statement, one row, one column: the JSON that [`Catalog::from_json`] reads. It needs no privilege on the tables.
pub const INTROSPECTION_SQL: &str = "
select json_build_object('tables', coalesce(json_agg(t), '[]'))::text from (
    select n.nspname as schema, c.relname as name, c.relkind::text as kind,
        obj_description(c.oid, 'pg_class') as comment,
        (pg_relation_is_updatable(c.oid, true) & 8) <> 0 as insertable,
        (pg_relation_is_updatable(c.oid, true) & 4) <> 0 as updatable,
        (pg_relation_is_updatable(c.oid, true) & 16) <> 0 as deletable,
        coalesce((select json_agg(json_build_object(
                'name', a.attname,
                'type', coalesce(e.typname, ty.typname),
                'sql_type', format_type(a.atttypid, null),
                'is_array', ty.typcategory = 'A',
                'nullable', not a.attnotnull,
                'has_default', a.atthasdef or a.attidentity <> '',
                'generated', a.attgenerated <> '' or a.attidentity = 'a',
                'comment', col_description(c.oid, a.attnum)
            ) order by a.attnum)
            from pg_attribute a
            join pg_type ty on ty.oid = a.atttypid
            left join pg_type e on e.oid = ty.typelem and ty.typcategory = 'A'
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns,
        coalesce((select json_agg(json_build_object(
                'name', k.conname, 'primary', k.contype = 'p',
                'columns', (select json_agg(a.attname order by key.place)
                    from unnest(k.conkey) with ordinality key (number, place)
                    join pg_attribute a on a.attrelid = c.oid and a.attnum = key.number)
            ) order by k.conname)
            from pg_constraint k where k.conrelid = c.oid and k.contype in ('p', 'u')), '[]') as keys,
        coalesce((select json_agg(json_build_object(
                'name', k.conname, 'to_schema', fn.nspname, 'to_table', fc.relname,
                'columns', (select json_agg(a.attname order by key.place)
                    from unnest(k.conkey) with ordinality key (number, place)
                    join pg_attribute a on a.attrelid = c.oid and a.attnum = key.number),
                'to_columns', (select json_agg(a.attname order by key.place)
                    from unnest(k.confkey) with ordinality key (number, place)
                    join pg_attribute a on a.attrelid = k.confrelid and a.attnum = key.number)
            ) order by k.conname)
            from pg_constraint k
            join pg_class fc on fc.oid = k.confrelid
            join pg_namespace fn on fn.oid = fc.relnamespace
            where k.conrelid = c.oid and k.contype = 'f'), '[]') as foreign_keys
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'm', 'f', 'p')
        and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_t%'
    order by n.nspname, c.relname
) t";

#[derive(Debug, Clone, Deserialize)]
pub struct Catalog {
    pub tables: Vec<Table>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// As `pg_class.relkind`.
    pub kind: String,
    pub comment: Option<String>,
    pub insertable: bool,
    pub updatable: bool,
    pub deletable: bool,
    pub columns: Vec<Column>,
    pub keys: Vec<Key>,
    pub foreign_keys: Vec<ForeignKey>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    pub name: String,
    /// `pg_type.typname`, of the element where the column is an array.
    #[serde(rename = "type")]
    pub ty: String,
    /// What a cast to the column's type names.
    pub sql_type: String,
    pub is_array: bool,
    pub nullable: bool,
    pub has_default: bool,
    /// Never written by a caller.
    pub generated: bool,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    pub name: String,
    pub primary: bool,
    pub columns: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub to_schema: String,
    pub to_table: String,
    pub to_columns: Vec<String>,
}

impl Catalog {
    /// # Errors
    /// The text is not what [`INTROSPECTION_SQL`] answers.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    pub fn table(&self, schema: &str, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|table| table.schema == schema && table.name == name)
    }
}
