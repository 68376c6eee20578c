//! `/api/rest/*`: listed operations as plain paths. Arguments come from the path, the query string and a JSON body, and
//! are read by the types of the operation's variables.

use crate::{answer::Answered, engine::Engine, refusal::Refusal};
use axum::{
    body::Bytes,
    extract::{Path, RawQuery, State},
    response::Response,
};
use graphql::{Kind, OperationInfo, Request, VariableInfo, operation_info};
use http::{HeaderMap, Method, StatusCode};
use metadata::{Metadata, RestEndpoint};
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc};

pub async fn called(
    State(engine): State<Arc<Engine>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&engine, &path, query.as_deref(), &method, &headers, &body).await {
        Ok(answer) => answer.into_response(),
        Err(refusal) => refusal.into_query_response(),
    }
}

async fn answer(
    engine: &Engine,
    path: &str,
    query: Option<&str>,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answered, Refusal> {
    let caller = engine.auth.session(headers, None).await?;
    let state = engine.state();
    let (endpoint, mut given) = find(&state.metadata, path, method)?;
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        given.insert(name.into_owned(), Given::Text(value.into_owned()));
    }
    if !body.is_empty() && *method != Method::GET {
        let body: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| Refusal::new("invalid-json", "$", format!("the body is no JSON object: {error}")))?;
        given.extend(body.into_iter().map(|(name, value)| (name, Given::Json(value))));
    }
    let text = listed(&state.metadata, endpoint)?;
    let operation = operation_info(text)?;
    if operation.kind == Kind::Mutation && *method == Method::GET {
        return Err(Refusal::new(
            "not-supported",
            "$",
            "a mutation is not run by GET; use another method",
        ));
    }
    let request = Request {
        query: text.to_owned(),
        operation_name: None,
        variables: variables(&operation, given)?,
        relay: false,
    };
    engine.admit(&request, &caller.session, headers)?;
    Ok(engine.answer(&request, &caller.session, headers, true).await?)
}

enum Given {
    Text(String),
    Json(Value),
}

/// The endpoint whose template the path fits, and what stands in its places.
fn find<'m>(
    metadata: &'m Metadata,
    path: &str,
    method: &Method,
) -> Result<(&'m RestEndpoint, HashMap<String, Given>), Refusal> {
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let mut others = Vec::new();
    for endpoint in &metadata.rest_endpoints {
        let Some(places) = fit(&endpoint.url, &segments) else {
            continue;
        };
        if endpoint
            .methods
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(method.as_str()))
        {
            return Ok((endpoint, places));
        }
        others.extend(endpoint.methods.iter().map(|allowed| allowed.to_uppercase()));
    }
    if others.is_empty() {
        return Err(Refusal::new("not-found", "$", "Endpoint not found").with_status(StatusCode::NOT_FOUND));
    }
    let message = format!("Allowed methods: {}", others.join(", "));
    Err(Refusal::new("method-not-allowed", "$", message).with_status(StatusCode::METHOD_NOT_ALLOWED))
}

fn fit(template: &str, segments: &[&str]) -> Option<HashMap<String, Given>> {
    let parts: Vec<&str> = template.trim_end_matches('/').split('/').collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut places = HashMap::new();
    for (part, segment) in parts.iter().zip(segments) {
        match part.strip_prefix(':') {
            Some(name) => drop(places.insert(name.to_owned(), Given::Text((*segment).to_owned()))),
            None if part == segment => {}
            None => return None,
        }
    }
    Some(places)
}

pub fn listed<'m>(metadata: &'m Metadata, endpoint: &RestEndpoint) -> Result<&'m str, Refusal> {
    let asked = &endpoint.definition.query;
    let collection = metadata
        .query_collections
        .iter()
        .find(|one| one.name == asked.collection_name);
    let query = collection.and_then(|one| {
        one.definition
            .queries
            .iter()
            .find(|query| query.name == asked.query_name)
    });
    let missing = || {
        let message = format!(
            "query \"{}\" is in no collection \"{}\"",
            asked.query_name, asked.collection_name
        );
        Refusal::new("not-found", "$", message)
    };
    query.map(|query| query.query.as_str()).ok_or_else(missing)
}

fn variables(operation: &OperationInfo, mut given: HashMap<String, Given>) -> Result<Map<String, Value>, Refusal> {
    let mut variables = Map::new();
    for variable in &operation.variables {
        let value = match given.remove(&variable.name) {
            None => continue,
            Some(Given::Json(value)) => value,
            Some(Given::Text(text)) => read(variable, &text)?,
        };
        variables.insert(variable.name.clone(), value);
    }
    Ok(variables)
}

/// Text as a value of the variable's type.
fn read(variable: &VariableInfo, text: &str) -> Result<Value, Refusal> {
    let as_json = || serde_json::from_str::<Value>(text).ok();
    if text == "null" && !variable.required {
        return Ok(Value::Null);
    }
    if variable.list {
        return Ok(as_json()
            .filter(Value::is_array)
            .unwrap_or_else(|| Value::Array(vec![Value::from(text)])));
    }
    let wrong = |what: &str| {
        let message = format!("the value of '{}' must be {what}, not '{text}'", variable.name);
        Refusal::new("parse-failed", "$", message)
    };
    match variable.base.as_str() {
        "String" | "ID" | "uuid" => Ok(Value::from(text)),
        "Int" | "Float" => as_json().filter(Value::is_number).ok_or_else(|| wrong("a number")),
        // A parameter without a value says yes.
        "Boolean" if text.is_empty() => Ok(Value::Bool(true)),
        "Boolean" => as_json()
            .filter(Value::is_boolean)
            .ok_or_else(|| wrong("true or false")),
        _ => Ok(as_json()
            .filter(|value| value.is_object() || value.is_array())
            .unwrap_or_else(|| Value::from(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_fits_by_segments() {
        let places = |template: &str, path: &str| {
            let segments: Vec<&str> = path.split('/').collect();
            fit(template, &segments).map(|places| places.len())
        };
        assert_eq!(places("a/:b/c", "a/x/c"), Some(1));
        assert_eq!(places("a/:b", "a/x/c"), None);
        assert_eq!(places("a/b", "a/b"), Some(0));
    }
}
