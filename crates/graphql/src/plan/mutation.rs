//! Writes: one statement each, the change in a CTE whose rows answer `returning` and are put to the permission's check.

use super::filter::{Author, Scope};
use super::select::{Rows, object_of, typename};
use super::{Source, Sql, Statement, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::Table;
use crate::schema::{Root, Verb};
use crate::sql::quote::quote_ident;
use crate::validate::Selected;
use serde_json::{Map, Value};

/// A change and the condition its rows must fulfil, under the alias `c`.
pub(super) struct Change {
    pub sql: String,
    pub check: String,
}

impl Writer<'_> {
    pub fn mutation(
        &mut self,
        root: Root,
        one: &Selected,
        path: &Path<'_>,
        out: &mut Vec<Statement>,
    ) -> Result<Source, GraphqlError> {
        let at = root.table;
        let args = path.key("args");
        let change = match root.verb {
            Verb::UpdateMany => return self.update_many(at, one, path, out),
            Verb::Call(function) => return self.changing_call(function, one, path, out),
            Verb::Insert | Verb::InsertOne => match self.insert(at, one, &args)? {
                Some(change) => change,
                None => return self.nested_insert(at, one, root.verb == Verb::InsertOne, path, out),
            },
            Verb::Update | Verb::UpdateByPrimaryKey => self.update(at, &one.args, &args)?,
            _ => Change {
                sql: self.delete(at, &one.args, &args)?,
                check: "true".to_owned(),
            },
        };
        let single = matches!(
            root.verb,
            Verb::InsertOne | Verb::UpdateByPrimaryKey | Verb::DeleteByPrimaryKey
        );
        let place = match root.verb {
            Verb::InsertOne => args.key("object").render(),
            Verb::Insert => args.key("objects").render(),
            _ => path.render(),
        };
        let sql = self.changed(at, &change, one, single, path)?;
        let mut statement = self.statement(sql, &place);
        if matches!(root.verb, Verb::Update | Verb::UpdateByPrimaryKey) {
            statement.check_path = Some("$".to_owned());
        }
        out.push(statement);
        Ok(Source::Cell(out.len() - 1, 0))
    }

    fn update_many(
        &mut self,
        at: usize,
        one: &Selected,
        path: &Path<'_>,
        out: &mut Vec<Statement>,
    ) -> Result<Source, GraphqlError> {
        let args = path.key("args");
        let mut several = Vec::new();
        for given in one.args.get("updates").and_then(Value::as_array).into_iter().flatten() {
            let Value::Object(given) = given else { continue };
            let change = self.update(at, given, &args)?;
            let sql = self.changed(at, &change, one, false, path)?;
            several.push(out.len());
            out.push(self.statement(sql, &path.render()));
        }
        Ok(Source::Cells(several))
    }

    /// A function that changes something and returns rows: it is called once.
    fn changing_call(
        &mut self,
        function: usize,
        one: &Selected,
        path: &Path<'_>,
        out: &mut Vec<Statement>,
    ) -> Result<Source, GraphqlError> {
        let function = &self.model.functions[function];
        let call = self.call(function, &one.args)?;
        let rows = Rows::from(function.table, format!("(select * from {call})"));
        let answer = match function.many {
            true => self.list(&rows, &one.args, &one.selection, path)?,
            false => self.single(&rows, one, path)?,
        };
        let sql = format!("select ({answer})::text, 'true'");
        out.push(self.statement(sql, &path.render()));
        Ok(Source::Cell(out.len() - 1, 0))
    }

    /// The answer over the rows that a change returned, and whether all of them pass its check.
    fn changed(&mut self, at: usize, change: &Change, one: &Selected, single: bool, path: &Path<'_>) -> Sql {
        let count = "(select count(*) from changed)";
        let answer = self.answer(at, one, single, count, path)?;
        let (sql, check) = (&change.sql, &change.check);
        Ok(format!(
            "with changed as ({sql}) select ({answer})::text, \
             (select coalesce(bool_and(coalesce({check}, false)), true) from changed c)::text"
        ))
    }

    /// Over the rows of `changed`.
    pub(super) fn answer(&mut self, at: usize, one: &Selected, single: bool, count: &str, path: &Path<'_>) -> Sql {
        let row = self.alias();
        if single {
            return Ok(format!(
                "(select {} from changed {row})",
                self.object(at, &row, &one.selection, path)?
            ));
        }
        let below = path.key("selectionSet");
        let mut pairs = Vec::new();
        for part in &one.selection {
            let value = match part.name.as_str() {
                "affected_rows" => count.to_owned(),
                "returning" => {
                    let object = self.object(at, &row, &part.selection, &below.key("returning"))?;
                    format!("(select coalesce(json_agg({object}), '[]') from changed {row})")
                }
                _ => typename(part),
            };
            pairs.push((part.key.clone(), value));
        }
        Ok(object_of(&pairs))
    }

    fn update(&mut self, at: usize, given: &Map<String, Value>, path: &Path<'_>) -> Result<Change, GraphqlError> {
        let (model, schema) = (self.model, self.schema);
        let table = &model.tables[at];
        let Some(permission) = &schema.permissions[at].update else {
            return Err(refused(path));
        };
        let mut sets = self.assignments(table, given, permission.set.is_empty(), path)?;
        for (name, preset) in &permission.set {
            if let Some(known) = table.column_named(name) {
                sets.push((name.clone(), self.preset(preset, known)?));
            }
        }
        if sets.is_empty() {
            return Ok(Change {
                sql: nothing(table),
                check: "true".to_owned(),
            });
        }
        let condition = self.chosen(at, given, &permission.filter, path)?;
        let check = match &permission.check {
            Some(check) => self.permission(at, "c", check)?,
            None => "true".to_owned(),
        };
        let sets: Vec<String> = sets
            .iter()
            .map(|(name, new)| format!("{} = {new}", quote_ident(name)))
            .collect();
        let sql = format!(
            "update {} as t set {} where {condition} returning *",
            name_of(table),
            sets.join(", ")
        );
        Ok(Change { sql, check })
    }

    /// What `_set`, `_inc` and the others ask for: column and new value.
    fn assignments(
        &mut self,
        table: &Table,
        given: &Map<String, Value>,
        needed: bool,
        path: &Path<'_>,
    ) -> Result<Vec<(String, String)>, GraphqlError> {
        let mut sets: Vec<(String, String)> = Vec::new();
        let mut any = !needed;
        let mut twice: Vec<String> = Vec::new();
        for (operator, fields) in given {
            let Some(fields) = fields.as_object().filter(|_| operator.starts_with('_')) else {
                continue;
            };
            any = true;
            for (field, value) in fields {
                let Some(known) = table.column_of(field) else { continue };
                if sets.iter().any(|(name, _)| *name == known.name) {
                    twice.push(format!("'{}'", known.field));
                    continue;
                }
                let old = column("t", &known.name);
                let as_type = |ty: &str, writer: &mut Self| writer.param(super::value::text(value), ty);
                let new = match operator.as_str() {
                    "_inc" => format!("{old} + {}", self.value(value, known)),
                    "_append" => format!("{old} || {}", self.value(value, known)),
                    "_prepend" => format!("{} || {old}", self.value(value, known)),
                    "_delete_key" => format!("{old} - {}", as_type("text", self)),
                    "_delete_elem" => format!("{old} - {}", as_type("int", self)),
                    "_delete_at_path" => format!("{old} #- {}", as_type("text[]", self)),
                    _ => self.value(value, known),
                };
                sets.push((known.name.clone(), new));
            }
        }
        if !twice.is_empty() {
            let message = format!("Column found in multiple operators: [{}].", twice.join(", "));
            return Err(GraphqlError::validation(path, message));
        }
        if !any {
            let message = "at least any one of _append, _delete_at_path, _delete_elem, _delete_key, _inc, _prepend, \
                           _set is expected";
            return Err(GraphqlError::validation(path, message));
        }
        Ok(sets)
    }

    fn delete(&mut self, at: usize, given: &Map<String, Value>, path: &Path<'_>) -> Sql {
        let schema = self.schema;
        let Some(permission) = &schema.permissions[at].delete else {
            return Err(refused(path));
        };
        let condition = self.chosen(at, given, &permission.filter, path)?;
        Ok(format!(
            "delete from {} as t where {condition} returning *",
            name_of(&self.model.tables[at])
        ))
    }

    /// The rows that `where`, `pk_columns` or key arguments name, within the permission.
    fn chosen(&mut self, at: usize, given: &Map<String, Value>, permission: &Value, path: &Path<'_>) -> Sql {
        let named = match (given.get("where"), given.get("pk_columns")) {
            (Some(filter), _) => self.filter(Scope::of(at, "t", Author::Caller), filter, &path.key("where"))?,
            (None, Some(Value::Object(key))) => self.key(at, "t", key),
            _ => self.key(at, "t", given),
        };
        Ok(all(vec![self.permission(at, "t", permission)?, named]))
    }
}

/// No rows, in the shape of the table's.
pub(super) fn nothing(table: &Table) -> String {
    format!("select * from {} where false", name_of(table))
}

pub(super) fn refused(path: &Path<'_>) -> GraphqlError {
    GraphqlError::validation(path, "not allowed")
}
