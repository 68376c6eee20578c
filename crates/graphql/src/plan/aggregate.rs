//! Aggregates over rows, and the rows beside them.

use super::select::{Rows, object_of, typename};
use super::{Sql, Writer, column};
use crate::errors::{GraphqlError, Path};
use crate::model::{Cell, Column, Returns};
use crate::validate::Selected;
use serde_json::Value;

impl Writer<'_> {
    pub fn aggregate(&mut self, from: &Rows<'_>, one: &Selected, path: &Path<'_>) -> Sql {
        let below = path.key("selectionSet");
        let mut pairs = Vec::new();
        for part in &one.selection {
            let value = match part.name.as_str() {
                "nodes" => self.list(from, &one.args, &part.selection, &below.key("nodes"))?,
                "aggregate" => {
                    // A permission's limit is for rows, not for what is counted.
                    let rows = self.rows(from, &one.args, None, path)?;
                    let row = self.alias();
                    let functions = self.functions(from.at, &row, &part.selection)?;
                    format!("(select {functions} from ({rows}) {row})")
                }
                _ => typename(part),
            };
            pairs.push((part.key.clone(), value));
        }
        Ok(object_of(&pairs))
    }

    fn functions(&mut self, at: usize, row: &str, selection: &[Selected]) -> Sql {
        let mut pairs = Vec::new();
        for one in selection {
            let value = match one.name.as_str() {
                "__typename" => typename(one),
                "count" => self.count(at, row, one)?,
                function => {
                    let function = snake(function);
                    let mut columns = Vec::new();
                    for below in &one.selection {
                        columns.push((below.key.clone(), self.over_column(at, row, &function, below)?));
                    }
                    object_of(&columns)
                }
            };
            pairs.push((one.key.clone(), value));
        }
        Ok(object_of(&pairs))
    }

    fn count(&mut self, at: usize, row: &str, one: &Selected) -> Sql {
        let table = &self.model.tables[at];
        let named = one.args.get("columns").and_then(Value::as_array);
        let columns: Vec<String> = named
            .into_iter()
            .flatten()
            .filter_map(|name| table.column_of(name.as_str()?))
            .map(|known| column(row, &known.name))
            .collect();
        let distinct = one.args.get("distinct") == Some(&Value::Bool(true));
        Ok(match (columns.as_slice(), distinct) {
            ([], _) => "count(*)".to_owned(),
            ([only], _) => format!("count({}{only})", if distinct { "distinct " } else { "" }),
            (many, true) => format!("count(distinct ({}))", many.join(", ")),
            (many, false) => format!("count(({}))", many.join(", ")),
        })
    }

    fn over_column(&mut self, at: usize, row: &str, function: &str, below: &Selected) -> Result<String, GraphqlError> {
        let model = self.model;
        let table = &model.tables[at];
        let over = |writer: &Self, value: String, column: &Column| {
            let value = format!("{function}({value})");
            match function {
                // Deviations of whole numbers are numeric, of others double precision.
                "max" | "min" | "sum" => writer.shown_expression(value, column),
                _ => value,
            }
        };
        if let Some(known) = table.column_of(&below.name) {
            let value = column(row, &known.name);
            let schema = self.schema;
            let value = match schema.shown_where(at, &Cell::Column(known.at)) {
                None => value,
                Some(filter) => {
                    let condition = self.permission(at, row, filter)?;
                    format!("case when {condition} then {value} end")
                }
            };
            return Ok(over(self, value, known));
        }
        if let Some(field) = table.computed.get(&below.name)
            && let Returns::Scalar { ty, array, sql_type } = &field.returns
        {
            let call = self.computed_call(field, at, row, None)?;
            return Ok(over(self, call, &Column::typed(&field.name, ty, *array, sql_type)));
        }
        Ok(typename(below))
    }
}

/// `stddevPop` is `stddev_pop`.
fn snake(name: &str) -> String {
    let mut made = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            made.push('_');
        }
        made.push(letter.to_ascii_lowercase());
    }
    made
}
