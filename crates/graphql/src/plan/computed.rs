//! Calls of functions: computed fields with their row, tracked functions with their arguments.

use super::{Sql, Writer, column};
use crate::errors::GraphqlError;
use crate::model::{Column, Computed, Function, Native, Piece, Slot};
use crate::sql::quote::quote_ident;
use serde_json::{Map, Value};

impl Writer<'_> {
    /// A computed field of the row under an alias.
    pub fn computed_call(&mut self, field: &Computed, at: usize, alias: &str, args: Option<&Value>) -> Sql {
        let row = self.whole_row(at, alias);
        let function = format!("{}.{}", quote_ident(&field.schema), quote_ident(&field.function));
        self.function_call(&function, &field.arguments, Some(&row), args)
    }

    pub fn call(&mut self, function: &Function, args: &Map<String, Value>) -> Sql {
        let name = format!("{}.{}", quote_ident(&function.schema), quote_ident(&function.name));
        self.function_call(&name, &function.arguments, None, args.get("args"))
    }

    /// A native query's SQL, its arguments as parameters.
    pub fn native(&mut self, native: &Native, args: &Map<String, Value>) -> String {
        let given = args.get("args");
        let mut sql = String::from("(");
        for piece in &native.code {
            match piece {
                Piece::Sql(text) => sql.push_str(text),
                Piece::Argument(name) => {
                    let value = given.and_then(|given| given.get(name)).unwrap_or(&Value::Null);
                    sql.push_str(&self.value(value, &native.arguments[name]));
                }
            }
        }
        // A comment at its end must not take the parenthesis with it.
        sql.push_str("\n)");
        sql
    }

    /// The row as its table's type, wherever it comes from.
    pub fn whole_row(&self, at: usize, alias: &str) -> String {
        let table = &self.model.tables[at];
        let columns: Vec<String> = table.whole_row.iter().map(|name| column(alias, name)).collect();
        format!("row({})::{}", columns.join(", "), super::name_of(table))
    }

    /// By name as soon as one is left out for its default.
    fn function_call(&mut self, function: &str, slots: &[Slot], row: Option<&str>, args: Option<&Value>) -> Sql {
        let mut written = Vec::with_capacity(slots.len());
        let mut by_name = false;
        for slot in slots {
            let (value, name) = match slot {
                Slot::Row(name) => (row.unwrap_or("null").to_owned(), name),
                Slot::Session(name) => (self.session_argument(), name),
                Slot::Given(argument) => {
                    let Some(value) = args.and_then(|args| args.get(&argument.field)) else {
                        if argument.has_default && argument.name.is_some() {
                            by_name = true;
                            continue;
                        }
                        if argument.has_default {
                            break;
                        }
                        return Err(missing(&argument.field));
                    };
                    let column = Column::typed(&argument.field, &argument.ty, argument.array, &argument.sql_type);
                    (self.value(value, &column), &argument.name)
                }
            };
            written.push(match (name, by_name) {
                (Some(name), true) => format!("{} => {value}", quote_ident(name)),
                _ => value,
            });
        }
        Ok(format!("{function}({})", written.join(", ")))
    }

    fn session_argument(&mut self) -> String {
        let mut variables: Vec<(&String, &String)> = self.session.variables.iter().collect();
        variables.sort();
        let object: Map<String, Value> = variables
            .into_iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        self.param(Some(Value::Object(object).to_string()), "json")
    }
}

fn missing(argument: &str) -> GraphqlError {
    let message = format!("missing required field '{argument}'");
    GraphqlError::new("validation-failed", "$.args", message)
}
