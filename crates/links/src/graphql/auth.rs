//! Who asks, by Hasura's rules: the admin secret, else a token's claims, else the role of the unknown. Session headers
//! count only beside the admin secret.

use super::Settings;
use ::graphql::{GraphqlError, Session};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use http_chassis::auth::{HASURA_NAMESPACE, Verifier, bearer};
use serde_json::Value;
use std::collections::HashMap;

const SECRET_HEADERS: [&str; 2] = ["x-hasura-admin-secret", "x-hasura-access-key"];

/// # Errors
/// The secret or token is wrong, the role is not the caller's, or there is neither.
pub fn session(headers: &HeaderMap, verifier: &Verifier, settings: &Settings) -> Result<Session, GraphqlError> {
    if let Some(given) = SECRET_HEADERS.iter().find_map(|name| headers.get(*name)) {
        let right = settings
            .admin_secret
            .as_ref()
            .is_some_and(|secret| verify_slices_are_equal(secret.expose().as_bytes(), given.as_bytes()).is_ok());
        if !right {
            return Err(denied("invalid \"x-hasura-admin-secret\"/\"x-hasura-access-key\""));
        }
        return Ok(administrator(headers));
    }
    let wrong = |text: String| GraphqlError::new("invalid-jwt", "$", format!("Could not verify JWT: {text}"));
    let token = bearer(headers).map_err(|error| wrong(error.message.to_string()))?;
    if let Some(token) = token {
        let verified = verifier
            .verify(token)
            .map_err(|error| wrong(error.message.to_string()))?;
        return of_token(headers, &verified.claims[HASURA_NAMESPACE]);
    }
    match &settings.unauthorized_role {
        Some(role) => Ok(with_role(role.clone(), HashMap::new(), false)),
        None => Err(denied(
            "x-hasura-admin-secret/x-hasura-access-key required, but not found",
        )),
    }
}

fn administrator(headers: &HeaderMap) -> Session {
    let mut variables = HashMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        if let (true, false, Ok(value)) = (
            name.starts_with("x-hasura-"),
            SECRET_HEADERS.contains(&name),
            value.to_str(),
        ) {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    let role = variables
        .get("x-hasura-role")
        .cloned()
        .unwrap_or_else(|| "admin".to_owned());
    let backend = variables.remove("x-hasura-use-backend-only-permissions");
    let backend = role == "admin" || backend.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    with_role(role, variables, backend)
}

fn of_token(headers: &HeaderMap, claims: &Value) -> Result<Session, GraphqlError> {
    let mut variables = HashMap::new();
    let mut allowed: Vec<&str> = Vec::new();
    for (name, value) in claims.as_object().into_iter().flatten() {
        let name = name.to_ascii_lowercase();
        match value {
            Value::Array(roles) if name == "x-hasura-allowed-roles" => {
                allowed = roles.iter().filter_map(Value::as_str).collect();
            }
            Value::String(text) => drop(variables.insert(name, text.clone())),
            Value::Null => {}
            other => drop(variables.insert(name, other.to_string())),
        }
    }
    let Some(usual) = variables.remove("x-hasura-default-role") else {
        let message = "Missing claim: x-hasura-default-role. Your JWT claims do not name a role";
        return Err(GraphqlError::new("jwt-missing-role-claims", "$", message));
    };
    let role = match headers.get("x-hasura-role") {
        Some(asked) => asked.to_str().unwrap_or_default().to_owned(),
        None => usual,
    };
    if !allowed.contains(&role.as_str()) {
        return Err(denied("Your requested role is not in allowed roles"));
    }
    let backend = role == "admin";
    Ok(with_role(role, variables, backend))
}

fn with_role(role: String, mut variables: HashMap<String, String>, backend: bool) -> Session {
    variables.insert("x-hasura-role".to_owned(), role.clone());
    Session {
        role,
        variables,
        backend,
    }
}

fn denied(message: &str) -> GraphqlError {
    GraphqlError::new("access-denied", "$", message)
}
