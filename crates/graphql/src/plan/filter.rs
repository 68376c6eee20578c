//! Boolean expressions as SQL: the caller's `where`, and the filters and checks of permissions. What is not understood
//! is refused, never skipped.

use super::{Sql, Writer, all, column as at_column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::{Column, Relationship, Table};
use serde_json::Value;

/// Whose expression it is: permissions may name session variables and see rows past other permissions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Author {
    Caller,
    Permission,
}

impl<'a> Writer<'a> {
    /// The rows of a table the role may read.
    pub fn readable(&mut self, at: usize, alias: &str) -> Sql {
        match &self.schema.permissions[at].select {
            Some(select) => self.permission(at, alias, &select.filter),
            None => Ok("false".to_owned()),
        }
    }

    pub fn permission(&mut self, at: usize, alias: &str, filter: &Value) -> Sql {
        let root = Path::root();
        self.filter(at, alias, filter, Author::Permission, &root)
    }

    pub fn filter(&mut self, at: usize, alias: &str, given: &Value, author: Author, path: &Path<'_>) -> Sql {
        let model = self.model;
        let table = &model.tables[at];
        let Value::Object(fields) = given else {
            return Err(unexpected(given, &format!("{}_bool_exp", table.field), path));
        };
        let mut conditions = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let here = path.key(name);
            let condition = match name.as_str() {
                "_and" | "$and" => all(self.several(at, alias, value, author, &here)?),
                "_or" | "$or" => match self.several(at, alias, value, author, &here)? {
                    none if none.is_empty() => "false".to_owned(),
                    some => format!("({})", some.join(" or ")),
                },
                "_not" | "$not" => format!("(not {})", self.filter(at, alias, value, author, &here)?),
                "_exists" | "$exists" if author == Author::Permission => self.exists(value, &here)?,
                name => match (column_of(table, name, author), table.relationships.get(name)) {
                    (Some(column), _) => self.comparisons(at, column, alias, value, author, &here)?,
                    (None, Some(relationship)) => self.related(relationship, alias, value, author, &here)?,
                    (None, None) => return Err(unknown(name, table, &here)),
                },
            };
            conditions.push(condition);
        }
        Ok(all(conditions))
    }

    fn several(
        &mut self,
        at: usize,
        alias: &str,
        given: &Value,
        author: Author,
        path: &Path<'_>,
    ) -> Result<Vec<String>, GraphqlError> {
        let Value::Array(items) = given else {
            return Err(unexpected(given, "a list", path));
        };
        items
            .iter()
            .enumerate()
            .map(|(place, item)| self.filter(at, alias, item, author, &path.index(place)))
            .collect()
    }

    /// The condition that ties a row of the target to ours.
    pub fn tie(&self, relationship: &Relationship, ours: &str, theirs: &str) -> String {
        let pair =
            |(here, there): &(String, String)| format!("{} = {}", at_column(theirs, there), at_column(ours, here));
        all(relationship.on.iter().map(pair).collect())
    }

    fn related(&mut self, over: &Relationship, alias: &str, given: &Value, author: Author, path: &Path<'_>) -> Sql {
        let theirs = self.alias();
        let mut conditions = vec![self.tie(over, alias, &theirs)];
        if author == Author::Caller {
            conditions.push(self.readable(over.target, &theirs)?);
        }
        conditions.push(self.filter(over.target, &theirs, given, author, path)?);
        let table = name_of(&self.model.tables[over.target]);
        Ok(format!(
            "exists (select 1 from {table} {theirs} where {})",
            all(conditions)
        ))
    }

    /// `{_table: {schema, name}, _where: …}`
    fn exists(&mut self, given: &Value, path: &Path<'_>) -> Sql {
        let name: Option<metadata::TableName> = given
            .get("_table")
            .and_then(|name| serde_json::from_value(name.clone()).ok());
        let model = self.model;
        let found = name.and_then(|name| {
            model
                .tables
                .iter()
                .position(|table| table.schema == name.schema && table.name == name.name)
        });
        let (Some(at), Some(inner)) = (found, given.get("_where")) else {
            return Err(GraphqlError::new(
                "unexpected",
                path.render(),
                "a permission's '_exists' names no tracked table",
            ));
        };
        let theirs = self.alias();
        let condition = self.filter(at, &theirs, inner, Author::Permission, path)?;
        Ok(format!(
            "exists (select 1 from {} {theirs} where {condition})",
            name_of(&model.tables[at])
        ))
    }

    fn comparisons(
        &mut self,
        at: usize,
        column: &Column,
        alias: &str,
        given: &Value,
        author: Author,
        path: &Path<'_>,
    ) -> Sql {
        match given {
            Value::Object(operators) => {
                let mut conditions = Vec::with_capacity(operators.len());
                for (operator, value) in operators {
                    conditions.push(self.comparison(
                        at,
                        column,
                        alias,
                        (operator, value),
                        author,
                        &path.key(operator),
                    )?);
                }
                Ok(all(conditions))
            }
            // A permission's short form of `_eq`.
            value if author == Author::Permission => self.comparison(at, column, alias, ("_eq", value), author, path),
            other => Err(unexpected(other, &format!("{}_comparison_exp", column.scalar()), path)),
        }
    }

    fn comparison(
        &mut self,
        at: usize,
        column: &Column,
        alias: &str,
        (operator, given): (&str, &Value),
        author: Author,
        path: &Path<'_>,
    ) -> Sql {
        let left = at_column(alias, &column.name);
        let operator = operator.trim_start_matches(['_', '$']);
        let value = if author == Author::Permission {
            self.permitted(given)?
        } else {
            given.clone()
        };
        if value.is_null() {
            return Err(unexpected(&value, &column.scalar(), path));
        }
        if let Some(sql) = operator_of(operator) {
            let is_text =
                matches!(operator, o if o.ends_with("like") || o.ends_with("regex") || o.ends_with("similar"));
            let right = if is_text {
                self.param(super::value::text(&value), "text")
            } else {
                self.value(&value, column)
            };
            return Ok(format!("({left} {sql} {right})"));
        }
        let model = self.model;
        match operator {
            "is_null" if value == Value::Bool(true) || value == "true" => Ok(format!("({left} is null)")),
            "is_null" => Ok(format!("({left} is not null)")),
            "in" => Ok(format!("({left} = any({}))", self.values(&value, column))),
            "nin" => Ok(format!("({left} <> all({}))", self.values(&value, column))),
            "has_key" => Ok(format!("({left} ? {})", self.param(super::value::text(&value), "text"))),
            "has_keys_any" => Ok(format!(
                "({left} ?| {})",
                self.param(super::value::text(&value), "text[]")
            )),
            "has_keys_all" => Ok(format!(
                "({left} ?& {})",
                self.param(super::value::text(&value), "text[]")
            )),
            "ceq" | "cne" | "cgt" | "clt" | "cgte" | "clte" if author == Author::Permission => {
                let sql = match operator {
                    "ceq" => "=",
                    "cne" => "<>",
                    "cgt" => ">",
                    "clt" => "<",
                    "cgte" => ">=",
                    _ => "<=",
                };
                let other = value.as_str().and_then(|name| model.tables[at].column_named(name));
                let other = other.ok_or_else(|| unexpected(&value, "a column", path))?;
                Ok(format!("({left} {sql} {})", at_column(alias, &other.name)))
            }
            other => Err(GraphqlError::new(
                "unexpected",
                path.render(),
                format!("unknown operator '{other}'"),
            )),
        }
    }
}

fn operator_of(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "eq" => "=",
        "neq" | "ne" => "<>",
        "gt" => ">",
        "lt" => "<",
        "gte" => ">=",
        "lte" => "<=",
        "like" => "like",
        "nlike" => "not like",
        "ilike" => "ilike",
        "nilike" => "not ilike",
        "similar" => "similar to",
        "nsimilar" => "not similar to",
        "regex" => "~",
        "iregex" => "~*",
        "nregex" => "!~",
        "niregex" => "!~*",
        "contains" => "@>",
        "contained_in" => "<@",
        _ => return None,
    })
}

/// Callers name columns as GraphQL does, permissions as the database does.
fn column_of<'t>(table: &'t Table, name: &str, author: Author) -> Option<&'t Column> {
    match author {
        Author::Caller => table.column_of(name),
        Author::Permission => table.column_named(name),
    }
}

fn unknown(name: &str, table: &Table, path: &Path<'_>) -> GraphqlError {
    GraphqlError::validation(
        path,
        format!("field '{name}' not found in type: '{}_bool_exp'", table.field),
    )
}

fn unexpected(value: &Value, ty: &str, path: &Path<'_>) -> GraphqlError {
    let what = if value.is_null() { "null " } else { "" };
    GraphqlError::validation(path, format!("unexpected {what}value for type '{ty}'"))
}
