//! The functions of the language; each takes one value.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

type Done = Result<Value, String>;

/// `None`: there is no such function.
pub fn call(name: &str, value: &Value) -> Option<Done> {
    Some(match name {
        "empty" => empty(value),
        "size" => Ok(size(value)),
        "inverse" => inverse(value),
        "head" => head(value),
        "tail" => tail(value),
        "toCaseFold" | "toLower" => of_text(value, &|text| text.to_lowercase()),
        "toUpper" => of_text(value, &|text| text.to_uppercase()),
        "toTitle" => of_text(value, &title),
        "escapeUri" => of_text(value, &|text| utf8_percent_encode(text, UNRESERVED).to_string()),
        "fromPairs" => from_pairs(value),
        "toPairs" => to_pairs(value),
        "removeNulls" => of_array(value, &|items| {
            items.iter().filter(|item| !item.is_null()).cloned().collect()
        }),
        "concat" => concat(value),
        "not" => match value {
            Value::Bool(truth) => Ok(Value::Bool(!truth)),
            other => Err(format!("'{other}' is not a boolean.")),
        },
        _ => return None,
    })
}

fn of_text(value: &Value, change: &dyn Fn(&str) -> String) -> Done {
    match value {
        Value::String(text) => Ok(Value::String(change(text))),
        other => Err(format!("Expected a String, found '{other}'.")),
    }
}

fn of_array(value: &Value, change: &dyn Fn(&[Value]) -> Value) -> Done {
    match value {
        Value::Array(items) => Ok(change(items)),
        other => Err(format!("Expected an Array, found '{other}'.")),
    }
}

fn empty(value: &Value) -> Done {
    Ok(Value::Bool(match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.trim().is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(_) => return Err("Cannot define emptiness for a boolean".to_owned()),
        Value::Null => true,
    }))
}

fn size(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.len().into(),
        Value::Array(items) => items.len().into(),
        Value::String(text) => text.chars().count().into(),
        Value::Number(number) => number.clone().into(),
        Value::Bool(truth) => u8::from(*truth).into(),
        Value::Null => 0.into(),
    }
}

fn inverse(value: &Value) -> Done {
    Ok(match value {
        Value::Array(items) => items.iter().rev().cloned().collect(),
        Value::String(text) => text.chars().rev().collect::<String>().into(),
        Value::Number(number) => match number.as_f64() {
            Some(number) if number != 0.0 => (1.0 / number).into(),
            _ => return Err("Zero has no inverse".to_owned()),
        },
        Value::Bool(truth) => (!truth).into(),
        Value::Object(_) | Value::Null => value.clone(),
    })
}

fn head(value: &Value) -> Done {
    match value {
        Value::Array(items) => items.first().cloned().ok_or_else(|| "Empty array".to_owned()),
        Value::String(text) => match text.chars().next() {
            Some(first) => Ok(first.to_string().into()),
            None => Err("Empty string".to_owned()),
        },
        _ => Err("Expected an array or string".to_owned()),
    }
}

fn tail(value: &Value) -> Done {
    match value {
        Value::Array(items) if items.is_empty() => Err("Empty array".to_owned()),
        Value::Array(items) => Ok(items.iter().skip(1).cloned().collect()),
        Value::String(text) if text.is_empty() => Err("Empty string".to_owned()),
        Value::String(text) => Ok(text.chars().skip(1).collect::<String>().into()),
        _ => Err("Expected an array or string".to_owned()),
    }
}

fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match inside {
            true => titled.extend(c.to_lowercase()),
            false => titled.extend(c.to_uppercase()),
        }
        inside = c.is_alphanumeric() || c == '\'';
    }
    titled
}

fn to_pairs(value: &Value) -> Done {
    match value {
        Value::Object(fields) => Ok(fields
            .iter()
            .map(|(key, value)| Value::Array(vec![key.clone().into(), value.clone()]))
            .collect()),
        other => Err(format!("Expected an Object, found '{other}'.")),
    }
}

fn from_pairs(value: &Value) -> Done {
    let shape = || "Expected an array of shape [ [k1,v1], [k2,v2] ... ] - With String keys.".to_owned();
    let pairs = value.as_array().ok_or_else(shape)?;
    let fields = pairs.iter().map(|pair| match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(key), value]) => Ok((key.clone(), value.clone())),
        _ => Err(shape()),
    });
    fields.collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

/// Arrays, texts or objects put together; of a field that is there twice the last counts.
fn concat(value: &Value) -> Done {
    let Some(items) = value.as_array() else {
        return Err(format!("Expected an Array, found '{value}'."));
    };
    if let Some(arrays) = items.iter().map(Value::as_array).collect::<Option<Vec<_>>>() {
        return Ok(arrays.into_iter().flatten().cloned().collect());
    }
    if let Some(texts) = items.iter().map(Value::as_str).collect::<Option<Vec<_>>>() {
        return Ok(texts.concat().into());
    }
    match items.iter().map(Value::as_object).collect::<Option<Vec<_>>>() {
        Some(objects) => {
            let fields = objects.into_iter().flatten();
            Ok(Value::Object(
                fields.map(|(key, value)| (key.clone(), value.clone())).collect(),
            ))
        }
        None => Err("Expected an array of arrays, of strings or of objects".to_owned()),
    }
}
