//! Streaming subscriptions: a batch of rows behind the cursor, in its order, and where the cursor stands after them.
//! Rows with equal cursor values come in one batch, so that none is skipped.

use super::filter::{Author, Scope};
use super::{Statement, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::validate::Selected;
use serde_json::Value;

impl Writer<'_> {
    /// The statement, and which of its parameters is the position.
    pub fn stream(
        &mut self,
        at: usize,
        one: &Selected,
        path: &Path<'_>,
    ) -> Result<(Statement, Vec<usize>), GraphqlError> {
        let model = self.model;
        let table = &model.tables[at];
        let args = path.key("args");
        let cursors: Vec<&Value> = match one.args.get("cursor") {
            Some(Value::Array(list)) => list.iter().filter(|one| !one.is_null()).collect(),
            _ => Vec::new(),
        };
        let [cursor] = cursors.as_slice() else {
            return Err(GraphqlError::validation(
                &args.key("cursor"),
                "one streaming column field is expected",
            ));
        };
        let initial = cursor.get("initial_value").and_then(Value::as_object);
        let mut initial = initial.into_iter().flatten();
        let (Some((field, value)), None) = (initial.next(), initial.next()) else {
            let message = "multiple column cursors are not supported yet; one streaming column field is expected";
            return Err(GraphqlError::validation(&args.key("cursor"), message));
        };
        let known = table.column_of(field).ok_or_else(|| {
            GraphqlError::validation(&args.key("cursor"), format!("'{field}' is no column to stream by"))
        })?;
        let descending = cursor.get("ordering").and_then(Value::as_str) == Some("DESC");
        let base = self.alias();
        let position = self.params.len();
        let bound = self.param(super::value::text(value), &known.sql_type);
        let place = column(&base, &known.name);
        let ahead = if descending { "<" } else { ">" };
        let mut conditions = vec![
            format!("({bound} is null or {place} {ahead} {bound})"),
            format!("{place} is not null"),
            self.readable(at, &base)?,
        ];
        if let Some(given) = one.args.get("where").filter(|given| !given.is_null()) {
            let scope = Scope::of(at, &base, Author::Caller);
            conditions.push(self.filter(scope, given, &args.key("where"))?);
        }
        let size = one
            .args
            .get("batch_size")
            .and_then(Value::as_u64)
            .filter(|size| *size > 0);
        let size =
            size.ok_or_else(|| GraphqlError::validation(&args.key("batch_size"), "must be a positive number"))?;
        let size = self.param(Some(size.to_string()), "bigint");
        let direction = if descending { "desc" } else { "asc" };
        let row = self.alias();
        let object = self.object(at, &row, &one.selection, path)?;
        let latest = if descending { "asc" } else { "desc" };
        let name = crate::sql::quote::quote_ident(&known.name);
        let sql = format!(
            "select (select coalesce(json_agg({object}), '[]') from batch {row})::text, \
             (select case when count(*) > 0 then json_build_array((array_agg({name} order by {name} {latest}))[1]::text) end from batch)::text \
             from (select 1) one",
        );
        let batch = format!(
            "select {base}.* from {} {base} where {} order by {place} {direction} fetch first ({size}) rows with ties",
            name_of(table),
            all(conditions)
        );
        let sql = format!("with batch as ({batch}) {sql}");
        Ok((self.statement(sql, &path.render()), vec![position]))
    }
}
