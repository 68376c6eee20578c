//! `order_by` and `distinct_on`.

use super::{Sql, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::{Returns, Table};
use crate::sql::quote::quote_ident;
use serde_json::{Map, Value};

type Terms = Vec<(String, &'static str)>;

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
                out.push((column(alias, &known.name), direction(value)));
                continue;
            }
            if let Some(field) = table.computed.get(name) {
                let call = self.computed_call(field, at, alias, None)?;
                out.push((call, direction(value)));
                continue;
            }
            let base = name.strip_suffix("_aggregate");
            if let Some(field) = base.and_then(|base| table.computed.get(base)) {
                self.computed_aggregate(field, at, alias, value, out)?;
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
            for (term, direction) in inner {
                let from = self.related_rows(relationship, alias, &theirs)?;
                out.push((format!("(select {term} {from})"), direction));
            }
        }
        Ok(())
    }

    fn computed_aggregate(
        &mut self,
        field: &crate::model::Computed,
        at: usize,
        alias: &str,
        value: &Value,
        out: &mut Terms,
    ) -> Result<(), GraphqlError> {
        let Returns::Rows { table, .. } = field.returns else {
            return Ok(());
        };
        let theirs = self.alias();
        let mut inner = Vec::new();
        aggregates(&self.model.tables[table], &theirs, value, &mut inner);
        for (term, direction) in inner {
            let call = self.computed_call(field, at, alias, None)?;
            let readable = self.readable(table, &theirs)?;
            out.push((
                format!("(select {term} from {call} {theirs} where {readable})"),
                direction,
            ));
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
            out.push(("count(*)".to_owned(), direction(value)));
            continue;
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(known) = table.column_of(name) {
                let term = format!("{}({})", quote_ident(function), column(alias, &known.name));
                out.push((term, direction(value)));
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
