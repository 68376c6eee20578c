//! From a token's claims to a session.

use super::{
    settings::{Claims, JwtSecret, Mapped},
    with_role,
};
use crate::refusal::Refusal;
use graphql::{Session, parsing_failed};
use http::HeaderMap;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The session variables a token holds, as one object.
pub fn locate(secret: &JwtSecret, token: &Value) -> Result<Value, Refusal> {
    let found = match &secret.claims {
        Claims::Map(map) => return mapped(map, token),
        Claims::Namespace(namespace) => token.get(namespace).ok_or_else(|| format!("claims key: '{namespace}'")),
        Claims::Path(path) => path.find(token).ok_or_else(|| "claims_namespace_path".to_owned()),
    };
    let found = found.map_err(|what| Refusal::new("jwt-invalid-claims", "$", format!("{what} not found")))?;
    match (secret.stringified, found) {
        (false, Value::Object(_)) => Ok(found.clone()),
        (true, Value::String(text)) => serde_json::from_str(text).map_err(|error| {
            Refusal::new(
                "jwt-invalid-claims",
                "$",
                format!("the claims are no stringified JSON: {error}"),
            )
        }),
        (stringified, _) => {
            let expected = if stringified { "a string" } else { "an object" };
            Err(Refusal::new(
                "jwt-invalid-claims",
                "$",
                format!("expecting the claims to be {expected}"),
            ))
        }
    }
}

fn mapped(map: &[(String, Mapped)], token: &Value) -> Result<Value, Refusal> {
    let mut claims = Map::new();
    for (name, mapped) in map {
        let value = match mapped {
            Mapped::Literal(value) => Some(value),
            Mapped::At { path, default } => path.find(token).or(default.as_ref()),
        };
        match value {
            Some(value) => drop(claims.insert(name.clone(), value.clone())),
            // What every token must have is missed below, in its own words.
            None if matches!(name.as_str(), "x-hasura-allowed-roles" | "x-hasura-default-role") => {}
            None => {
                let message = format!("JWT claim from claims_map, {name} not found");
                return Err(Refusal::new("jwt-invalid-claims", "$", message));
            }
        }
    }
    Ok(Value::Object(claims))
}

/// The role asked for, if it is one of the allowed, else the default one; with the token's variables.
pub fn session(headers: &HeaderMap, claims: &Value) -> Result<Session, Refusal> {
    let mut variables = HashMap::new();
    let mut allowed: Option<&Value> = None;
    let mut usual: Option<&Value> = None;
    for (name, value) in claims.as_object().into_iter().flatten() {
        match name.to_ascii_lowercase().as_str() {
            "x-hasura-allowed-roles" => allowed = Some(value),
            "x-hasura-default-role" => usual = Some(value),
            name if name.starts_with("x-hasura-") => {
                if let Some(text) = text(value) {
                    variables.insert(name.to_owned(), text);
                }
            }
            _ => {}
        }
    }
    let missing = |name: &str| {
        Refusal::new(
            "jwt-missing-role-claims",
            "$",
            format!("JWT claim does not contain {name}"),
        )
    };
    let allowed = roles(allowed.ok_or_else(|| missing("x-hasura-allowed-roles"))?)?;
    let usual = usual.ok_or_else(|| missing("x-hasura-default-role"))?;
    let Some(usual) = usual.as_str() else {
        let message = format!(
            "invalid x-hasura-default-role; should be a role: {}",
            parsing_failed("Text", "String", usual)
        );
        return Err(Refusal::new("jwt-invalid-claims", "$", message));
    };
    let asked = headers
        .get("x-hasura-role")
        .map(|role| String::from_utf8_lossy(role.as_bytes()).into_owned());
    let role = asked.unwrap_or_else(|| usual.to_owned());
    if !allowed.contains(&role.as_str()) {
        return Err(Refusal::new(
            "access-denied",
            "$",
            "Your requested role is not in allowed roles",
        ));
    }
    Ok(with_role(role, variables, false))
}

fn roles(given: &Value) -> Result<Vec<&str>, Refusal> {
    let wrong = |message: String| {
        let message = format!("invalid x-hasura-allowed-roles; should be a list of roles: {message}");
        Refusal::new("jwt-invalid-claims", "$", message)
    };
    let Some(list) = given.as_array() else {
        return Err(wrong(parsing_failed("[]", "Array", given)));
    };
    list.iter()
        .map(|role| {
            role.as_str()
                .ok_or_else(|| wrong(parsing_failed("Text", "String", role)))
        })
        .collect()
}

/// A variable's text; lists as PostgreSQL writes arrays.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let quoted = items.iter().map(|item| {
                let item = text(item).unwrap_or_default();
                format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""))
            });
            Some(format!("{{{}}}", quoted.collect::<Vec<_>>().join(",")))
        }
        other => Some(other.to_string()),
    }
}
