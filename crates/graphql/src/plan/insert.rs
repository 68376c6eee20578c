//! Inserts of rows of one table: one statement. Rows that bring related rows with them are in `nested`.

use super::filter::{Author, Scope};
use super::mutation::{Change, nothing, refused};
use super::{Sql, Writer, all, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::Column;
use crate::sql::quote::quote_ident;
use crate::validate::Selected;
use serde_json::{Map, Value};

impl Writer<'_> {
    /// `None`: there are related rows to insert too.
    pub(super) fn insert(
        &mut self,
        at: usize,
        one: &Selected,
        path: &Path<'_>,
    ) -> Result<Option<Change>, GraphqlError> {
        let (model, schema) = (self.model, self.schema);
        let table = &model.tables[at];
        let Some(permission) = &schema.permissions[at].insert else {
            return Err(refused(path));
        };
        let objects = objects(one);
        if objects.is_empty() {
            return Ok(Some(Change {
                sql: nothing(table),
                check: "true".to_owned(),
            }));
        }
        let nests = |row: &&Value| {
            row.as_object()
                .is_some_and(|row| row.keys().any(|key| table.relationships.contains_key(key)))
        };
        if objects.iter().any(nests) {
            return Ok(None);
        }
        let given = |known: &&Column| {
            permission.set.contains_key(&known.name) || objects.iter().any(|row| row.get(&known.field).is_some())
        };
        let mut columns: Vec<&Column> = table.columns.iter().filter(given).collect();
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
        let (conflict, check, fresh) = self.conflict_and_check(at, one.args.get("on_conflict"), path)?;
        let sql = format!(
            "insert into {} as t ({}) values {}{conflict} returning *{fresh}",
            name_of(table),
            names.join(", "),
            rows.join(", ")
        );
        Ok(Some(Change { sql, check }))
    }

    /// ` on conflict …`, the condition all rows must fulfil, and what is returned to tell new rows from updated ones.
    fn conflict_and_check(
        &mut self,
        at: usize,
        given: Option<&Value>,
        path: &Path<'_>,
    ) -> Result<(String, String, &'static str), GraphqlError> {
        let schema = self.schema;
        let insert = schema.permissions[at].insert.as_ref().ok_or_else(|| refused(path))?;
        let mut check = self.permission(at, "c", &insert.check)?;
        let Some(Value::Object(conflict)) = given else {
            return Ok((String::new(), check, ""));
        };
        let update = schema.permissions[at].update.as_ref();
        let mut fresh = "";
        if let Some(on_update) = update.and_then(|update| update.check.as_ref()) {
            let updated = self.permission(at, "c", on_update)?;
            check = format!("(case when c.portico_is_new then {check} else {updated} end)");
            fresh = ", (xmax = 0) as portico_is_new";
        }
        Ok((self.conflict(at, conflict, path)?, check, fresh))
    }

    pub(super) fn conflict(&mut self, at: usize, given: &Map<String, Value>, path: &Path<'_>) -> Sql {
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
            let Some(known) = name.as_str().and_then(|name| table.column_of(name)) else {
                return Err(GraphqlError::validation(
                    &path.key("on_conflict"),
                    "erroneous column name",
                ));
            };
            let name = quote_ident(&known.name);
            sets.push(format!("{name} = excluded.{name}"));
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
            let scope = Scope::of(at, "t", Author::Caller);
            conditions.push(self.filter(scope, given, &path.key("on_conflict").key("where"))?);
        }
        let (sets, conditions) = (sets.join(", "), all(conditions));
        Ok(format!(
            " on conflict on constraint {constraint} do update set {sets} where {conditions}"
        ))
    }
}

pub(super) fn objects(one: &Selected) -> Vec<&Value> {
    match (one.args.get("object"), one.args.get("objects")) {
        (Some(object), _) => vec![object],
        (None, Some(Value::Array(objects))) => objects.iter().collect(),
        _ => Vec::new(),
    }
}
