//! Boolean expressions: made by chance, and worked out row by row with SQL's three truth values. This knows nothing of the
//! engine: what it says is what the words of an expression mean.

use super::{
    random::Random,
    world::{Column, Kind, Row, TABLES, World, word},
};
use serde_json::{Map, Value, json};

/// What an expression may speak of.
struct Writer<'w> {
    /// `None`: a permission's, which may name everything and the session.
    caller: Option<(&'w World, &'w str)>,
}

pub fn permission(random: &mut Random, table: usize, depth: usize) -> Value {
    Writer { caller: None }.expression(random, table, depth)
}

pub fn of_caller(random: &mut Random, world: &World, role: &str, table: usize, depth: usize) -> Value {
    let caller = Some((world, role));
    Writer { caller }.expression(random, table, depth)
}

impl Writer<'_> {
    fn expression(&self, random: &mut Random, table: usize, depth: usize) -> Value {
        let mut fields = Map::new();
        for _ in 0..1 + random.below(2) {
            let (name, value) = self.part(random, table, depth);
            fields.insert(name, value);
        }
        if random.one_in(12) {
            fields.clear();
        }
        Value::Object(fields)
    }

    fn part(&self, random: &mut Random, table: usize, depth: usize) -> (String, Value) {
        let kind = if depth == 0 { 9 } else { random.below(10) };
        match kind {
            0 | 1 => {
                let name = if kind == 0 { "_and" } else { "_or" };
                let parts = (0..random.below(3)).map(|_| self.expression(random, table, depth - 1));
                (name.to_owned(), parts.collect())
            }
            2 => ("_not".to_owned(), self.expression(random, table, depth - 1)),
            3 if self.caller.is_none() => {
                let other = random.below(3);
                let inner = self.expression(random, other, depth - 1);
                let table = json!({"schema": "public", "name": TABLES[other].name});
                ("_exists".to_owned(), json!({"_table": table, "_where": inner}))
            }
            3..6 => {
                let known = TABLES[table].relationships.iter();
                let known: Vec<_> = known.filter(|one| self.may_reach(one.target)).collect();
                match known.is_empty() {
                    true => self.comparison(random, table),
                    false => {
                        let one = known[random.below(known.len())];
                        (one.name.to_owned(), self.expression(random, one.target, depth - 1))
                    }
                }
            }
            _ => self.comparison(random, table),
        }
    }

    fn may_reach(&self, table: usize) -> bool {
        self.caller
            .is_none_or(|(world, role)| !world.grants(role, table).is_empty())
    }

    fn comparison(&self, random: &mut Random, table: usize) -> (String, Value) {
        let allowed = self.caller.map(|(world, role)| world.columns(role, table, true));
        let columns = TABLES[table].columns.iter();
        let columns: Vec<&Column> = columns
            .filter(|column| allowed.as_ref().is_none_or(|allowed| allowed.contains(&column.name)))
            .collect();
        let Some(column) = (!columns.is_empty()).then(|| columns[random.below(columns.len())]) else {
            return ("_and".to_owned(), json!([]));
        };
        let mut operators = Map::new();
        for _ in 0..1 + random.below(2) {
            let (name, value) = self.operator(random, column, &columns);
            operators.insert(name.to_owned(), value);
        }
        (column.name.to_owned(), Value::Object(operators))
    }

    fn operator(&self, random: &mut Random, column: &Column, others: &[&Column]) -> (&'static str, Value) {
        if random.one_in(6) {
            return ("_is_null", json!(random.one_in(2)));
        }
        let session = self.caller.is_none() && random.one_in(3);
        match column.kind {
            Kind::Bool => (["_eq", "_neq"][random.below(2)], json!(random.one_in(2))),
            Kind::Int => match random.below(9) {
                place @ 0..6 => {
                    let name = ["_eq", "_neq", "_gt", "_lt", "_gte", "_lte"][place];
                    let value = if session {
                        json!("X-Hasura-N")
                    } else {
                        json!(random.below(6))
                    };
                    (name, value)
                }
                6 if self.caller.is_none() => {
                    let same: Vec<_> = others.iter().filter(|other| other.kind == Kind::Int).collect();
                    (
                        ["_ceq", "_cne", "_cgt", "_clte"][random.below(4)],
                        json!(same[random.below(same.len())].name),
                    )
                }
                place => {
                    let list: Vec<Value> = (0..random.below(4)).map(|_| json!(random.below(6))).collect();
                    (if place == 7 { "_in" } else { "_nin" }, json!(list))
                }
            },
            Kind::Text => match random.below(6) {
                place @ 0..2 => {
                    let name = ["_eq", "_neq"][place];
                    (
                        name,
                        if session {
                            json!("x-hasura-WORD")
                        } else {
                            json!(word(random))
                        },
                    )
                }
                2 => ("_in", json!([word(random), word(random)])),
                place => {
                    let name = ["_like", "_nlike", "_ilike"][place - 3];
                    (name, json!(["%b", "a%", "_", "%", "B_"][random.below(5)]))
                }
            },
        }
    }
}

/// Who asks, of which rows, and whether relationships show only what they may read.
#[derive(Clone, Copy)]
pub struct Reading<'w> {
    pub world: &'w World,
    /// `None`: past all permissions.
    pub role: Option<&'w str>,
}

pub type Truth = Option<bool>;

fn and(left: Truth, right: Truth) -> Truth {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn all(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut whole = Some(true);
    for truth in truths {
        whole = and(whole, truth);
    }
    whole
}

fn any(truths: impl Iterator<Item = Truth>) -> Truth {
    not(all(truths.map(not)))
}

fn not(truth: Truth) -> Truth {
    truth.map(|truth| !truth)
}

impl Reading<'_> {
    pub fn truth(self, expression: &Value, table: usize, row: &Row) -> Truth {
        let fields = expression.as_object().expect("an expression");
        all(fields.iter().map(|(name, value)| self.part(name, value, table, row)))
    }

    fn part(self, name: &str, value: &Value, table: usize, row: &Row) -> Truth {
        let several = || {
            value
                .as_array()
                .expect("a list")
                .iter()
                .map(|one| self.truth(one, table, row))
        };
        match name {
            "_and" => all(several()),
            "_or" => any(several()),
            "_not" => not(self.truth(value, table, row)),
            "_exists" => {
                let other = TABLES
                    .iter()
                    .position(|one| value["_table"]["name"] == one.name)
                    .expect("a table");
                let mut rows = self.world.rows[other].iter();
                Some(rows.any(|row| self.truth(&value["_where"], other, row) == Some(true)))
            }
            _ => match TABLES[table].relationships.iter().find(|one| one.name == name) {
                Some(one) => {
                    let mut rows = self.world.rows[one.target].iter();
                    Some(rows.any(|other| {
                        is_same(&row[one.ours], &other[one.theirs])
                            && self
                                .role
                                .is_none_or(|role| self.world.may_read(role, one.target, other))
                            && self.truth(value, one.target, other) == Some(true)
                    }))
                }
                None => {
                    let operators = value.as_object().expect("operators").iter();
                    all(operators.map(|(operator, operand)| self.compare(&row[name], operator, operand, row)))
                }
            },
        }
    }

    fn compare(self, cell: &Value, operator: &str, operand: &Value, row: &Row) -> Truth {
        let operand = self.of_session(operand);
        match operator {
            "_is_null" => Some(json!(cell.is_null()) == operand),
            "_in" | "_nin" => {
                let list = operand.as_array().expect("a list");
                let found = match (list.is_empty(), cell.is_null()) {
                    // Nothing is in an empty list, null neither.
                    (true, _) => Some(false),
                    (false, true) => None,
                    (false, false) => Some(list.iter().any(|one| is_same(one, cell))),
                };
                if operator == "_in" { found } else { not(found) }
            }
            "_like" => Some(like(cell.as_str()?, operand.as_str()?)),
            "_nlike" => Some(!like(cell.as_str()?, operand.as_str()?)),
            "_ilike" => Some(like(&cell.as_str()?.to_lowercase(), &operand.as_str()?.to_lowercase())),
            "_ceq" | "_cne" | "_cgt" | "_clte" => {
                let other = &row[operand.as_str().expect("a column")];
                let (left, right) = (cell.as_i64()?, other.as_i64()?);
                Some(match operator {
                    "_ceq" => left == right,
                    "_cne" => left != right,
                    "_cgt" => left > right,
                    _ => left <= right,
                })
            }
            "_eq" if !cell.is_null() => Some(is_same(cell, &operand)),
            "_neq" if !cell.is_null() => Some(!is_same(cell, &operand)),
            "_eq" | "_neq" => None,
            _ => {
                let (left, right) = (cell.as_i64()?, whole(&operand)?);
                Some(match operator {
                    "_gt" => left > right,
                    "_lt" => left < right,
                    "_gte" => left >= right,
                    "_lte" => left <= right,
                    other => panic!("what is {other}?"),
                })
            }
        }
    }

    fn of_session(self, operand: &Value) -> Value {
        let name = operand
            .as_str()
            .map(str::to_lowercase)
            .filter(|name| name.starts_with("x-hasura-"));
        match name {
            Some(name) => {
                let found = self.world.session.iter().find(|(known, _)| *known == name);
                json!(found.expect("a variable").1)
            }
            None => operand.clone(),
        }
    }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Equal and there; a session's number is text.
pub fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Number(_), _) | (_, Value::Number(_)) => whole(left) == whole(right),
        _ => left == right,
    }
}

fn like(text: &str, pattern: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = rest.as_str();
            text.char_indices().any(|(at, _)| like(&text[at..], rest)) || like("", rest)
        }
        Some(wanted) => {
            let mut own = text.chars();
            let found = own.next();
            (wanted == '_' && found.is_some() || found == Some(wanted)) && like(own.as_str(), rest.as_str())
        }
    }
}
