//! Relay's reads: connections that page by cursors, and rows by their global id.
//!
//! A cursor is base64 of a JSON object: what the rows are ordered by, the primary key last, so that every row has its own
//! place. A page is read in one direction from its cursor, with one row more than asked, which tells whether there is more.

use super::order::Term;
use super::select::{NEGATIVE, Rows, object_of, typename};
use super::{Sql, Writer, all, column, name_of};
use crate::errors::{GraphqlError, Path, json_kind, parsing_failed};
use crate::model::{Column, Table};
use crate::relay_id;
use crate::sql::quote::{push_key, quote_ident};
use crate::validate::Selected;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde_json::{Map, Value};

/// Which rows a page holds.
struct Page<'v> {
    /// How many; all where nothing says so.
    size: Option<u64>,
    backward: bool,
    /// Where it starts, and whether it lies before that place.
    from: Option<(&'v str, Map<String, Value>)>,
}

impl Writer<'_> {
    pub fn connection(&mut self, from: &Rows<'_>, one: &Selected, path: &Path<'_>) -> Sql {
        let args = path.key("args");
        let page = page(&one.args, self.most(from.at), &args)?;
        let (rows, mut terms) = self.numbered(from, one, path)?;
        let row = self.alias();
        for (place, term) in terms.iter_mut().enumerate() {
            term.sql = column(&row, &ordered_as(place));
        }
        let mut beyond = "true".to_owned();
        if let Some((key, cursor)) = &page.from {
            beyond = self.beyond(&terms, cursor, *key == "before", &args.key(key))?;
        }
        let order: Vec<String> = terms
            .iter()
            .map(|term| {
                let direction = if page.backward {
                    turned(term.direction)
                } else {
                    term.direction
                };
                format!("{} {direction}", term.sql)
            })
            .collect();
        let order = order.join(", ");
        let mut slice = format!(
            "select {row}.*, row_number() over (order by {order}) as {PLACE} from ({rows}) {row} where {beyond} \
             order by {order}"
        );
        if let Some(size) = page.size {
            slice.push_str(&format!(
                " limit {}",
                self.param(Some((size + 1).to_string()), "bigint")
            ));
        }
        // Whether a row lies on the other side of the cursor.
        let behind = match page.from {
            Some(_) => format!("exists (select from ({rows}) {row} where not {beyond})"),
            None => "false".to_owned(),
        };
        let shown = self.alias();
        let of = Shown {
            at: from.at,
            alias: &shown,
            cursor: cursor_of(&shown, &terms),
            kept: match page.size {
                Some(size) => format!("{shown}.{PLACE} <= {}", self.param(Some(size.to_string()), "bigint")),
                None => "true".to_owned(),
            },
            page: &page,
            behind,
        };
        let mut pairs = Vec::new();
        for part in &one.selection {
            let selected = path.key("selectionSet");
            let below = selected.key(&part.name);
            let value = match part.name.as_str() {
                "edges" => self.edges(&of, part, &below)?,
                "pageInfo" => page_info(&of, part),
                _ => typename(part),
            };
            pairs.push((part.key.clone(), value));
        }
        Ok(format!("(select {} from ({slice}) {shown})", object_of(&pairs)))
    }

    /// All rows the arguments let through, each with what it is ordered by.
    fn numbered(
        &mut self,
        from: &Rows<'_>,
        one: &Selected,
        path: &Path<'_>,
    ) -> Result<(String, Vec<Term>), GraphqlError> {
        let table = &self.model.tables[from.at];
        let mut args = one.args.clone();
        for paging in ["first", "last", "after", "before"] {
            args.shift_remove(paging);
        }
        let order = args.clone();
        if !args.contains_key("distinct_on") {
            // The page is ordered outside; ordered here too, the database would sort every row first.
            args.shift_remove("order_by");
        }
        let rows = self.rows(from, &args, None, path)?;
        let base = self.alias();
        let mut terms = self.ordered_by(from.at, &base, &order, &path.key("args"))?;
        for key in table.key_columns() {
            let known = terms.iter().any(|term| term.trail == [key.name.as_str()]);
            if !known {
                terms.push(Term::ascending(&base, key));
            }
        }
        let columns: Vec<String> = terms
            .iter()
            .enumerate()
            .map(|(place, term)| format!("{} as {}", term.sql, quote_ident(&ordered_as(place))))
            .collect();
        let sql = format!("select {base}.*, {} from ({rows}) {base}", columns.join(", "));
        Ok((sql, terms))
    }

    /// The rows on one side of a cursor, as a condition.
    fn beyond(&mut self, terms: &[Term], cursor: &Map<String, Value>, before: bool, path: &Path<'_>) -> Sql {
        let mut ways = Vec::new();
        let mut equal: Vec<String> = Vec::new();
        for term in terms {
            let value = at_trail(cursor, &term.trail).ok_or_else(|| {
                let message = format!("invalid cursor: it has no value for '{}'", term.trail.join("."));
                GraphqlError::validation(path, message)
            })?;
            let direction = if before { turned(term.direction) } else { term.direction };
            let (further, same) = if value.is_null() {
                let further = match direction.ends_with("first") {
                    true => format!("{} is not null", term.sql),
                    false => "false".to_owned(),
                };
                (further, format!("{} is null", term.sql))
            } else {
                let value = self.param(super::value::text(value), &term.sql_type);
                let sign = if direction.starts_with("desc") { "<" } else { ">" };
                let further = match direction.ends_with("last") {
                    true => format!("({} {sign} {value} or {} is null)", term.sql, term.sql),
                    false => format!("coalesce({} {sign} {value}, false)", term.sql),
                };
                (further, format!("coalesce({} = {value}, false)", term.sql))
            };
            let mut way = equal.clone();
            way.push(further);
            ways.push(all(way));
            equal.push(same);
        }
        Ok(format!("({})", ways.join(" or ")))
    }

    fn edges(&mut self, of: &Shown<'_>, part: &Selected, path: &Path<'_>) -> Sql {
        let mut pairs = Vec::new();
        for one in &part.selection {
            let selected = path.key("selectionSet");
            let below = selected.key(&one.name);
            let value = match one.name.as_str() {
                "cursor" => of.cursor.clone(),
                "node" => self.object(of.at, of.alias, &one.selection, &below)?,
                _ => typename(one),
            };
            pairs.push((one.key.clone(), value));
        }
        let order = if of.page.backward { "desc" } else { "asc" };
        Ok(format!(
            "coalesce(json_agg({} order by {}.{PLACE} {order}) filter (where {}), '[]')",
            object_of(&pairs),
            of.alias,
            of.kept
        ))
    }

    /// The row a global id names.
    pub fn node(&mut self, one: &Selected, path: &Path<'_>) -> Sql {
        let id = one.args.get("id").and_then(Value::as_str).unwrap_or_default();
        let schema = self.schema;
        let (node, key) = relay_id::parse(schema, id)
            .map_err(|message| GraphqlError::validation(&path.key("args").key("id"), message))?;
        let model = self.model;
        let table = &model.tables[node.table];
        let row = self.alias();
        let mut conditions = Vec::new();
        for (known, value) in table.key_columns().zip(&key) {
            if let Some(why) = unlike(known, value) {
                let message = format!("value of column '{}' in node id: {why}", known.name);
                return Err(GraphqlError::new("parse-failed", path.render(), message));
            }
            let value = self.value(value, known);
            conditions.push(format!("{} = {value}", column(&row, &known.name)));
        }
        conditions.push(self.readable(node.table, &row)?);
        let object = self.object(node.table, &row, &one.selection, path)?;
        Ok(format!(
            "(select {object} from {} {row} where {})",
            name_of(table),
            all(conditions)
        ))
    }
}

/// A page as it is shown: what its parts need to know.
struct Shown<'p> {
    at: usize,
    alias: &'p str,
    cursor: String,
    /// Which rows of the slice are the page's own.
    kept: String,
    page: &'p Page<'p>,
    behind: String,
}

/// A row's place in its slice, counted from where the page starts.
const PLACE: &str = "\"portico place\"";

fn ordered_as(place: usize) -> String {
    format!("portico order {place}")
}

fn page<'v>(args: &'v Map<String, Value>, most: Option<u64>, path: &Path<'_>) -> Result<Page<'v>, GraphqlError> {
    let given = |name: &str| args.get(name).filter(|value| !value.is_null());
    for (one, other) in [("first", "last"), ("after", "before")] {
        if given(one).is_some() && given(other).is_some() {
            let message = format!("\"{one}\" and \"{other}\" are not allowed at once");
            return Err(GraphqlError::validation(path, message));
        }
    }
    let backward = given("last").is_some();
    let mut size = most;
    if let Some((name, value)) = ["first", "last"].iter().find_map(|name| Some((name, given(name)?))) {
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let number = number.filter(|number| *number <= i32::MAX as u64);
        let number = number.ok_or_else(|| GraphqlError::validation(&path.key(name), NEGATIVE))?;
        size = Some(most.map_or(number, |most| most.min(number)));
    }
    let mut from = None;
    for name in ["after", "before"] {
        if let Some(text) = given(name).and_then(Value::as_str) {
            from = Some((
                name,
                cursor(text).ok_or_else(|| {
                    GraphqlError::validation(&path.key(name), "invalid cursor: it is no base64 of a JSON object")
                })?,
            ));
        }
    }
    Ok(Page { size, backward, from })
}

fn cursor(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&STANDARD.decode(text.trim()).ok()?).ok()
}

fn at_trail<'c>(cursor: &'c Map<String, Value>, trail: &[String]) -> Option<&'c Value> {
    let (first, rest) = trail.split_first()?;
    rest.iter().try_fold(cursor.get(first)?, |value, step| value.get(step))
}

/// The order from the other end.
fn turned(direction: &str) -> &'static str {
    match direction {
        "asc nulls first" => "desc nulls last",
        "desc nulls first" => "asc nulls last",
        "desc nulls last" => "asc nulls first",
        _ => "desc nulls first",
    }
}

/// Base64 without the line breaks PostgreSQL writes.
fn base64(json: &str) -> String {
    format!("translate(encode(convert_to(({json})::text, 'UTF8'), 'base64'), E'\\n', '')")
}

fn cursor_of(alias: &str, terms: &[Term]) -> String {
    let mut tree = Branch::default();
    for (place, term) in terms.iter().enumerate() {
        tree.put(&term.trail, column(alias, &ordered_as(place)));
    }
    base64(&tree.sql())
}

#[derive(Default)]
struct Branch {
    leaf: Option<String>,
    below: IndexMap<String, Branch>,
}

impl Branch {
    fn put(&mut self, trail: &[String], value: String) {
        match trail.split_first() {
            Some((first, rest)) => self.below.entry(first.clone()).or_default().put(rest, value),
            None => self.leaf = Some(value),
        }
    }

    fn sql(&self) -> String {
        if let Some(leaf) = &self.leaf {
            return leaf.clone();
        }
        let pairs: Vec<(String, String)> = self
            .below
            .iter()
            .map(|(key, below)| (key.clone(), below.sql()))
            .collect();
        object_of(&pairs)
    }
}

fn page_info(of: &Shown<'_>, part: &Selected) -> String {
    let backward = of.page.backward;
    // Where one row more came than was asked for, there is more ahead.
    let ahead = match of.page.size {
        Some(_) => format!("coalesce(bool_or(not {}), false)", of.kept),
        None => "false".to_owned(),
    };
    let from_before = matches!(&of.page.from, Some((name, _)) if *name == "before");
    let either = |ahead_here: bool, behind_here: bool| match (ahead_here, behind_here) {
        (true, true) => format!("({ahead} or {})", of.behind),
        (true, false) => ahead.clone(),
        (false, true) => of.behind.clone(),
        (false, false) => "false".to_owned(),
    };
    let end = |first: bool| {
        let order = if first == backward { "desc" } else { "asc" };
        format!(
            "coalesce((array_agg({} order by {}.{PLACE} {order}) filter (where {}))[1], '')",
            of.cursor, of.alias, of.kept
        )
    };
    let mut pairs = Vec::new();
    for one in &part.selection {
        let value = match one.name.as_str() {
            "startCursor" => end(true),
            "endCursor" => end(false),
            "hasNextPage" => either(!backward, from_before),
            "hasPreviousPage" => either(backward, of.page.from.is_some() && !from_before),
            _ => typename(one),
        };
        pairs.push((one.key.clone(), value));
    }
    object_of(&pairs)
}

/// The global id of the row under an alias.
pub fn global_id(alias: &str, table: &Table) -> String {
    let mut sql = String::from("json_build_array(1, ");
    push_key(&mut sql, &table.schema);
    sql.push_str("::text, ");
    push_key(&mut sql, &table.name);
    sql.push_str("::text");
    for key in table.key_columns() {
        sql.push_str(", ");
        sql.push_str(&column(alias, &key.name));
    }
    sql.push(')');
    base64(&sql)
}

/// Why a value cannot be one of a key column's.
fn unlike(column: &Column, value: &Value) -> Option<String> {
    let found = json_kind(value);
    let (what, expected) = match column.ty.as_str() {
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => ("Number", "Number"),
        "bool" => ("Bool", "Boolean"),
        "json" | "jsonb" => return None,
        _ => ("Text", "String"),
    };
    let number_as_text = expected == "Number" && found == "String";
    let fits = found == expected || number_as_text;
    (!fits).then(|| parsing_failed(what, expected, value))
}
