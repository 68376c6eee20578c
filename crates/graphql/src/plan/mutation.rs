//! Writes: one statement each, the change in a CTE whose rows answer `returning` and are put to the permission's check.

use super::filter::Author;
use super::select::{object_of, typename};
use super::{Source, Sql, Statement, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::{Column, Table};
use crate::schema::{Root, Verb};
use crate::sql::quote::quote_ident;
use crate::validate::Selected;
use serde_json::{Map, Value};

impl Writer<'_> {
    pub fn mutation(
        &mut self,
        root: Root,
        one: &Selected,
        path: &Path<'_>,
        out: &mut Vec<Statement>,
    ) -> Result<Source, GraphqlError> {
        let at = root.table;
        let single = matches!(
            root.verb,
            Verb::InsertOne | Verb::UpdateByPrimaryKey | Verb::DeleteByPrimaryKey
        );
        let args = path.key("args");
        let mut several = Vec::new();
        if root.verb == Verb::UpdateMany {
            for given in one.args.get("updates").and_then(Value::as_array).into_iter().flatten() {
                let Value::Object(given) = given else { continue };
                let change = self.update(at, given, &args)?;
                let sql = self.changed(at, change, one, single, path)?;
                several.push(out.len());
                out.push(self.statement(sql, &path.render()));
            }
            return Ok(Source::Cells(several));
        }
        let change = match root.verb {
            Verb::Insert | Verb::InsertOne => self.insert(at, one, &args)?,
            Verb::Update | Verb::UpdateByPrimaryKey => self.update(at, &one.args, &args)?,
            _ => (self.delete(at, &one.args, &args)?, "true".to_owned()),
        };
        let sql = self.changed(at, change, one, single, path)?;
        out.push(self.statement(sql, &path.render()));
        Ok(Source::Cell(out.len() - 1, 0))
    }

    /// The answer over the rows that a change returned, and whether all of them pass its check.
    fn changed(&mut self, at: usize, change: (String, String), one: &Selected, single: bool, path: &Path<'_>) -> Sql {
        let (change, check) = change;
        let row = self.alias();
        let answer = if single {
            format!(
                "(select {} from changed {row})",
                self.object(at, &row, &one.selection, path)?
            )
        } else {
            let mut pairs = Vec::new();
            for part in &one.selection {
                let value = match part.name.as_str() {
                    "affected_rows" => "(select count(*) from changed)".to_owned(),
                    "returning" => {
                        let object = self.object(at, &row, &part.selection, path)?;
                        format!("(select coalesce(json_agg({object}), '[]') from changed {row})")
                    }
                    _ => typename(part),
                };
                pairs.push((part.key.clone(), value));
            }
            object_of(&pairs)
        };
        Ok(format!(
            "with changed as ({change}) select ({answer})::text, \
             (select coalesce(bool_and(coalesce({check}, false)), true) from changed c)::text"
        ))
    }

    fn insert(&mut self, at: usize, one: &Selected, path: &Path<'_>) -> Result<(String, String), GraphqlError> {
        let (model, schema) = (self.model, self.schema);
        let table = &model.tables[at];
        let Some(permission) = &schema.permissions[at].insert else {
            return Err(refused(path));
        };
        let objects: Vec<&Value> = match (one.args.get("object"), one.args.get("objects")) {
            (Some(object), _) => vec![object],
            (None, Some(Value::Array(objects))) => objects.iter().collect(),
            _ => Vec::new(),
        };
        if objects.is_empty() {
            return Ok((nothing(table), "true".to_owned()));
        }
        let mut columns: Vec<&Column> = table
            .columns
            .iter()
            .filter(|known| {
                permission.set.contains_key(&known.name) || objects.iter().any(|row| row.get(&known.field).is_some())
            })
            .collect();
        if columns.is_empty() {
            columns.extend(table.columns.first());
        }
        let mut rows = Vec::with_capacity(objects.len());
        for object in objects {
            let mut values = Vec::with_capacity(columns.len());
            for known in &columns {
                values.push(match (permission.set.get(&known.name), object.get(&known.field)) {
                    (Some(preset), _) => self.preset(preset, known)?,
                    (None, Some(value)) => self.value(value, known),
                    (None, None) => "default".to_owned(),
                });
            }
            rows.push(format!("({})", values.join(", ")));
        }
        let names: Vec<String> = columns.iter().map(|known| quote_ident(&known.name)).collect();
        let mut check = self.permission(at, "c", &permission.check)?;
        let mut fresh = "";
        let conflict = match one.args.get("on_conflict") {
            Some(Value::Object(conflict)) => {
                let on_update = schema.permissions[at]
                    .update
                    .as_ref()
                    .and_then(|update| update.check.as_ref());
                if let Some(on_update) = on_update {
                    let updated = self.permission(at, "c", on_update)?;
                    check = format!("(case when c.portico_is_new then {check} else {updated} end)");
                    fresh = ", (xmax = 0) as portico_is_new";
                }
                self.conflict(at, conflict, path)?
            }
            _ => String::new(),
        };
        let sql = format!(
            "insert into {} as t ({}) values {}{conflict} returning *{fresh}",
            name_of(table),
            names.join(", "),
            rows.join(", ")
        );
        Ok((sql, check))
    }

    fn conflict(&mut self, at: usize, given: &Map<String, Value>, path: &Path<'_>) -> Sql {
        let (model, schema) = (self.model, self.schema);
        let table = &model.tables[at];
        let Some(permission) = &schema.permissions[at].update else {
            return Err(refused(path));
        };
        let constraint = quote_ident(given.get("constraint").and_then(Value::as_str).unwrap_or_default());
        let mut sets = Vec::new();
        for name in given
            .get("update_columns")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(known) = name.as_str().and_then(|name| table.column_of(name)) {
                let name = quote_ident(&known.name);
                sets.push(format!("{name} = excluded.{name}"));
            }
        }
        if sets.is_empty() {
            return Ok(format!(" on conflict on constraint {constraint} do nothing"));
        }
        for (name, preset) in &permission.set {
            if let Some(known) = table.column_named(name) {
                sets.push(format!("{} = {}", quote_ident(name), self.preset(preset, known)?));
            }
        }
        let mut conditions = vec![self.permission(at, "t", &permission.filter)?];
        if let Some(given) = given.get("where").filter(|given| !given.is_null()) {
            conditions.push(self.filter(at, "t", given, Author::Caller, &path.key("on_conflict").key("where"))?);
        }
        let (sets, conditions) = (sets.join(", "), all(conditions));
        Ok(format!(
            " on conflict on constraint {constraint} do update set {sets} where {conditions}"
        ))
    }

    fn update(
        &mut self,
        at: usize,
        given: &Map<String, Value>,
        path: &Path<'_>,
    ) -> Result<(String, String), GraphqlError> {
        let (model, schema) = (self.model, self.schema);
        let table = &model.tables[at];
        let Some(permission) = &schema.permissions[at].update else {
            return Err(refused(path));
        };
        let mut sets: Vec<(&str, String)> = Vec::new();
        let mut any = !permission.set.is_empty();
        for (operator, fields) in given {
            let Some(fields) = fields.as_object().filter(|_| operator.starts_with('_')) else {
                continue;
            };
            any = true;
            for (field, value) in fields {
                let Some(known) = table.column_of(field) else { continue };
                if sets.iter().any(|(name, _)| *name == known.name) {
                    let message = format!("Column found in multiple operators: \"{}\".", known.field);
                    return Err(GraphqlError::validation(path, message));
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
                sets.push((known.name.as_str(), new));
            }
        }
        if !any {
            let message = "at least any one of _append, _delete_at_path, _delete_elem, _delete_key, _inc, _prepend, \
                           _set is expected";
            return Err(GraphqlError::validation(path, message));
        }
        for (name, preset) in &permission.set {
            if let Some(known) = table.column_named(name) {
                sets.push((name.as_str(), self.preset(preset, known)?));
            }
        }
        if sets.is_empty() {
            return Ok((nothing(table), "true".to_owned()));
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
        Ok((sql, check))
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
            (Some(filter), _) => self.filter(at, "t", filter, Author::Caller, &path.key("where"))?,
            (None, Some(Value::Object(key))) => self.key(at, "t", key),
            _ => self.key(at, "t", given),
        };
        Ok(all(vec![self.permission(at, "t", permission)?, named]))
    }
}

/// No rows, in the shape of the table's.
fn nothing(table: &Table) -> String {
    format!("select * from {} where false", name_of(table))
}

fn refused(path: &Path<'_>) -> GraphqlError {
    GraphqlError::validation(path, "not allowed")
}
