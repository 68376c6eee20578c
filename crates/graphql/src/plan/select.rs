//! Reads as scalar subqueries that answer JSON: lists, single rows, relationships.

use super::filter::{Author, Scope};
use super::relay::global_id;
use super::{Sql, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::{Cell, Column, Computed, Relationship, Returns};
use crate::sql::quote::{push_key, quote_ident};
use crate::validate::Selected;
use serde_json::{Map, Value};

/// `json_build_object` takes a hundred arguments.
const MOST_PAIRS: usize = 50;

/// Where rows of a table come from: the table, a function that returns its rows, or a relationship to a row of ours.
#[derive(Clone)]
pub struct Rows<'r> {
    pub at: usize,
    /// SQL; `None`: the table itself.
    from: Option<String>,
    /// The relationship, and our alias.
    through: Option<(&'r Relationship, &'r str)>,
    /// Columns, and SQL they are equal to.
    tied: &'r [(String, String)],
}

impl<'r> Rows<'r> {
    pub fn of(at: usize) -> Self {
        Rows {
            at,
            from: None,
            through: None,
            tied: &[],
        }
    }

    pub fn from(at: usize, sql: String) -> Self {
        Rows {
            from: Some(sql),
            ..Rows::of(at)
        }
    }

    pub fn tied(at: usize, keys: &'r [(String, String)]) -> Self {
        Rows {
            tied: keys,
            ..Rows::of(at)
        }
    }

    pub fn through(relationship: &'r Relationship, ours: &'r str) -> Self {
        Rows {
            through: Some((relationship, ours)),
            ..Rows::of(relationship.target)
        }
    }
}

impl Writer<'_> {
    pub fn most(&self, at: usize) -> Option<u64> {
        self.schema.permissions[at]
            .select
            .as_ref()
            .and_then(|select| select.limit)
    }

    pub fn list(&mut self, from: &Rows<'_>, args: &Map<String, Value>, selection: &[Selected], path: &Path<'_>) -> Sql {
        let rows = self.rows(from, args, self.most(from.at), path)?;
        let row = self.alias();
        let object = self.object(from.at, &row, selection, path)?;
        Ok(format!(
            "(select coalesce(json_agg({object}), '[]') from ({rows}) {row})"
        ))
    }

    /// One row or null.
    pub fn single(&mut self, from: &Rows<'_>, one: &Selected, path: &Path<'_>) -> Sql {
        let rows = self.rows(from, &Map::new(), None, path)?;
        let row = self.alias();
        let object = self.object(from.at, &row, &one.selection, path)?;
        Ok(format!(
            "(select {object} from ({rows}) {row} where not ({row} is null) limit 1)"
        ))
    }

    /// `select * from … where … order by … limit …`
    pub fn rows(&mut self, from: &Rows<'_>, args: &Map<String, Value>, most: Option<u64>, path: &Path<'_>) -> Sql {
        let base = self.alias();
        let path = path.key("args");
        let mut conditions = Vec::new();
        if let Some((relationship, ours)) = from.through {
            conditions.push(self.tie(relationship, ours, &base));
        }
        let tied = from.tied.iter();
        conditions.extend(tied.map(|(name, value)| format!("{} = {value}", column(&base, name))));
        conditions.push(self.readable(from.at, &base)?);
        if let Some(given) = args.get("where").filter(|given| !given.is_null()) {
            conditions.push(self.filter(Scope::of(from.at, &base, Author::Caller), given, &path.key("where"))?);
        }
        let (distinct, order) = self.order(from.at, &base, args, &path)?;
        let table = match &from.from {
            Some(sql) => sql.clone(),
            None => name_of(&self.model.tables[from.at]),
        };
        let mut sql = format!("select {distinct}{base}.* from {table} {base}");
        sql.push_str(&format!(" where {}{order}", all(conditions)));
        let given = whole(args, "limit", &path)?;
        let given = given.map(|limit| limit.min(i64::MAX as u64));
        if let Some(limit) = given.into_iter().chain(most).min() {
            sql.push_str(&format!(" limit {}", self.param(Some(limit.to_string()), "bigint")));
        }
        if let Some(offset) = whole(args, "offset", &path)? {
            sql.push_str(&format!(" offset {}", self.param(Some(offset.to_string()), "bigint")));
        }
        Ok(sql)
    }

    pub fn by_key(&mut self, at: usize, one: &Selected, path: &Path<'_>) -> Sql {
        let row = self.alias();
        let conditions = vec![self.key(at, &row, &one.args), self.readable(at, &row)?];
        let object = self.object(at, &row, &one.selection, path)?;
        let table = name_of(&self.model.tables[at]);
        Ok(format!(
            "(select {object} from {table} {row} where {})",
            all(conditions)
        ))
    }

    /// The row whose primary key the arguments give.
    pub fn key(&mut self, at: usize, alias: &str, args: &Map<String, Value>) -> String {
        let table = &self.model.tables[at];
        let mut conditions = Vec::new();
        for place in &table.primary_key {
            let key = &table.columns[*place];
            let value = self.value(args.get(&key.field).unwrap_or(&Value::Null), key);
            conditions.push(format!("{} = {value}", column(alias, &key.name)));
        }
        match conditions.is_empty() {
            true => "false".to_owned(),
            false => all(conditions),
        }
    }

    /// One row as a JSON object, keys in the order selected.
    pub fn object(&mut self, at: usize, alias: &str, selection: &[Selected], path: &Path<'_>) -> Sql {
        let below = path.key("selectionSet");
        let mut pairs = Vec::with_capacity(selection.len());
        for one in selection {
            let value = self.field(at, alias, one, &below.key(&one.name))?;
            pairs.push((one.key.clone(), value));
        }
        Ok(object_of(&pairs))
    }

    fn field(&mut self, at: usize, alias: &str, one: &Selected, path: &Path<'_>) -> Sql {
        let model = self.model;
        let table = &model.tables[at];
        if one.name == "__typename" {
            return Ok(typename(one));
        }
        if one.name == "id" && self.schema.node_of(at).is_some() {
            return Ok(global_id(alias, table));
        }
        if let Some(known) = table.column_of(&one.name) {
            let value = column(alias, &known.name);
            let value = self.at_json_path(value, one, |writer, value| writer.shown_expression(value, known));
            return self.cell(at, alias, Cell::Column(known.at), value);
        }
        if let Some(relationship) = table.relationships.get(&one.name) {
            return match relationship.array {
                true => self.list(&Rows::through(relationship, alias), &one.args, &one.selection, path),
                false => self.related_row(relationship, alias, one, path),
            };
        }
        if let Some(field) = table.computed.get(&one.name) {
            return self.computed_field(field, at, alias, one, path);
        }
        let connected = one.name.strip_suffix("_connection");
        if let Some(relationship) = connected.and_then(|name| table.relationships.get(name)) {
            return self.connection(&Rows::through(relationship, alias), one, path);
        }
        let base = one
            .name
            .strip_suffix("_aggregate")
            .or_else(|| one.name.strip_suffix("Aggregate"));
        match base.and_then(|name| table.relationships.get(name)) {
            Some(relationship) => self.aggregate(&Rows::through(relationship, alias), one, path),
            None => Err(GraphqlError::validation(
                path,
                format!("field '{}' not found", one.name),
            )),
        }
    }

    /// `path` picks a part of a JSON value.
    fn at_json_path(&mut self, value: String, one: &Selected, plain: impl Fn(&Self, String) -> String) -> String {
        match one.args.get("path").and_then(Value::as_str) {
            Some(steps) => {
                let steps = super::value::text(&json_path(steps));
                format!("({value} #> {})", self.param(steps, "text[]"))
            }
            None => plain(self, value),
        }
    }

    /// Null in the rows in which the role is not shown it.
    fn cell(&mut self, at: usize, alias: &str, cell: Cell, value: String) -> Sql {
        let schema = self.schema;
        match schema.shown_where(at, &cell) {
            None => Ok(value),
            Some(filter) => {
                let condition = self.permission(at, alias, filter)?;
                Ok(format!("(case when {condition} then {value} end)"))
            }
        }
    }

    fn computed_field(&mut self, field: &Computed, at: usize, alias: &str, one: &Selected, path: &Path<'_>) -> Sql {
        let call = self.computed_call(field, at, alias, one.args.get("args"))?;
        match &field.returns {
            Returns::Scalar { ty, array, sql_type } => {
                let column = Column::typed(&field.name, ty, *array, sql_type);
                let value = self.at_json_path(call, one, |writer, value| writer.shown_expression(value, &column));
                self.cell(at, alias, Cell::Computed(field.name.clone()), value)
            }
            Returns::Rows { table, many: true } => {
                self.list(&Rows::from(*table, call), &one.args, &one.selection, path)
            }
            Returns::Rows { table, many: false } => self.single(&Rows::from(*table, call), one, path),
        }
    }

    fn related_row(&mut self, over: &Relationship, ours: &str, one: &Selected, path: &Path<'_>) -> Sql {
        let row = self.alias();
        let conditions = vec![self.tie(over, ours, &row), self.readable(over.target, &row)?];
        let object = self.object(over.target, &row, &one.selection, path)?;
        let table = name_of(&self.model.tables[over.target]);
        Ok(format!(
            "(select {object} from {table} {row} where {} limit 1)",
            all(conditions)
        ))
    }
}

pub fn typename(one: &Selected) -> String {
    let mut sql = String::new();
    push_key(&mut sql, &one.parent);
    sql.push_str("::text");
    sql
}

pub fn object_of(pairs: &[(String, String)]) -> String {
    if pairs.len() > MOST_PAIRS {
        let columns: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{value} as {}", quote_ident(key)))
            .collect();
        return format!("(select row_to_json(one) from (select {}) one)", columns.join(", "));
    }
    let mut sql = String::from("json_build_object(");
    for (place, (key, value)) in pairs.iter().enumerate() {
        if place > 0 {
            sql.push_str(", ");
        }
        push_key(&mut sql, key);
        sql.push_str(", ");
        sql.push_str(value);
    }
    sql.push(')');
    sql
}

pub const NEGATIVE: &str = "expected a non-negative 32-bit integer for type 'Int', but found an integer";

fn whole(args: &Map<String, Value>, name: &str, path: &Path<'_>) -> Result<Option<u64>, GraphqlError> {
    match args.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().or_else(|| value.as_str()?.parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(GraphqlError::validation(&path.key(name), NEGATIVE)),
        },
    }
}

/// `$.a.b[0]` or `a.b[0]` as steps.
fn json_path(written: &str) -> Value {
    let steps = written
        .trim_start_matches('$')
        .split(['.', '[', ']'])
        .filter(|step| !step.is_empty());
    steps.map(|step| Value::from(step.trim_matches(['"', '\'']))).collect()
}
