//! Root fields that a webhook answers: what it is asked, and the shape its answer is written in.

use super::select::Rows;
use super::{Planner, Source, Statement};
use crate::errors::{GraphqlError, Path};
use crate::model::{Described, Joined, as_number, is_numeric};
use crate::syntax::TypeRef;
use crate::validate::Selected;
use indexmap::IndexMap;
use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The action.
    pub name: String,
    pub way: Way,
    /// How many of the plan's statements come before it.
    pub after: usize,
    pub answer: Answer,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// The webhook is asked now, with these arguments.
    Now(Map<String, Value>),
    /// It is asked later; the answer is the id.
    Later(Map<String, Value>),
    /// What became of the one with this id.
    Result(String),
}

/// How an answer is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Nothing is selected of a scalar.
    pub shape: Option<Shape>,
    pub joins: Vec<Join>,
}

/// The selected fields of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    pub parts: Vec<(String, Part)>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Ready(Value),
    Field {
        name: String,
        shape: Option<Shape>,
    },
    /// The join at this position.
    Joined(usize),
}

/// Rows that belong to an object of the answer. The first parameters of the statement are the object's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    pub statement: Statement,
    pub keys: Vec<String>,
}

impl Planner<'_> {
    pub(super) fn call(&mut self, at: usize, one: &Selected, path: &Path<'_>) -> Result<Source, GraphqlError> {
        let action = &self.model.actions[at];
        let mut joins = Vec::new();
        let shape = self.shape(&action.output, &one.selection, &mut joins, path)?;
        let input = self.input(&action.arguments, &one.args);
        let way = match action.asynchronous {
            true => Way::Later(input),
            false => Way::Now(input),
        };
        Ok(self.push(at, way, Answer { shape, joins }))
    }

    /// Of an asynchronous one.
    pub(super) fn result(&mut self, at: usize, one: &Selected, path: &Path<'_>) -> Result<Source, GraphqlError> {
        let action = &self.model.actions[at];
        let id = one
            .args
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let mut joins = Vec::new();
        let below = path.key("selectionSet");
        let mut parts = Vec::new();
        for selected in &one.selection {
            let part = match selected.name.as_str() {
                "__typename" => Part::Ready(Value::from(selected.parent.as_str())),
                "output" => {
                    let here = below.key(&selected.name);
                    Part::Field {
                        name: "output".to_owned(),
                        shape: self.shape(&action.output, &selected.selection, &mut joins, &here)?,
                    }
                }
                name => Part::Field {
                    name: name.to_owned(),
                    shape: None,
                },
            };
            parts.push((selected.key.clone(), part));
        }
        let shape = Some(Shape { parts });
        Ok(self.push(at, Way::Result(id), Answer { shape, joins }))
    }

    fn push(&mut self, at: usize, way: Way, answer: Answer) -> Source {
        self.calls.push(Call {
            name: self.model.actions[at].name.clone(),
            way,
            after: self.statements.len(),
            answer,
        });
        Source::Call(self.calls.len() - 1)
    }

    fn shape(
        &self,
        ty: &TypeRef,
        selection: &[Selected],
        joins: &mut Vec<Join>,
        path: &Path<'_>,
    ) -> Result<Option<Shape>, GraphqlError> {
        let Some(object) = self.model.custom.objects.get(ty.base()) else {
            return Ok(None);
        };
        let below = path.key("selectionSet");
        let mut shape = Shape {
            parts: Vec::with_capacity(selection.len()),
        };
        for one in selection {
            let here = below.key(&one.name);
            let part = match object.fields.get(&one.name) {
                _ if one.name == "__typename" => Part::Ready(Value::from(one.parent.as_str())),
                Some(field) => Part::Field {
                    name: one.name.clone(),
                    shape: self.shape(&field.ty, &one.selection, joins, &here)?,
                },
                None => {
                    joins.push(self.join(&object.joined, one, &here)?);
                    Part::Joined(joins.len() - 1)
                }
            };
            shape.parts.push((one.key.clone(), part));
        }
        Ok(Some(shape))
    }

    fn join(&self, joined: &IndexMap<String, Joined>, one: &Selected, path: &Path<'_>) -> Result<Join, GraphqlError> {
        let base = one
            .name
            .strip_suffix("_aggregate")
            .or_else(|| one.name.strip_suffix("Aggregate"));
        let (found, aggregate) = match joined.get(&one.name) {
            Some(found) => (Some(found), false),
            None => (base.and_then(|name| joined.get(name)), true),
        };
        let Some(found) = found else {
            return Err(GraphqlError::validation(
                path,
                format!("field '{}' not found", one.name),
            ));
        };
        let table = &self.model.tables[found.target];
        let mut writer = self.writer(table.source);
        let keys = found.pairs.iter().map(|(_, at)| {
            let column = &table.columns[*at];
            (column.name.clone(), writer.param(None, &column.sql_type))
        });
        let keys: Vec<(String, String)> = keys.collect();
        let rows = Rows::tied(found.target, &keys);
        let cell = match (aggregate, found.array) {
            (true, _) => writer.aggregate(&rows, one, path)?,
            (false, true) => writer.list(&rows, &one.args, &one.selection, path)?,
            (false, false) => writer.single(&rows, one, path)?,
        };
        Ok(Join {
            statement: writer.statement(format!("select ({cell})::text"), &path.render()),
            keys: found.pairs.iter().map(|(field, _)| field.clone()).collect(),
        })
    }

    /// The arguments as the webhook reads them.
    fn input(&self, fields: &IndexMap<String, Described>, given: &Map<String, Value>) -> Map<String, Value> {
        let mut input = Map::new();
        for (name, value) in given {
            let value = match fields.get(name) {
                Some(described) => self.given(&described.ty, value.clone()),
                None => value.clone(),
            };
            input.insert(name.clone(), value);
        }
        input
    }

    fn given(&self, ty: &TypeRef, value: Value) -> Value {
        match (ty, value) {
            (TypeRef::List { of, .. }, Value::Array(items)) => {
                items.into_iter().map(|item| self.given(of, item)).collect()
            }
            (_, Value::Object(fields)) => match self.model.custom.inputs.get(ty.base()) {
                Some(known) => Value::Object(self.input(&known.fields, &fields)),
                None => Value::Object(fields),
            },
            (_, value) if is_numeric(ty.base()) || self.model.custom.scalars.contains_key(ty.base()) => {
                as_number(value)
            }
            (_, value) => value,
        }
    }
}
