//! A picture of the database: what one catalogue statement tells about tables, columns, keys and their types.

use crate::sql::quote::quote_ident;
use serde::Deserialize;
use std::collections::HashMap;

/// One statement, one row, one column: the JSON that [`Catalog::from_json`] reads. It needs no privilege on the tables.
pub const INTROSPECTION_SQL: &str = "
with enclosed as (
    select t.oid, coalesce(e.oid, t.oid) as base, e.oid is not null as is_array
    from pg_type t left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'),
types as (
    select o.oid, json_build_object(
        'name', coalesce(d.typname, b.typname), 'is_array', o.is_array, 'kind', b.typtype,
        'sql', quote_ident(n.nspname) || '.' || quote_ident(b.typname) || case when o.is_array then '[]' else '' end,
        'table', (select json_build_object('schema', n.nspname, 'name', c.relname)
            from pg_class c where c.oid = b.typrelid and c.relkind in ('r', 'v', 'm', 'f', 'p'))) as type
    from enclosed o
    join pg_type b on b.oid = o.base
    join pg_namespace n on n.oid = b.typnamespace
    left join pg_type d on d.oid = b.typbasetype and b.typtype = 'd'),
ours as (
    select oid, nspname from pg_namespace
    where nspname not in ('pg_catalog', 'information_schema') and nspname not like 'pg\\_t%')
select json_build_object('tables', (
    select coalesce(json_agg(t), '[]') from (
        select n.nspname as schema, c.relname as name, c.relkind::text as kind,
            obj_description(c.oid, 'pg_class') as comment,
            (pg_relation_is_updatable(c.oid, true) & 8) <> 0 as insertable,
            (pg_relation_is_updatable(c.oid, true) & 4) <> 0 as updatable,
            (pg_relation_is_updatable(c.oid, true) & 16) <> 0 as deletable,
            coalesce((select json_agg(json_build_object(
                    'name', a.attname,
                    'type', ty.type,
                    'nullable', not a.attnotnull,
                    'has_default', a.atthasdef or a.attidentity <> '',
                    'generated', a.attgenerated <> '' or a.attidentity = 'a',
                    'comment', col_description(c.oid, a.attnum)
                ) order by a.attnum)
                from pg_attribute a join types ty on ty.oid = a.atttypid
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
        join ours n on n.oid = c.relnamespace
        where c.relkind in ('r', 'v', 'm', 'f', 'p')
        order by n.nspname, c.relname
    ) t), 'functions', (
    select coalesce(json_agg(f), '[]') from (
        select n.nspname as schema, p.proname as name, obj_description(p.oid, 'pg_proc') as comment,
            p.provolatile = 'v' as volatile, p.proretset as returns_set, p.provariadic <> 0 as variadic,
            (select ty.type from types ty where ty.oid = p.prorettype) as returns,
            coalesce((select json_agg(json_build_object(
                    'name', nullif(p.proargnames[given.place], ''),
                    'type', ty.type,
                    'has_default', given.place > p.pronargs - p.pronargdefaults
                ) order by given.place)
                from unnest(p.proargtypes) with ordinality given (type, place)
                join types ty on ty.oid = given.type), '[]') as arguments
        from pg_proc p
        join ours n on n.oid = p.pronamespace
        where p.prokind = 'f' and not exists (
            select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
        order by n.nspname, p.proname, p.oid
    ) f))::text";

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Catalog {
    pub tables: Vec<Table>,
    #[serde(default)]
    pub functions: Vec<Function>,
    /// The rows of tables used as enumerations, which whoever runs the statements reads.
    #[serde(skip)]
    pub enums: EnumRows,
}

/// By schema and table: value and comment of each row.
pub type EnumRows = HashMap<(String, String), Vec<(String, Option<String>)>>;

/// One overload.
#[derive(Debug, Clone, Deserialize)]
pub struct Function {
    pub schema: String,
    pub name: String,
    pub comment: Option<String>,
    pub volatile: bool,
    pub returns_set: bool,
    pub variadic: bool,
    pub returns: Type,
    pub arguments: Vec<Argument>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Argument {
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub ty: Type,
    pub has_default: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Type {
    /// `pg_type.typname`, of the element where this is an array, of the base where it is a domain.
    pub name: String,
    pub is_array: bool,
    /// `pg_type.typtype`, of the element.
    pub kind: String,
    /// What a cast names, quoted: without a length nothing is cut.
    pub sql: String,
    /// The table or view whose row this is.
    pub table: Option<TypeTable>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TypeTable {
    pub schema: String,
    pub name: String,
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
    #[serde(rename = "type")]
    pub ty: Type,
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

    /// All overloads.
    pub fn functions(&self, schema: &str, name: &str) -> Vec<&Function> {
        let named = |function: &&Function| function.schema == schema && function.name == name;
        self.functions.iter().filter(named).collect()
    }

    /// Reads the values of a table used as an enumeration: rows of value and comment, in order. `None`: it cannot be one.
    pub fn enum_values_sql(&self, schema: &str, name: &str) -> Option<String> {
        let table = self.table(schema, name)?;
        let key = table.keys.iter().find(|key| key.primary)?;
        let [value] = key.columns.as_slice() else { return None };
        let comment = table.columns.iter().find(|column| column.name != *value);
        let comment = comment.map_or("null".to_owned(), |column| quote_ident(&column.name));
        let value = quote_ident(value);
        Some(format!(
            "select {value}::text, {comment}::text from {}.{} order by 1",
            quote_ident(schema),
            quote_ident(name)
        ))
    }
}
