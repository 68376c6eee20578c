//! Expressions to values.

use crate::{Error, Expression, Operator, Span, Spanned, Step, Target, functions};
use serde_json::{Map, Value};
use std::{borrow::Cow, cmp::Ordering, collections::HashMap};

/// What a caller offers beside the language's own; its error is told to whoever wrote the template.
pub type Function<'a> = dyn Fn(&Value) -> Result<Value, String> + Sync + 'a;

/// What a template may name.
#[derive(Default)]
pub struct Scope<'a> {
    variables: HashMap<String, Cow<'a, Value>>,
    functions: HashMap<&'static str, &'a Function<'a>>,
}

impl<'a> Scope<'a> {
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.variables.insert(name.to_owned(), Cow::Owned(value));
        self
    }

    /// Beside those of the language.
    #[must_use]
    pub fn with_function(mut self, name: &'static str, function: &'a Function<'a>) -> Self {
        self.functions.insert(name, function);
        self
    }

    fn inner<'s>(&'s self, more: Vec<(&str, Cow<'s, Value>)>) -> Scope<'s> {
        let known = self.variables.iter();
        let mut variables: HashMap<String, Cow<'s, Value>> = known
            .map(|(name, value)| (name.clone(), Cow::Borrowed(&**value)))
            .collect();
        variables.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Scope {
            variables,
            functions: self.functions.clone(),
        }
    }
}

pub fn eval(spanned: &Spanned, scope: &Scope<'_>) -> Result<Value, Error> {
    let span = spanned.span;
    match &spanned.expression {
        Expression::Literal(value) => Ok(value.clone()),
        Expression::Text(parts) => text(parts, scope).map(Value::String),
        Expression::Array(items) => items.iter().map(|item| eval(item, scope)).collect(),
        Expression::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| Ok((key.clone(), eval(value, scope)?)));
            fields.collect::<Result<Map<_, _>, Error>>().map(Value::Object)
        }
        Expression::Path(name, steps) => path(name, steps, span, scope),
        Expression::If(branches, otherwise) => {
            for (condition, then) in branches {
                if truth(condition, scope)? {
                    return eval(then, scope);
                }
            }
            eval(otherwise, scope)
        }
        Expression::Range {
            index,
            item,
            over,
            body,
        } => {
            let Value::Array(items) = eval(over, scope)? else {
                return Err(Error::new("Range Error", "Can only range over an array.", over.span));
            };
            let each = items.iter().enumerate().map(|(place, value)| {
                let mut names = vec![(item.as_str(), Cow::Borrowed(value))];
                names.extend(index.as_deref().map(|index| (index, Cow::Owned(Value::from(place)))));
                eval(body, &scope.inner(names))
            });
            each.collect()
        }
        Expression::Call(name, argument) => {
            let value = eval(argument, scope)?;
            let done = match scope.functions.get(name.as_str()) {
                Some(function) => function(&value),
                None => match functions::call(name, &value) {
                    Some(done) => done,
                    None => {
                        let message = format!("Variable '{name}' not in scope");
                        return Err(Error::new("Name Error", message, span));
                    }
                },
            };
            done.map_err(|message| Error::new("Function Error", message, argument.span))
        }
        Expression::Operator(operator, left, right) => operate(*operator, left, right, scope),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    }
}

fn text(parts: &[Spanned], scope: &Scope<'_>) -> Result<String, Error> {
    let mut text = String::new();
    for part in parts {
        match eval(part, scope)? {
            Value::String(inner) => text.push_str(&inner),
            value @ (Value::Number(_) | Value::Bool(_)) => text.push_str(&value.to_string()),
            other => {
                let message = format!("Cannot interpolate type: '{}'.", kind(&other));
                return Err(Error::new("Type Error", message, part.span));
            }
        }
    }
    Ok(text)
}

fn path(name: &str, steps: &[Step], span: Span, scope: &Scope<'_>) -> Result<Value, Error> {
    let Some(start) = scope.variables.get(name) else {
        let message = format!("Variable '{name}' not in scope");
        return Err(Error::new("Name Error", message, span));
    };
    let mut here: &Value = start;
    for step in steps {
        let found = match &step.to {
            Target::Key(key) => here.get(key),
            Target::Index(index) => here.get(*index),
        };
        here = match found {
            Some(found) => found,
            None if step.optional => return Ok(Value::Null),
            None => return Err(nowhere(here, &step.to, span)),
        };
    }
    Ok(here.clone())
}

fn nowhere(here: &Value, to: &Target, span: Span) -> Error {
    match (to, here) {
        (Target::Index(index), Value::Array(items)) => {
            let message = format!("Index '{index}' is out of range of an array of {}.", items.len());
            Error::new("Index Error", message, span)
        }
        (Target::Index(_), other) => {
            let message = format!("Expected an Array, found '{}'.", kind(other));
            Error::new("Type Error", message, span)
        }
        (Target::Key(key), other) => {
            let message = format!("'{}' has no attribute '{key}'.", kind(other));
            Error::new("Attribute Error", message, span)
        }
    }
}

fn truth(condition: &Spanned, scope: &Scope<'_>) -> Result<bool, Error> {
    match eval(condition, scope)? {
        Value::Bool(truth) => Ok(truth),
        other => {
            let message = format!("'{other}' is not a boolean.");
            Err(Error::new("Type Error", message, condition.span))
        }
    }
}

fn operate(operator: Operator, left: &Spanned, right: &Spanned, scope: &Scope<'_>) -> Result<Value, Error> {
    let both = || Ok((eval(left, scope)?, eval(right, scope)?));
    let compared = |wanted: &dyn Fn(Ordering) -> bool| {
        let (left, right) = both()?;
        Ok::<_, Error>(wanted(order(&left, &right)))
    };
    let truth = match operator {
        Operator::Default => {
            let value = eval(left, scope)?;
            return match value.is_null() {
                true => eval(right, scope),
                false => Ok(value),
            };
        }
        // Both sides have to be truth values.
        Operator::Or => truth(left, scope)? | truth(right, scope)?,
        Operator::And => truth(left, scope)? & truth(right, scope)?,
        Operator::Equal => compared(&|order| order == Ordering::Equal)?,
        Operator::NotEqual => compared(&|order| order != Ordering::Equal)?,
        Operator::Less => compared(&|order| order == Ordering::Less)?,
        Operator::LessOrEqual => compared(&|order| order != Ordering::Greater)?,
        Operator::Greater => compared(&|order| order == Ordering::Greater)?,
        Operator::GreaterOrEqual => compared(&|order| order != Ordering::Less)?,
        Operator::In => match both()? {
            (Value::String(key), Value::Object(fields)) => fields.contains_key(&key),
            (value, Value::Array(items)) => items.iter().any(|item| order(item, &value) == Ordering::Equal),
            (_, other) => {
                let message = format!("'{other}' is not an Object or Array.");
                return Err(Error::new("Type Error", message, right.span));
            }
        },
    };
    Ok(Value::Bool(truth))
}

/// Of different kinds, objects come first, then arrays, texts, numbers, truth values, null.
fn order(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Object(_) => 0,
        Value::Array(_) => 1,
        Value::String(_) => 2,
        Value::Number(_) => 3,
        Value::Bool(_) => 4,
        Value::Null => 5,
    };
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let unequal = a.iter().zip(b).map(|(a, b)| order(a, b)).find(|order| order.is_ne());
            unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => objects(a, b),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn objects(a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
    let sorted = |map: &Map<String, Value>| {
        let mut keys: Vec<String> = map.keys().cloned().collect();
        keys.sort();
        keys
    };
    let (left, right) = (sorted(a), sorted(b));
    let values = || {
        left.iter()
            .map(|key| order(&a[key], &b[key]))
            .find(|order| order.is_ne())
    };
    match left.cmp(&right) {
        Ordering::Equal => values().unwrap_or(Ordering::Equal),
        unequal => unequal,
    }
}
