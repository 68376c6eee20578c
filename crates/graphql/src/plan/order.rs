//! `order_by` and `distinct_on`.

use super::{Sql, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::{Column, Returns, Table};
use crate::sql::quote::quote_ident;
use serde_json::{Map, Value};

/// One thing rows are ordered by.
pub struct Term {
    pub sql: String,
    pub direction: &'static str,
    /// Its name in a cursor: what it is reached through, then itself.
    pub trail: Vec<String>,
    pub sql_type: String,
}

type Terms = Vec<Term>;

impl Term {
    fn new(sql: String, given: &Value, trail: &[&str], sql_type: &str) -> Self {
        Term {
            sql,
            direction: direction(given),
            trail: trail.iter().map(|step| (*step).to_owned()).collect(),
            sql_type: sql_type.to_owned(),
        }
    }

    pub fn ascending(alias: &str, known: &Column) -> Self {
        let place = column(alias, &known.name);
        Term::new(place, &Value::from("asc"), &[&known.name], &known.sql_type)
    }

    /// The same of what is reached through a field.
    fn inside(mut self, through: &str, sql: impl FnOnce(String) -> String) -> Self {
        self.sql = sql(self.sql);
        self.trail.insert(0, through.to_owned());
        self
    }
}

impl Writer<'_> {
    /// `distinct on (…) ` and ` order by …`, each empty where nothing asks for it.
    pub fn order(
        &mut self,
        at: usize,
        alias: &str,
        args: &Map<String, Value>,
        path: &Path<'_>,
    ) -> Result<(String, String), GraphqlError> {
        let table = &self.model.tables[at];
        let named = args.get("distinct_on").and_then(Value::as_array);
        let distinct: Vec<String> = named
            .into_iter()
            .flatten()
            .filter_map(|name| table.column_of(name.as_str()?))
            .map(|known| column(alias, &known.name))
            .collect();
        let terms = self.ordered_by(at, alias, args, path)?;
        let mut first: Vec<&String> = terms.iter().map(|term| &term.sql).take(distinct.len()).collect();
        let mut wanted: Vec<&String> = distinct.iter().collect();
        first.sort();
        wanted.sort();
        if !terms.is_empty() && first != wanted {
            let message = "\"distinct_on\" columns must match initial \"order_by\" columns";
            return Err(GraphqlError::validation(path, message));
        }
        let terms: Vec<String> = terms
            .into_iter()
            .map(|term| format!("{} {}", term.sql, term.direction))
            .collect();
        let order = match terms.is_empty() {
            true => String::new(),
            false => format!(" order by {}", terms.join(", ")),
        };
        let distinct = match distinct.as_slice() {
            [] => String::new(),
            columns => format!("distinct on ({}) ", columns.join(", ")),
        };
        Ok((distinct, order))
    }

    /// What the arguments order by, in order.
    pub fn ordered_by(
        &mut self,
        at: usize,
        alias: &str,
        args: &Map<String, Value>,
        path: &Path<'_>,
    ) -> Result<Vec<Term>, GraphqlError> {
        let mut terms = Vec::new();
        for one in args.get("order_by").and_then(Value::as_array).into_iter().flatten() {
            self.terms(at, alias, one, path, &mut terms)?;
        }
        Ok(terms)
    }

    fn terms(
        &mut self,
        at: usize,
        alias: &str,
        given: &Value,
        path: &Path<'_>,
        out: &mut Terms,
    ) -> Result<(), GraphqlError> {
        let model = self.model;
        let table = &model.tables[at];
        let fields = given.as_object().into_iter().flatten();
        for (name, value) in fields.filter(|(_, value)| !value.is_null()) {
            if let Some(known) = table.column_of(name) {
                out.push(Term::new(
                    column(alias, &known.name),
                    value,
                    &[&known.name],
                    &known.sql_type,
                ));
                continue;
            }
            if let Some(field) = table.computed.get(name) {
                let call = self.computed_call(field, at, alias, None)?;
                let sql_type = match &field.returns {
                    Returns::Scalar { sql_type, .. } => sql_type,
                    Returns::Rows { .. } => "text",
                };
                out.push(Term::new(call, value, &[name], sql_type));
                continue;
            }
            let base = name.strip_suffix("_aggregate");
            if let Some(field) = base.and_then(|base| table.computed.get(base)) {
                self.computed_aggregate(field, at, alias, (name, value), out)?;
                continue;
            }
            let related = table.relationships.get(name).map(|over| (over, false));
            let aggregated = base
                .and_then(|base| table.relationships.get(base))
                .map(|over| (over, true));
            let Some((relationship, aggregated)) = related.or(aggregated) else {
                return Err(GraphqlError::validation(path, format!("cannot order by '{name}'")));
            };
            let theirs = self.alias();
            let mut inner = Vec::new();
            if aggregated {
                aggregates(&model.tables[relationship.target], &theirs, value, &mut inner);
            } else {
                self.terms(relationship.target, &theirs, value, path, &mut inner)?;
            }
            for term in inner {
                let from = self.related_rows(relationship, alias, &theirs)?;
                out.push(term.inside(name, |term| format!("(select {term} {from})")));
            }
        }
        Ok(())
    }

    fn computed_aggregate(
        &mut self,
        field: &crate::model::Computed,
        at: usize,
        alias: &str,
        (name, value): (&str, &Value),
        out: &mut Terms,
    ) -> Result<(), GraphqlError> {
        let Returns::Rows { table, .. } = field.returns else {
            return Ok(());
        };
        let theirs = self.alias();
        let mut inner = Vec::new();
        aggregates(&self.model.tables[table], &theirs, value, &mut inner);
        for term in inner {
            let call = self.computed_call(field, at, alias, None)?;
            let readable = self.readable(table, &theirs)?;
            let over = |term: String| format!("(select {term} from {call} {theirs} where {readable})");
            out.push(term.inside(name, over));
        }
        Ok(())
    }

    fn related_rows(&mut self, over: &crate::model::Relationship, ours: &str, theirs: &str) -> Sql {
        let conditions = vec![self.tie(over, ours, theirs), self.readable(over.target, theirs)?];
        let table = name_of(&self.model.tables[over.target]);
        Ok(format!("from {table} {theirs} where {}", all(conditions)))
    }
}

fn aggregates(table: &Table, alias: &str, given: &Value, out: &mut Terms) {
    for (function, value) in given.as_object().into_iter().flatten() {
        if function == "count" {
            out.push(Term::new("count(*)".to_owned(), value, &[function], "bigint"));
            continue;
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(known) = table.column_of(name) {
                let term = format!("{}({})", quote_ident(function), column(alias, &known.name));
                let sql_type = match function.as_str() {
                    "max" | "min" => &known.sql_type,
                    _ => "numeric",
                };
                out.push(Term::new(term, value, &[function, &known.name], sql_type));
            }
        }
    }
}

fn direction(value: &Value) -> &'static str {
    match value.as_str().map(str::to_lowercase).as_deref() {
        Some("asc_nulls_first") => "asc nulls first",
        Some("desc" | "desc_nulls_first") => "desc nulls first",
        Some("desc_nulls_last") => "desc nulls last",
        _ => "asc nulls last",
    }
}
