//! Inserts of rows that bring related rows with them: a chain of CTEs, a row each, so that keys flow from one to the next.
//! What they return and whether all checks hold is a second statement, which sees them.

use super::insert::objects;
use super::mutation::refused;
use super::{Feed, Source, Sql, Statement, Writer, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::{Relationship, Table};
use crate::sql::quote::quote_ident;
use crate::validate::Selected;
use serde_json::{Map, Value};

/// Rows that one request may insert in nested form.
const MOST_NESTED: usize = 5_000;

impl Writer<'_> {
    pub(super) fn nested_insert(
        &mut self,
        at: usize,
        one: &Selected,
        single: bool,
        path: &Path<'_>,
        out: &mut Vec<Statement>,
    ) -> Result<Source, GraphqlError> {
        let args = path.key("args");
        let mut chain = Chain::default();
        let mut own = Vec::new();
        for (place, object) in objects(one).into_iter().enumerate() {
            let (objects, object_path) = (args.key("objects"), args.key("object"));
            let here = if single { object_path } else { objects.index(place) };
            own.push(self.link(at, object, one.args.get("on_conflict"), &[], &here, &mut chain)?);
        }
        let rows = |names: &[String], at: usize, writer: &Self| {
            let each: Vec<String> = names
                .iter()
                .map(|name| format!("select {} as r from {name} c", writer.whole_row(at, "c")))
                .collect();
            format!("(select array_agg(r) from ({}) every)::text", each.join(" union all "))
        };
        let count: Vec<String> = chain
            .links
            .iter()
            .map(|link| format!("(select count(*) from {})", link.name))
            .collect();
        let mut cells = vec![
            rows(&own, at, self),
            chain.verdict(),
            format!("({})::text", count.join(" + ")),
        ];
        // Each table's rows are checked together, those new and those updated apart.
        let mut checked: Vec<(usize, String)> = Vec::new();
        for link in &chain.links {
            if !checked.iter().any(|(at, check)| *at == link.at && *check == link.check) && link.check != "true" {
                checked.push((link.at, link.check.clone()));
                let same = chain
                    .links
                    .iter()
                    .filter(|other| other.at == link.at && other.check == link.check);
                let names: Vec<String> = same.map(|link| link.name.clone()).collect();
                cells.push(rows(&names, link.at, self));
            }
        }
        let ctes: Vec<String> = chain
            .links
            .iter()
            .map(|link| format!("{} as ({})", link.name, link.sql))
            .collect();
        let sql = format!("with {} select {}", ctes.join(", "), cells.join(", "));
        let place = if single {
            args.key("object").render()
        } else {
            args.key("objects").render()
        };
        out.push(self.statement(sql, &place));
        let inserted = out.len() - 1;
        self.nested_answer(at, one, single, &checked, inserted, path, out)
    }

    /// Over the rows the chain returned, which is over: they are there to be read.
    #[allow(clippy::too_many_arguments)]
    fn nested_answer(
        &mut self,
        at: usize,
        one: &Selected,
        single: bool,
        checked: &[(usize, String)],
        inserted: usize,
        path: &Path<'_>,
        out: &mut Vec<Statement>,
    ) -> Result<Source, GraphqlError> {
        let mut feeds = Vec::new();
        let mut fed = |writer: &mut Self, column: usize, ty: &str| {
            let text = writer.param(None, ty);
            feeds.push(Feed {
                statement: inserted,
                column,
                param: writer.params.len() - 1,
            });
            text
        };
        let array = |writer: &Self, at: usize| format!("{}[]", name_of(&writer.model.tables[at]));
        let rows = fed(self, 0, &array(self, at));
        let count = fed(self, 2, "bigint");
        let mut verdicts = Vec::new();
        for (place, (at, check)) in checked.iter().enumerate() {
            let rows = fed(self, 3 + place, &array(self, *at));
            let check = self.permission(*at, "c", &serde_json::from_str(check).unwrap_or_default())?;
            verdicts.push(format!(
                "(select coalesce(bool_and(coalesce({check}, false)), true) from unnest({rows}) c)"
            ));
        }
        let answer = self.answer(at, one, single, &count, path)?;
        let verdict = match verdicts.is_empty() {
            true => "true".to_owned(),
            false => verdicts.join(" and "),
        };
        let sql = format!("with changed as (select * from unnest({rows})) select ({answer})::text, ({verdict})::text");
        let args = path.key("args");
        let place = if single {
            args.key("object").render()
        } else {
            args.key("objects").render()
        };
        let mut statement = self.statement(sql, &place);
        statement.feeds = feeds;
        out.push(statement);
        Ok(Source::Cell(out.len() - 1, 0))
    }

    /// One row: first those it refers to, then itself, then those that refer to it. Gives its CTE's name.
    fn link(
        &mut self,
        at: usize,
        object: &Value,
        conflict: Option<&Value>,
        handed: &[(String, String)],
        path: &Path<'_>,
        chain: &mut Chain,
    ) -> Sql {
        let (model, schema) = (self.model, self.schema);
        let table = &model.tables[at];
        let permission = schema.permissions[at].insert.as_ref().ok_or_else(|| refused(path))?;
        if chain.links.len() >= MOST_NESTED {
            return Err(GraphqlError::validation(path, "too many rows in one nested insert"));
        }
        let empty = Map::new();
        let fields = object.as_object().unwrap_or(&empty);
        let mut values: Vec<(String, String)> = handed.to_vec();
        let mut from: Vec<String> = Vec::new();
        for (name, value) in fields {
            if let Some(relationship) = table.relationships.get(name).filter(|one| !one.after && !one.array) {
                let Some(parent) = self.parent(relationship, value, &path.key(name), chain)? else {
                    continue;
                };
                for (ours, theirs) in &relationship.on {
                    if fields.contains_key(table.column_named(ours).map_or("", |column| &column.field)) {
                        let message = format!(
                            "cannot insert \"{}\" column as its value is already being determined by object relationship \"{name}\"",
                            ours
                        );
                        return Err(GraphqlError::validation(path, message));
                    }
                    values.push((ours.clone(), format!("{parent}.{}", quote_ident(theirs))));
                }
                from.push(parent);
            }
        }
        for column in &table.columns {
            if let Some(preset) = permission.set.get(&column.name) {
                values.retain(|(name, _)| *name != column.name);
                values.push((column.name.clone(), self.preset(preset, column)?));
            } else if let Some(value) = fields.get(&column.field) {
                if handed.iter().any(|(name, _)| *name == column.name) {
                    let message = format!(
                        "cannot insert \"{}\" columns as their values are already being determined by parent insert",
                        column.field
                    );
                    return Err(GraphqlError::validation(path, message));
                }
                values.push((column.name.clone(), self.value(value, column)));
            }
        }
        let sources: Vec<String> = handed_sources(handed);
        from.extend(sources);
        from.sort();
        from.dedup();
        let name = format!("n{}", chain.links.len());
        let sql = self.link_sql(at, table, &values, &from, conflict, path)?;
        chain.links.push(Link {
            name: name.clone(),
            at,
            sql,
            check: permission_text(&permission.check),
        });
        for (field, value) in fields {
            if let Some(relationship) = table.relationships.get(field).filter(|one| one.after || one.array) {
                self.children(relationship, value, &name, &path.key(field), chain)?;
            }
        }
        Ok(name)
    }

    fn link_sql(
        &mut self,
        at: usize,
        table: &Table,
        values: &[(String, String)],
        from: &[String],
        conflict: Option<&Value>,
        path: &Path<'_>,
    ) -> Sql {
        let conflict = match conflict {
            Some(Value::Object(conflict)) => self.conflict(at, conflict, path)?,
            _ => String::new(),
        };
        let target = name_of(table);
        if values.is_empty() {
            return Ok(format!(
                "insert into {target} as t default values{conflict} returning *"
            ));
        }
        let names: Vec<String> = values.iter().map(|(name, _)| quote_ident(name)).collect();
        let cells: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
        let from = match from.is_empty() {
            true => String::new(),
            false => format!(" from {}", from.join(", ")),
        };
        Ok(format!(
            "insert into {target} as t ({}) select {}{from}{} returning *",
            names.join(", "),
            cells.join(", "),
            // `insert … select … on conflict` needs to know where the select ends.
            if conflict.is_empty() {
                String::new()
            } else {
                format!(" where true{conflict}")
            }
        ))
    }

    /// The row an object relationship refers to.
    fn parent(
        &mut self,
        relationship: &Relationship,
        given: &Value,
        path: &Path<'_>,
        chain: &mut Chain,
    ) -> Result<Option<String>, GraphqlError> {
        let Some(data) = given.get("data").filter(|data| !data.is_null()) else {
            return Ok(None);
        };
        let name = self.link(
            relationship.target,
            data,
            given.get("on_conflict"),
            &[],
            &path.key("data"),
            chain,
        )?;
        let table = &self.model.tables[relationship.target];
        chain.needed.push((
            name.clone(),
            format!(
                "cannot proceed to insert object relation \"{}\" since insert to table \"{}\" affects zero rows",
                relationship.name,
                table.shown()
            ),
            path.render(),
        ));
        Ok(Some(name))
    }

    /// The rows that refer to this one.
    fn children(
        &mut self,
        relationship: &Relationship,
        given: &Value,
        parent: &str,
        path: &Path<'_>,
        chain: &mut Chain,
    ) -> Result<(), GraphqlError> {
        let handed: Vec<(String, String)> = relationship
            .on
            .iter()
            .map(|(ours, theirs)| (theirs.clone(), format!("{parent}.{}", quote_ident(ours))))
            .collect();
        let conflict = given.get("on_conflict");
        let data = path.key("data");
        match given.get("data") {
            Some(Value::Array(rows)) => {
                if !rows.is_empty() {
                    chain.needed.push((
                        parent.to_owned(),
                        format!(
                            "cannot proceed to insert array relations since insert to table \"{}\" affects zero rows",
                            chain
                                .links
                                .iter()
                                .find(|link| link.name == parent)
                                .map(|link| self.model.tables[link.at].shown())
                                .unwrap_or_default()
                        ),
                        path.render(),
                    ));
                }
                for (place, row) in rows.iter().enumerate() {
                    self.link(relationship.target, row, conflict, &handed, &data.index(place), chain)?;
                }
            }
            Some(row @ Value::Object(_)) => {
                self.link(relationship.target, row, conflict, &handed, &data, chain)?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Default)]
struct Chain {
    links: Vec<Link>,
    /// CTEs that must have a row, what is wrong where they have none, and the place in the request.
    needed: Vec<(String, String, String)>,
}

struct Link {
    name: String,
    at: usize,
    sql: String,
    /// The permission's check as JSON text; `true`: there is none.
    check: String,
}

impl Chain {
    /// `true`, or the first thing that is wrong as JSON.
    fn verdict(&self) -> String {
        let mut sql = String::from("(case");
        for (name, message, path) in &self.needed {
            let told = serde_json::json!({"code": "unexpected", "message": message, "path": path}).to_string();
            sql.push_str(&format!(
                " when not exists (select from {name}) then '{}'",
                told.replace('\'', "''")
            ));
        }
        match self.needed.is_empty() {
            true => "'true'".to_owned(),
            false => sql + " else 'true' end)",
        }
    }
}

fn permission_text(check: &Value) -> String {
    match check {
        Value::Null => "true".to_owned(),
        Value::Object(fields) if fields.is_empty() => "true".to_owned(),
        check => check.to_string(),
    }
}

/// The CTEs that handed-down values come from.
fn handed_sources(handed: &[(String, String)]) -> Vec<String> {
    handed
        .iter()
        .filter_map(|(_, value)| value.split('.').next().map(str::to_owned))
        .collect()
}
