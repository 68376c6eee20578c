//! `order_by` and `distinct_on`.

use super::{Sql, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::sql::quote::quote_ident;
use serde_json::{Map, Value};

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
        let mut terms = Vec::new();
        for one in args.get("order_by").and_then(Value::as_array).into_iter().flatten() {
            self.terms(at, alias, one, path, &mut terms)?;
        }
        let mut first: Vec<&String> = terms.iter().map(|(term, _)| term).take(distinct.len()).collect();
        let mut wanted: Vec<&String> = distinct.iter().collect();
        first.sort();
        wanted.sort();
        if !terms.is_empty() && first != wanted {
            let message = "\"distinct_on\" columns must match initial \"order_by\" columns";
            return Err(GraphqlError::validation(path, message));
        }
        let terms: Vec<String> = terms
            .into_iter()
            .map(|(term, direction)| format!("{term} {direction}"))
            .collect();
        let order = if terms.is_empty() {
            String::new()
        } else {
            format!(" order by {}", terms.join(", "))
        };
        let distinct = match distinct.as_slice() {
            [] => String::new(),
            columns => format!("distinct on ({}) ", columns.join(", ")),
        };
        Ok((distinct, order))
    }

    fn terms(
        &mut self,
        at: usize,
        alias: &str,
        given: &Value,
        path: &Path<'_>,
        out: &mut Vec<(String, &'static str)>,
    ) -> Result<(), GraphqlError> {
        let model = self.model;
        let table = &model.tables[at];
        for (name, value) in given
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
        {
            if let Some(known) = table.column_of(name) {
                out.push((column(alias, &known.name), direction(value)));
                continue;
            }
            let (relationship, aggregated) = match table.relationships.get(name) {
                Some(relationship) => (relationship, false),
                None => match name
                    .strip_suffix("_aggregate")
                    .and_then(|name| table.relationships.get(name))
                {
                    Some(relationship) => (relationship, true),
                    None => return Err(GraphqlError::validation(path, format!("cannot order by '{name}'"))),
                },
            };
            let theirs = self.alias();
            let mut inner = Vec::new();
            if aggregated {
                aggregates(&model.tables[relationship.target], &theirs, value, &mut inner);
            } else {
                self.terms(relationship.target, &theirs, value, path, &mut inner)?;
            }
            for (term, direction) in inner {
                let from = self.related_rows(relationship, alias, &theirs)?;
                out.push((format!("(select {term} {from})"), direction));
            }
        }
        Ok(())
    }

    fn related_rows(&mut self, over: &crate::model::Relationship, ours: &str, theirs: &str) -> Sql {
        let conditions = vec![self.tie(over, ours, theirs), self.readable(over.target, theirs)?];
        let table = name_of(&self.model.tables[over.target]);
        Ok(format!("from {table} {theirs} where {}", all(conditions)))
    }
}

fn aggregates(table: &crate::model::Table, alias: &str, given: &Value, out: &mut Vec<(String, &'static str)>) {
    for (function, value) in given.as_object().into_iter().flatten() {
        if function == "count" {
            out.push(("count(*)".to_owned(), direction(value)));
            continue;
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(known) = table.column_of(name) {
                out.push((
                    format!("{}({})", quote_ident(function), column(alias, &known.name)),
                    direction(value),
                ));
            }
        }
    }
}

fn direction(value: &Value) -> &'static str {
    match value.as_str() {
        Some("asc_nulls_first") => "asc nulls first",
        Some("desc" | "desc_nulls_first") => "desc nulls first",
        Some("desc_nulls_last") => "desc nulls last",
        _ => "asc nulls last",
    }
}
