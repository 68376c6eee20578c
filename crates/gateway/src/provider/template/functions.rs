//! The functions people use beyond Go's own: those of the sprig library that work on texts, lists and whole numbers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gtmpl_ng::{Func, FuncError, Value};

pub const ALL: &[(&str, Func)] = &[
    ("upper", |a| text(a, "upper", |[text]| text.to_uppercase())),
    ("lower", |a| text(a, "lower", |[text]| text.to_lowercase())),
    ("title", |a| text(a, "title", |[text]| title(text))),
    ("trim", |a| text(a, "trim", |[text]| text.trim().to_owned())),
    ("trimAll", |a| {
        text(a, "trimAll", |[cut, text]| {
            text.trim_matches(|c| cut.contains(c)).to_owned()
        })
    }),
    ("trimPrefix", |a| {
        text(a, "trimPrefix", |[cut, text]| {
            text.strip_prefix(cut).unwrap_or(text).to_owned()
        })
    }),
    ("trimSuffix", |a| {
        text(a, "trimSuffix", |[cut, text]| {
            text.strip_suffix(cut).unwrap_or(text).to_owned()
        })
    }),
    ("replace", |a| {
        text(a, "replace", |[from, to, text]| text.replace(from, to))
    }),
    ("quote", |a| text(a, "quote", |[text]| format!("{text:?}"))),
    ("squote", |a| text(a, "squote", |[text]| format!("'{text}'"))),
    ("toString", |a| text(a, "toString", |[text]| text.to_owned())),
    ("b64enc", |a| text(a, "b64enc", |[text]| STANDARD.encode(text))),
    ("b64dec", b64dec),
    ("contains", |a| truth(a, "contains", |[part, text]| text.contains(part))),
    ("hasPrefix", |a| {
        truth(a, "hasPrefix", |[start, text]| text.starts_with(start))
    }),
    ("hasSuffix", |a| {
        truth(a, "hasSuffix", |[end, text]| text.ends_with(end))
    }),
    ("default", default),
    ("coalesce", |a| {
        Ok(a.iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Nil))
    }),
    ("empty", |a| match a {
        [value] => Ok(Value::Bool(is_empty(value))),
        _ => Err(FuncError::ExactlyXArgs("empty".into(), 1)),
    }),
    ("ternary", ternary),
    ("list", |a| Ok(Value::Array(a.to_vec()))),
    ("split", split_map),
    ("splitList", split_list),
    ("join", join),
    ("first", |a| of_list(a, "first", |list| list.first().cloned())),
    ("last", |a| of_list(a, "last", |list| list.last().cloned())),
    ("until", until),
    ("int", |a| whole(a, "int", 1, |all| all.first().copied())),
    ("add", |a| {
        whole(a, "add", 1, |all| {
            all.iter().try_fold(0_i64, |sum, one| sum.checked_add(*one))
        })
    }),
    ("add1", |a| whole(a, "add1", 1, |all| all[0].checked_add(1))),
    ("sub", |a| whole(a, "sub", 2, |all| all[0].checked_sub(all[1]))),
    ("mul", |a| {
        whole(a, "mul", 1, |all| {
            all.iter().try_fold(1_i64, |product, one| product.checked_mul(*one))
        })
    }),
    ("div", |a| whole(a, "div", 2, |all| all[0].checked_div(all[1]))),
    ("mod", |a| whole(a, "mod", 2, |all| all[0].checked_rem(all[1]))),
    ("max", |a| whole(a, "max", 1, |all| all.iter().max().copied())),
    ("min", |a| whole(a, "min", 1, |all| all.iter().min().copied())),
];

/// Lists longer than this are a mistake.
const LONGEST_LIST: i64 = 10_000;

fn texts<const N: usize>(arguments: &[Value], name: &str) -> Result<[String; N], FuncError> {
    let all: Vec<String> = arguments.iter().map(Value::to_string).collect();
    all.try_into().map_err(|_| FuncError::ExactlyXArgs(name.into(), N))
}

fn text<const N: usize>(
    arguments: &[Value],
    name: &str,
    make: impl Fn([&str; N]) -> String,
) -> Result<Value, FuncError> {
    let all = texts::<N>(arguments, name)?;
    Ok(Value::from(make(all.each_ref().map(String::as_str))))
}

fn truth<const N: usize>(
    arguments: &[Value],
    name: &str,
    holds: impl Fn([&str; N]) -> bool,
) -> Result<Value, FuncError> {
    let all = texts::<N>(arguments, name)?;
    Ok(Value::Bool(holds(all.each_ref().map(String::as_str))))
}

fn title(text: &str) -> String {
    let mut start = true;
    let letter = |letter: char| {
        let raised = if start {
            letter.to_uppercase().to_string()
        } else {
            letter.to_string()
        };
        start = letter.is_whitespace();
        raised
    };
    text.chars().map(letter).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::NoValue | Value::Nil | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Map(map) | Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(true) | Value::Function(_) => false,
    }
}

/// What is given second, unless it is empty.
fn default(arguments: &[Value]) -> Result<Value, FuncError> {
    match arguments {
        [usual] => Ok(usual.clone()),
        [usual, given] => Ok(if is_empty(given) { usual.clone() } else { given.clone() }),
        _ => Err(FuncError::ExactlyXArgs("default".into(), 2)),
    }
}

fn ternary(arguments: &[Value]) -> Result<Value, FuncError> {
    match arguments {
        [yes, no, condition] => Ok(if is_empty(condition) { no.clone() } else { yes.clone() }),
        _ => Err(FuncError::ExactlyXArgs("ternary".into(), 3)),
    }
}

fn b64dec(arguments: &[Value]) -> Result<Value, FuncError> {
    let [coded] = texts::<1>(arguments, "b64dec")?;
    let bytes = STANDARD
        .decode(coded.trim())
        .map_err(|error| FuncError::Generic(format!("b64dec: {error}")))?;
    Ok(Value::from(String::from_utf8_lossy(&bytes).into_owned()))
}

fn split_list(arguments: &[Value]) -> Result<Value, FuncError> {
    let [separator, text] = texts::<2>(arguments, "splitList")?;
    Ok(Value::Array(text.split(separator.as_str()).map(Value::from).collect()))
}

/// sprig's older form: the parts as `_0`, `_1`, …
fn split_map(arguments: &[Value]) -> Result<Value, FuncError> {
    let [separator, text] = texts::<2>(arguments, "split")?;
    let parts = text.split(separator.as_str()).enumerate();
    Ok(Value::Map(
        parts.map(|(at, part)| (format!("_{at}"), Value::from(part))).collect(),
    ))
}

fn join(arguments: &[Value]) -> Result<Value, FuncError> {
    match arguments {
        [separator, Value::Array(list)] => {
            let parts: Vec<String> = list.iter().map(Value::to_string).collect();
            Ok(Value::from(parts.join(&separator.to_string())))
        }
        [_, one] => Ok(Value::from(one.to_string())),
        _ => Err(FuncError::ExactlyXArgs("join".into(), 2)),
    }
}

fn of_list(arguments: &[Value], name: &str, take: impl Fn(&[Value]) -> Option<Value>) -> Result<Value, FuncError> {
    match arguments {
        [Value::Array(list)] => Ok(take(list).unwrap_or(Value::Nil)),
        _ => Err(FuncError::Generic(format!("{name} wants a list"))),
    }
}

fn until(arguments: &[Value]) -> Result<Value, FuncError> {
    let [count] = numbers(arguments, "until")?[..] else {
        return Err(FuncError::ExactlyXArgs("until".into(), 1));
    };
    if count > LONGEST_LIST {
        return Err(FuncError::Generic(format!("until {count}: more than {LONGEST_LIST}")));
    }
    Ok(Value::Array((0..count).map(Value::from).collect()))
}

fn numbers(arguments: &[Value], name: &str) -> Result<Vec<i64>, FuncError> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        Value::Bool(truth) => Some(i64::from(*truth)),
        other => other.to_string().trim().parse().ok(),
    };
    let all = arguments
        .iter()
        .map(|value| number(value).ok_or_else(|| FuncError::Generic(format!("{name}: '{value}' is no whole number"))));
    all.collect()
}

fn whole(
    arguments: &[Value],
    name: &str,
    least: usize,
    make: impl Fn(&[i64]) -> Option<i64>,
) -> Result<Value, FuncError> {
    let all = numbers(arguments, name)?;
    if all.len() < least {
        return Err(FuncError::AtLeastXArgs(name.into(), least));
    }
    make(&all)
        .map(Value::from)
        .ok_or_else(|| FuncError::Generic(format!("{name}: the result is no number")))
}
