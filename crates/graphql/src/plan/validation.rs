//! What a permission's webhook is to judge before anything is written: the arguments of a mutation, for each table it writes
//! to, nested rows too.

use super::Planner;
use super::insert::objects;
use crate::model::Permissions;
use crate::schema::{Root, Verb};
use crate::validate::Selected;
use metadata::InputValidation;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    pub by: InputValidation,
    /// A list: rows, or changes with their conditions.
    pub input: Value,
}

impl Planner<'_> {
    pub(super) fn validations(&mut self, root: Root, one: &Selected) {
        let at = root.table;
        let permission = &self.schema.permissions[at];
        match root.verb {
            Verb::Insert | Verb::InsertOne => {
                let mut rows = Vec::new();
                self.gather(at, objects(one), &mut rows);
                for (table, rows) in rows {
                    let insert = self.schema.permissions[table].insert.as_ref();
                    self.judge(insert.and_then(|insert| insert.validate.clone()), rows);
                }
            }
            Verb::Update | Verb::UpdateByPrimaryKey | Verb::UpdateMany => {
                let by = permission.update.as_ref().and_then(|update| update.validate.clone());
                let changes = match one.args.get("updates").and_then(Value::as_array) {
                    Some(updates) if root.verb == Verb::UpdateMany => updates.clone(),
                    _ => vec![Value::Object(one.args.clone())],
                };
                self.judge(by, changes);
            }
            Verb::Delete => self.judge(deleting(permission), vec![Value::Object(one.args.clone())]),
            Verb::DeleteByPrimaryKey => {
                self.judge(deleting(permission), vec![json!({ "pk_columns": one.args })]);
            }
            _ => {}
        }
    }

    fn judge(&mut self, by: Option<InputValidation>, input: Vec<Value>) {
        if let (Some(by), false) = (by, input.is_empty()) {
            let input = Value::Array(input);
            self.validations.push(Validation { by, input });
        }
    }

    /// Rows by the table they go to, that of the root first.
    fn gather(&self, at: usize, given: Vec<&Value>, rows: &mut Vec<(usize, Vec<Value>)>) {
        let place = rows.iter().position(|(table, _)| *table == at).unwrap_or_else(|| {
            rows.push((at, Vec::new()));
            rows.len() - 1
        });
        rows[place].1.extend(given.iter().map(|row| (*row).clone()));
        let relationships = &self.model.tables[at].relationships;
        for row in given {
            for (key, value) in row.as_object().into_iter().flatten() {
                let Some(relationship) = relationships.get(key) else {
                    continue;
                };
                let below: Vec<&Value> = match &value["data"] {
                    Value::Array(items) => items.iter().collect(),
                    Value::Null => Vec::new(),
                    object => vec![object],
                };
                self.gather(relationship.target, below, rows);
            }
        }
    }
}

fn deleting(permission: &Permissions) -> Option<InputValidation> {
    permission.delete.as_ref().and_then(|delete| delete.validate.clone())
}
