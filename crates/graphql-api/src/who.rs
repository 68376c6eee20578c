//! Who asks.

use crate::{Settings, auth::Authenticated, refusal::Refusal};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use graphql::{GraphqlError, Session};
use http::HeaderMap;
use std::collections::HashMap;

const SECRET_HEADERS: [&str; 2] = ["x-hasura-admin-secret", "x-hasura-access-key"];

pub async fn session(headers: &HeaderMap, settings: &Settings) -> Result<Authenticated, Refusal> {
    let session = match &settings.admin_secret {
        None => administrator(headers),
        Some(secret) => match SECRET_HEADERS.iter().find_map(|name| headers.get(*name)) {
            Some(given) if verify_slices_are_equal(secret.expose().as_bytes(), given.as_bytes()).is_ok() => {
                administrator(headers)
            }
            Some(_) => return Err(denied("invalid \"x-hasura-admin-secret\"/\"x-hasura-access-key\"")),
            None => match &settings.unauthorized_role {
                Some(role) => with_role(role.clone(), HashMap::new(), false),
                None => {
                    return Err(denied(
                        "x-hasura-admin-secret/x-hasura-access-key required, but not found",
                    ));
                }
            },
        },
    };
    Ok(Authenticated {
        session,
        expires_at: None,
    })
}

fn administrator(headers: &HeaderMap) -> Session {
    let mut variables = HashMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        if let (true, false, Ok(value)) = (
            name.starts_with("x-hasura-"),
            SECRET_HEADERS.contains(&name),
            std::str::from_utf8(value.as_bytes()),
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

fn with_role(role: String, mut variables: HashMap<String, String>, backend: bool) -> Session {
    variables.insert("x-hasura-role".to_owned(), role.clone());
    Session {
        role,
        variables,
        backend,
    }
}

fn denied(message: &str) -> Refusal {
    GraphqlError::new("access-denied", "$", message).into()
}
