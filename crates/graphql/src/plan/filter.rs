//! Boolean expressions as SQL: the caller's `where`, and the filters and checks of permissions. What is not understood
//! is refused, never skipped.

use super::{Sql, Writer, all, column as at_column, name_of};
use crate::errors::{GraphqlError, Path};
use crate::model::{Column, Relationship, Returns, Table};
use crate::sql::quote::quote_ident;
use serde_json::Value;

/// Whose expression it is: permissions may name session variables and see rows past other permissions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Author {
    Caller,
    Permission,
}

/// What a condition is about: a row of a table under an alias, and the row at the root of the whole condition.
#[derive(Clone, Copy)]
pub struct Scope<'s> {
    pub at: usize,
    pub alias: &'s str,
    pub author: Author,
    pub root: (usize, &'s str),
}

impl<'s> Scope<'s> {
    pub fn of(at: usize, alias: &'s str, author: Author) -> Self {
        Scope {
            at,
            alias,
            author,
            root: (at, alias),
        }
    }

    /// A row related to this one.
    fn below(self, at: usize, alias: &'s str) -> Self {
        Scope { at, alias, ..self }
    }
}

impl Writer<'_> {
    /// The rows of a table the role may read.
    pub fn readable(&mut self, at: usize, alias: &str) -> Sql {
        let schema = self.schema;
        match &schema.permissions[at].select {
            Some(select) => self.permission(at, alias, &select.filter),
            None => Ok("false".to_owned()),
        }
    }

    pub fn permission(&mut self, at: usize, alias: &str, filter: &Value) -> Sql {
        let root = Path::root();
        match filter {
            Value::Null => Ok("true".to_owned()),
            filter => self.filter(Scope::of(at, alias, Author::Permission), filter, &root),
        }
    }

    pub fn filter(&mut self, scope: Scope<'_>, given: &Value, path: &Path<'_>) -> Sql {
        let model = self.model;
        let table = &model.tables[scope.at];
        let Value::Object(fields) = given else {
            return Err(unexpected(given, &model.type_name(scope.at, "bool_exp"), path));
        };
        let mut conditions = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let here = path.key(name);
            let condition = match name.as_str() {
                "_and" | "$and" => all(self.several(scope, value, &here)?),
                "_or" | "$or" => match self.several(scope, value, &here)? {
                    none if none.is_empty() => "false".to_owned(),
                    some => format!("({})", some.join(" or ")),
                },
                "_not" | "$not" => format!("(not {})", self.filter(scope, value, &here)?),
                "_exists" | "$exists" if scope.author == Author::Permission => self.exists(scope, value, &here)?,
                name => self.part(scope, table, name, value, &here)?,
            };
            conditions.push(condition);
        }
        Ok(all(conditions))
    }

    /// A condition on a column, a computed field, or related rows.
    fn part(&mut self, scope: Scope<'_>, table: &Table, name: &str, value: &Value, path: &Path<'_>) -> Sql {
        if let Some(column) = column_of(table, name, scope.author) {
            let left = match self.hidden(scope, column)? {
                Some(hidden) => hidden,
                None => at_column(scope.alias, &column.name),
            };
            return self.comparisons(scope, &left, column, value, path);
        }
        if let Some(relationship) = table.relationships.get(name) {
            return self.related(scope, relationship, value, path);
        }
        if let Some(field) = table.computed.get(name) {
            let call = self.computed_call(field, scope.at, scope.alias, None)?;
            return match &field.returns {
                Returns::Rows { table, .. } => {
                    let theirs = self.alias();
                    let mut conditions = Vec::new();
                    if scope.author == Author::Caller {
                        conditions.push(self.readable(*table, &theirs)?);
                    }
                    conditions.push(self.filter(scope.below(*table, &theirs), value, path)?);
                    Ok(format!(
                        "exists (select 1 from {call} {theirs} where {})",
                        all(conditions)
                    ))
                }
                Returns::Scalar { ty, array, sql_type } => {
                    let column = Column::typed(&field.name, ty, *array, sql_type);
                    self.comparisons(scope, &call, &column, value, path)
                }
            };
        }
        let aggregated = name
            .strip_suffix("_aggregate")
            .and_then(|name| table.relationships.get(name));
        match aggregated {
            Some(relationship) => self.aggregated(scope, relationship, value, path),
            None => Err(GraphqlError::validation(
                path,
                format!(
                    "field '{name}' not found in type: '{}'",
                    self.model.type_name(scope.at, "bool_exp")
                ),
            )),
        }
    }

    /// A column that is not shown in all rows counts as null in the others.
    fn hidden(&mut self, scope: Scope<'_>, column: &Column) -> Result<Option<String>, GraphqlError> {
        let schema = self.schema;
        let cell = crate::model::Cell::Column(column.at);
        let shown = match scope.author {
            Author::Caller => schema.shown_where(scope.at, &cell),
            Author::Permission => None,
        };
        let Some(filter) = shown else { return Ok(None) };
        let condition = self.permission(scope.at, scope.alias, filter)?;
        let value = at_column(scope.alias, &column.name);
        Ok(Some(format!("(case when {condition} then {value} end)")))
    }

    fn several(&mut self, scope: Scope<'_>, given: &Value, path: &Path<'_>) -> Result<Vec<String>, GraphqlError> {
        match given {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(place, item)| self.filter(scope, item, &path.index(place)))
                .collect(),
            Value::Object(_) if scope.author == Author::Permission => Ok(vec![self.filter(scope, given, path)?]),
            _ => Err(unexpected(given, "a list", path)),
        }
    }

    /// The condition that ties a row of the target to ours.
    pub fn tie(&self, relationship: &Relationship, ours: &str, theirs: &str) -> String {
        let pair =
            |(here, there): &(String, String)| format!("{} = {}", at_column(theirs, there), at_column(ours, here));
        all(relationship.on.iter().map(pair).collect())
    }

    fn related(&mut self, scope: Scope<'_>, over: &Relationship, given: &Value, path: &Path<'_>) -> Sql {
        let theirs = self.alias();
        let mut conditions = vec![self.tie(over, scope.alias, &theirs)];
        if scope.author == Author::Caller {
            conditions.push(self.readable(over.target, &theirs)?);
        }
        conditions.push(self.filter(scope.below(over.target, &theirs), given, path)?);
        let table = name_of(&self.model.tables[over.target]);
        Ok(format!(
            "exists (select 1 from {table} {theirs} where {})",
            all(conditions)
        ))
    }

    /// `{count: {arguments, distinct, filter, predicate}}`, `{bool_and: …}`, `{bool_or: …}` over related rows.
    fn aggregated(&mut self, scope: Scope<'_>, over: &Relationship, given: &Value, path: &Path<'_>) -> Sql {
        let model = self.model;
        let target = &model.tables[over.target];
        let mut conditions = Vec::new();
        for (function, given) in given.as_object().into_iter().flatten() {
            let here = path.key(function);
            let theirs = self.alias();
            let mut rows = vec![self.tie(over, scope.alias, &theirs)];
            if scope.author == Author::Caller {
                rows.push(self.readable(over.target, &theirs)?);
            }
            if let Some(filter) = given.get("filter").filter(|filter| !filter.is_null()) {
                rows.push(self.filter(scope.below(over.target, &theirs), filter, &here.key("filter"))?);
            }
            let named = match given.get("arguments") {
                Some(Value::Array(names)) => names.iter().collect(),
                Some(Value::Null) | None => Vec::new(),
                Some(one) => vec![one],
            };
            let columns: Vec<String> = named
                .into_iter()
                .filter_map(|name| column_of(target, name.as_str()?, scope.author))
                .map(|column| at_column(&theirs, &column.name))
                .collect();
            let arguments = match columns.as_slice() {
                [] => "*".to_owned(),
                [one] => one.clone(),
                many => format!("({})", many.join(", ")),
            };
            let distinct = match given.get("distinct") == Some(&Value::Bool(true)) && !columns.is_empty() {
                true => "distinct ",
                false => "",
            };
            let table = name_of(target);
            let value = format!(
                "(select {}({distinct}{arguments}) from {table} {theirs} where {})",
                quote_ident(function),
                all(rows)
            );
            let ty = if function == "count" {
                ("int8", "bigint")
            } else {
                ("bool", "boolean")
            };
            let column = Column::typed(function, ty.0, false, ty.1);
            let predicate = given.get("predicate").unwrap_or(&Value::Null);
            conditions.push(self.comparisons(scope, &value, &column, predicate, &here.key("predicate"))?);
        }
        Ok(all(conditions))
    }

    /// `{_table: {schema, name}, _where: …}`
    fn exists(&mut self, scope: Scope<'_>, given: &Value, path: &Path<'_>) -> Sql {
        let part = |new: &str, old: &str| given.get(new).or_else(|| given.get(old)).cloned();
        let name: Option<metadata::TableName> =
            part("_table", "$table").and_then(|name| serde_json::from_value(name).ok());
        let model = self.model;
        let source = model.tables[scope.at].source;
        let found = name.and_then(|name| {
            let same = |table: &Table| table.source == source && table.schema == name.schema && table.name == name.name;
            model.tables.iter().position(same)
        });
        let (Some(at), Some(inner)) = (found, part("_where", "$where")) else {
            let message = "a permission's '_exists' names no tracked table";
            return Err(GraphqlError::new("unexpected", path.render(), message));
        };
        let theirs = self.alias();
        let condition = self.filter(scope.below(at, &theirs), &inner, path)?;
        Ok(format!(
            "exists (select 1 from {} {theirs} where {condition})",
            name_of(&model.tables[at])
        ))
    }

    fn comparisons(&mut self, scope: Scope<'_>, left: &str, column: &Column, given: &Value, path: &Path<'_>) -> Sql {
        match given {
            Value::Object(operators) => {
                let mut conditions = Vec::with_capacity(operators.len());
                for (operator, value) in operators {
                    let here = path.key(operator);
                    conditions.push(self.comparison(scope, left, column, (operator, value), &here)?);
                }
                Ok(all(conditions))
            }
            // A permission's short form of `_eq`.
            value if scope.author == Author::Permission => self.comparison(scope, left, column, ("_eq", value), path),
            other => Err(unexpected(other, &format!("{}_comparison_exp", column.scalar()), path)),
        }
    }

    fn comparison(
        &mut self,
        scope: Scope<'_>,
        left: &str,
        column: &Column,
        (operator, given): (&str, &Value),
        path: &Path<'_>,
    ) -> Sql {
        let operator = operator.trim_start_matches(['_', '$']);
        if operator == "cast" {
            return self.cast(scope, left, given, path);
        }
        if let Some(sql) = super::operator::between_columns(operator) {
            return match scope.author {
                Author::Permission => Ok(format!("({left} {sql} {})", self.other_column(scope, given, path)?)),
                Author::Caller => Err(unexpected(given, "a value", path)),
            };
        }
        let value = match scope.author {
            Author::Permission => self.permitted_deep(given)?,
            Author::Caller => given.clone(),
        };
        if value.is_null() {
            return Err(unexpected(&value, &column.scalar(), path));
        }
        self.operate(left, column, operator, &value, path)
    }

    /// The value as another type, compared by that type's operators.
    fn cast(&mut self, scope: Scope<'_>, left: &str, given: &Value, path: &Path<'_>) -> Sql {
        let mut conditions = Vec::new();
        for (target, inner) in given.as_object().into_iter().flatten() {
            let ty = match target.as_str() {
                "String" => "text",
                known @ ("geometry" | "geography" | "text") => known,
                other => return Err(unexpected(given, other, path)),
            };
            let column = Column::plain(ty);
            conditions.push(self.comparisons(scope, &format!("({left}::{ty})"), &column, inner, &path.key(target))?);
        }
        Ok(all(conditions))
    }

    /// `"column"`, `["column"]`, `["$", "column"]` for the root's, or `["relationship", "column"]`.
    fn other_column(&mut self, scope: Scope<'_>, given: &Value, path: &Path<'_>) -> Sql {
        let steps: Vec<&str> = match given {
            Value::String(one) => vec![one.as_str()],
            Value::Array(steps) => steps.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let model = self.model;
        let wrong = || unexpected(given, "a column", path);
        let ((mut at, mut alias), steps) = match steps.as_slice() {
            ["$", rest @ ..] => ((scope.root.0, scope.root.1.to_owned()), rest),
            steps => ((scope.at, scope.alias.to_owned()), steps),
        };
        let (last, between) = steps.split_last().ok_or_else(wrong)?;
        let mut from = Vec::new();
        for step in between {
            let over = model.tables[at].relationships.get(*step).ok_or_else(wrong)?;
            let theirs = self.alias();
            from.push(format!(
                "{} {theirs} where {}",
                name_of(&model.tables[over.target]),
                self.tie(over, &alias, &theirs)
            ));
            (at, alias) = (over.target, theirs);
        }
        let column = model.tables[at].column_named(last).ok_or_else(wrong)?;
        let value = at_column(&alias, &column.name);
        Ok(match from.as_slice() {
            [] => value,
            [one] => format!("(select {value} from {one})"),
            _ => return Err(wrong()),
        })
    }
}

/// Callers name columns as GraphQL does, permissions as the database does.
fn column_of<'t>(table: &'t Table, name: &str, author: Author) -> Option<&'t Column> {
    match author {
        Author::Caller => table.column_of(name),
        Author::Permission => table.column_named(name),
    }
}

pub fn unexpected(value: &Value, ty: &str, path: &Path<'_>) -> GraphqlError {
    let what = if value.is_null() { "null " } else { "" };
    GraphqlError::validation(path, format!("unexpected {what}value for type '{ty}'"))
}
