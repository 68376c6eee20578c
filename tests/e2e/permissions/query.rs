//! Queries made by chance, and what they answer when every row is looked at by itself.

use super::{
    expression::{Reading, is_same, of_caller},
    random::Random,
    world::{Row, TABLES, World},
};
use serde_json::{Map, Value, json};

/// One list of rows.
pub struct Query {
    table: usize,
    filter: Option<Value>,
    limit: Option<usize>,
    ordered: bool,
    columns: Vec<&'static str>,
    /// Name of the relationship, and what of its rows.
    related: Vec<(&'static str, Query)>,
    /// Names of array relationships that are counted.
    counted: Vec<(&'static str, Option<Value>)>,
}

impl Query {
    /// `None`: the role may read nothing here.
    pub fn of(random: &mut Random, world: &World, role: &str, table: usize, depth: usize) -> Option<Self> {
        let mut columns = world.columns(role, table, false);
        if columns.is_empty() {
            return None;
        }
        columns.retain(|_| random.one_in(2));
        if columns.is_empty() {
            columns = world.columns(role, table, false);
        }
        let (mut related, mut counted) = (Vec::new(), Vec::new());
        for one in TABLES[table].relationships {
            if depth > 0 && random.one_in(2) {
                let below = Self::of(random, world, role, one.target, depth - 1);
                related.extend(below.map(|below| (one.name, below)));
            }
            let countable = one.array && limit_of(world, role, one.target).is_none();
            if countable && !world.grants(role, one.target).is_empty() && random.one_in(3) {
                let filter = random.one_in(2).then(|| of_caller(random, world, role, one.target, 1));
                counted.push((one.name, filter));
            }
        }
        let orderable = world.columns(role, table, true).contains(&"id");
        let limit = (orderable && random.one_in(4)).then(|| random.below(5));
        Some(Query {
            table,
            filter: random.one_in(2).then(|| of_caller(random, world, role, table, 2)),
            ordered: limit.is_some() || limit_of(world, role, table).is_some(),
            limit,
            columns,
            related,
            counted,
        })
    }

    /// Its arguments and selection; conditions become variables.
    pub fn text(&self, array: bool, variables: &mut Map<String, Value>) -> String {
        let mut arguments = Vec::new();
        if array {
            if let Some(filter) = &self.filter {
                arguments.push(format!("where: ${}", variable(self.table, filter, variables)));
            }
            if self.ordered {
                arguments.push("order_by: {id: desc}".to_owned());
            }
            if let Some(limit) = self.limit {
                arguments.push(format!("limit: {limit}"));
            }
        }
        let mut fields: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        for (name, below) in &self.related {
            let array = relationship(self.table, name).array;
            fields.push(format!("{name}{}", below.text(array, variables)));
        }
        for (name, filter) in &self.counted {
            let target = relationship(self.table, name).target;
            let filter = filter
                .as_ref()
                .map(|filter| format!("(where: ${})", variable(target, filter, variables)));
            fields.push(format!(
                "{name}_aggregate{} {{ aggregate {{ count }} }}",
                filter.unwrap_or_default()
            ));
        }
        let arguments = match arguments.is_empty() {
            true => String::new(),
            false => format!("({})", arguments.join(", ")),
        };
        format!("{arguments} {{ {} }}", fields.join(" "))
    }

    /// What it answers, over the rows that `tied` lets through.
    pub fn rows(&self, world: &World, role: &str, tied: &dyn Fn(&Row) -> bool) -> Vec<Value> {
        let found = world.rows[self.table].iter().filter(|row| tied(row));
        let mut found: Vec<&Row> = found
            .filter(|row| visible(world, role, self.table, self.filter.as_ref(), row))
            .collect();
        if self.ordered {
            found.reverse();
        }
        let limit = [self.limit, limit_of(world, role, self.table)]
            .into_iter()
            .flatten()
            .min();
        found.truncate(limit.unwrap_or(usize::MAX));
        found.iter().map(|row| self.row(world, role, row)).collect()
    }

    fn row(&self, world: &World, role: &str, row: &Row) -> Value {
        let mut shown = Map::new();
        for name in &self.columns {
            // A role made of others is shown a column in the rows of those that may see it.
            let grants = world.grants(role, self.table);
            let mut showing = grants.iter().filter(|grant| grant.columns.contains(name));
            let is_shown = showing.any(|grant| world.holds(&grant.filter, self.table, row));
            shown.insert(
                (*name).to_owned(),
                if is_shown { row[*name].clone() } else { Value::Null },
            );
        }
        for (name, below) in &self.related {
            let one = relationship(self.table, name);
            let tied = |other: &Row| is_same(&row[one.ours], &other[one.theirs]);
            let value = match one.array {
                true => Value::Array(below.rows(world, role, &tied)),
                false => {
                    let target = world.rows[one.target].iter().find(|other| tied(other));
                    let target = target.filter(|other| world.may_read(role, one.target, other));
                    target.map_or(Value::Null, |other| below.row(world, role, other))
                }
            };
            shown.insert((*name).to_owned(), value);
        }
        for (name, filter) in &self.counted {
            let one = relationship(self.table, name);
            let rows = world.rows[one.target]
                .iter()
                .filter(|other| is_same(&row[one.ours], &other[one.theirs]));
            let count = rows
                .filter(|other| visible(world, role, one.target, filter.as_ref(), other))
                .count();
            shown.insert(format!("{name}_aggregate"), json!({"aggregate": {"count": count}}));
        }
        Value::Object(shown)
    }
}

/// Whether the role may read a row that its condition asks for.
pub fn visible(world: &World, role: &str, table: usize, filter: Option<&Value>, row: &Row) -> bool {
    let reading = Reading {
        world,
        role: Some(role),
    };
    world.may_read(role, table, row) && filter.is_none_or(|filter| reading.truth(filter, table, row) == Some(true))
}

/// Of a role made of others there is one where each of them has one.
fn limit_of(world: &World, role: &str, table: usize) -> Option<usize> {
    let limits: Option<Vec<usize>> = world.grants(role, table).iter().map(|grant| grant.limit).collect();
    limits.and_then(|limits| limits.into_iter().max())
}

fn relationship(table: usize, name: &str) -> &'static super::world::Relationship {
    let found = TABLES[table].relationships.iter().find(|one| one.name == name);
    found.expect("a relationship")
}

pub fn variable(table: usize, filter: &Value, variables: &mut Map<String, Value>) -> String {
    let name = format!("w{}_{}", variables.len(), TABLES[table].name);
    variables.insert(name.clone(), filter.clone());
    name
}

/// What stands before the selection: the variables and their types.
pub fn declared(variables: &Map<String, Value>) -> String {
    let types = variables.keys().map(|name| {
        let table = name.rsplit('_').next().unwrap_or_default();
        format!("${name}: {table}_bool_exp!")
    });
    let types: Vec<String> = types.collect();
    match types.is_empty() {
        true => String::new(),
        false => format!("({})", types.join(", ")),
    }
}

/// Lists in one order, whatever order they came in.
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(sorted).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            fields.into_iter().collect()
        }
        other => other,
    }
}
