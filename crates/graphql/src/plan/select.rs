//! Reads as scalar subqueries that answer JSON: lists, single rows, relationships, aggregates.

use super::{Sql, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::Relationship;
use crate::plan::filter::Author;
use crate::sql::quote::{push_key, quote_ident};
use crate::validate::Selected;
use serde_json::{Map, Value};

/// `json_build_object` takes a hundred arguments.
const MOST_PAIRS: usize = 50;

/// The relationship a list is read through, and our alias.
pub type Through<'r> = Option<(&'r Relationship, &'r str)>;

impl Writer<'_> {
    pub fn list(
        &mut self,
        at: usize,
        through: Through<'_>,
        args: &Map<String, Value>,
        selection: &[Selected],
        path: &Path<'_>,
    ) -> Sql {
        let limit = self.schema.permissions[at]
            .select
            .as_ref()
            .and_then(|select| select.limit);
        let rows = self.rows(at, through, args, limit, path)?;
        let row = self.alias();
        let object = self.object(at, &row, selection, path)?;
        Ok(format!(
            "(select coalesce(json_agg({object}), '[]') from ({rows}) {row})"
        ))
    }

    /// `select * from … where … order by … limit …`
    fn rows(
        &mut self,
        at: usize,
        through: Through<'_>,
        args: &Map<String, Value>,
        most: Option<u64>,
        path: &Path<'_>,
    ) -> Sql {
        let base = self.alias();
        let path = path.key("args");
        let mut conditions = Vec::new();
        if let Some((relationship, ours)) = through {
            conditions.push(self.tie(relationship, ours, &base));
        }
        conditions.push(self.readable(at, &base)?);
        if let Some(given) = args.get("where").filter(|given| !given.is_null()) {
            conditions.push(self.filter(at, &base, given, Author::Caller, &path.key("where"))?);
        }
        let (distinct, order) = self.order(at, &base, args, &path)?;
        let mut sql = format!(
            "select {distinct}{base}.* from {} {base}",
            name_of(&self.model.tables[at])
        );
        sql.push_str(&format!(" where {}{order}", all(conditions)));
        let given = whole(args, "limit", &path)?;
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
        if conditions.is_empty() {
            "false".to_owned()
        } else {
            all(conditions)
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
        if let Some(known) = table.column_of(&one.name) {
            let value = column(alias, &known.name);
            return Ok(match one.args.get("path").and_then(Value::as_str) {
                Some(steps) => {
                    let steps = super::value::text(&json_path(steps));
                    format!("({value} #> {})", self.param(steps, "text[]"))
                }
                None => value,
            });
        }
        if let Some(relationship) = table.relationships.get(&one.name) {
            return match relationship.array {
                true => self.list(
                    relationship.target,
                    Some((relationship, alias)),
                    &one.args,
                    &one.selection,
                    path,
                ),
                false => self.related_row(relationship, alias, one, path),
            };
        }
        let aggregated = one
            .name
            .strip_suffix("_aggregate")
            .and_then(|name| table.relationships.get(name));
        match aggregated {
            Some(relationship) => self.aggregate(relationship.target, Some((relationship, alias)), one, path),
            None => Err(GraphqlError::validation(
                path,
                format!("field '{}' not found", one.name),
            )),
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

    pub fn aggregate(&mut self, at: usize, through: Through<'_>, one: &Selected, path: &Path<'_>) -> Sql {
        let below = path.key("selectionSet");
        let mut pairs = Vec::new();
        for part in &one.selection {
            let value = match part.name.as_str() {
                "nodes" => self.list(at, through, &one.args, &part.selection, &below.key("nodes"))?,
                "aggregate" => {
                    // A permission's limit is for rows, not for what is counted.
                    let rows = self.rows(at, through, &one.args, None, path)?;
                    let row = self.alias();
                    let functions = self.functions(at, &row, &part.selection);
                    format!("(select {functions} from ({rows}) {row})")
                }
                _ => typename(part),
            };
            pairs.push((part.key.clone(), value));
        }
        Ok(object_of(&pairs))
    }

    fn functions(&self, at: usize, row: &str, selection: &[Selected]) -> String {
        let table = &self.model.tables[at];
        let mut pairs = Vec::new();
        for one in selection {
            let value = match one.name.as_str() {
                "__typename" => typename(one),
                "count" => {
                    let named = one.args.get("columns").and_then(Value::as_array);
                    let columns: Vec<String> = named
                        .into_iter()
                        .flatten()
                        .filter_map(|name| table.column_of(name.as_str()?))
                        .map(|known| column(row, &known.name))
                        .collect();
                    let distinct = one.args.get("distinct") == Some(&Value::Bool(true));
                    match (columns.as_slice(), distinct) {
                        ([], _) => "count(*)".to_owned(),
                        ([only], _) => format!("count({}{only})", if distinct { "distinct " } else { "" }),
                        (many, true) => format!("count(distinct ({}))", many.join(", ")),
                        (many, false) => format!("count(({}))", many.join(", ")),
                    }
                }
                function => {
                    let mut columns = Vec::new();
                    for below in &one.selection {
                        let value = match table.column_of(&below.name) {
                            Some(known) => format!("{}({})", quote_ident(function), column(row, &known.name)),
                            None => typename(below),
                        };
                        columns.push((below.key.clone(), value));
                    }
                    object_of(&columns)
                }
            };
            pairs.push((one.key.clone(), value));
        }
        object_of(&pairs)
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

fn whole(args: &Map<String, Value>, name: &str, path: &Path<'_>) -> Result<Option<u64>, GraphqlError> {
    match args.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(GraphqlError::validation(&path.key(name), "unexpected negative value")),
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
