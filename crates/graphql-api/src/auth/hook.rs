//! The authentication hook: a server of the operator's that is asked about every request and answers with session
//! variables.

use super::{Authenticated, denied, settings::Hook, with_role};
use crate::refusal::Refusal;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, time::Duration};
use telemetry::client::{Client, full};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

const WITHIN: Duration = Duration::from_secs(60);
const LONGEST_ANSWER: usize = 1 << 20;

/// About the connection, not about the caller.
const NOT_FORWARDED: [HeaderName; 11] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::USER_AGENT,
    header::HOST,
    header::ORIGIN,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
];

/// # Errors
/// The hook does not know the caller, or does not answer as it should.
pub async fn ask(
    hook: &Hook,
    client: &Client,
    headers: &HeaderMap,
    request: Option<&Value>,
) -> Result<Authenticated, Refusal> {
    let response = client
        .fetch(question(hook, headers, request)?, WITHIN, LONGEST_ANSWER)
        .await;
    let response = response.map_err(|error| broken(&format!("webhook authentication request failed: {error}")))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(denied("Authentication hook unauthorized this request")),
        status => return Err(broken(&format!("Invalid response from authorization hook: {status}"))),
    }
    let answer: HashMap<String, Value> = serde_json::from_slice(response.body())
        .map_err(|_| broken("Invalid response from authorization hook; expected an object"))?;
    let mut variables = HashMap::new();
    let mut expires_at = None;
    for (name, value) in answer {
        let text = match value {
            Value::String(text) => text,
            Value::Null => continue,
            other => other.to_string(),
        };
        match name.to_lowercase().as_str() {
            "cache-control" => expires_at = max_age(&text).or(expires_at),
            "expires" => expires_at = expires_at.or(OffsetDateTime::parse(&text, &Rfc2822).ok()),
            name => drop(variables.insert(name.to_owned(), text)),
        }
    }
    let Some(role) = variables.remove("x-hasura-role") else {
        return Err(broken("missing x-hasura-role key in webhook response"));
    };
    let session = with_role(role, variables, false);
    Ok(Authenticated { session, expires_at })
}

fn question(
    hook: &Hook,
    headers: &HeaderMap,
    body: Option<&Value>,
) -> Result<Request<telemetry::client::Body>, Refusal> {
    let forwarded = headers.iter().filter(|(name, _)| !NOT_FORWARDED.contains(name));
    let unusable = |error: http::Error| broken(&format!("the authentication hook cannot be asked: {error}"));
    if !hook.post {
        let mut request = Request::get(&hook.url).body(full("")).map_err(unusable)?;
        for (name, value) in forwarded {
            request.headers_mut().append(name.clone(), value.clone());
        }
        return Ok(request);
    }
    let told: Map<String, Value> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), Value::from(value.to_str().ok()?))))
        .collect();
    let mut question = json!({ "headers": told });
    if let (true, Some(body)) = (hook.send_request, body) {
        question["request"] = body.clone();
    }
    Request::post(&hook.url)
        .header(header::CONTENT_TYPE, "application/json")
        .body(full(question.to_string()))
        .map_err(unusable)
}

fn max_age(control: &str) -> Option<OffsetDateTime> {
    let seconds = control
        .split(',')
        .find_map(|part| part.trim().strip_prefix("max-age="))?;
    Some(OffsetDateTime::now_utc() + Duration::from_secs(seconds.parse().ok()?))
}

fn broken(message: &str) -> Refusal {
    tracing::error!(message, "the authentication hook failed");
    Refusal::new("unexpected", "$", "Internal Server Error").with_status(StatusCode::INTERNAL_SERVER_ERROR)
}
