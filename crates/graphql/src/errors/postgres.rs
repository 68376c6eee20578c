//! How a failure of PostgreSQL is told to a GraphQL caller: constraint violations and bad data are the caller's,
//! everything else is one sentence with the detail kept for administrators.

use super::GraphqlError;
use serde_json::{Value, json};

/// What the server said, as far as the protocol carries it.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresFailure<'a> {
    pub sqlstate: &'a str,
    pub message: &'a str,
    pub detail: Option<&'a str>,
    pub hint: Option<&'a str>,
    pub constraint: Option<&'a str>,
    pub statement: Option<&'a str>,
}

impl PostgresFailure<'_> {
    fn internal(&self) -> Value {
        let mut internal = json!({
            "error": {
                "exec_status": "FatalError",
                "hint": self.hint,
                "message": self.message,
                "status_code": self.sqlstate,
                "description": self.detail,
            },
            "arguments": [],
            "prepared": false,
        });
        if let Some(statement) = self.statement {
            internal["statement"] = Value::from(statement);
        }
        internal
    }
}

/// Translates a failure met while running a statement of a query or a mutation.
///
/// `path` is where in the request the statement came from. Constraint violations and data exceptions are the caller's in
/// mutations; in queries only data exceptions are.
pub fn from_postgres(failure: &PostgresFailure<'_>, path: &str, in_mutation: bool) -> GraphqlError {
    let error = match failure.sqlstate {
        "23514" if in_mutation => GraphqlError::new(
            "permission-error",
            path,
            format!("Check constraint violation. {}", failure.message),
        ),
        "23505" if in_mutation => violation(path, "Uniqueness violation. ", failure),
        "23503" if in_mutation => violation(path, "Foreign key violation. ", failure),
        "23502" if in_mutation => violation(path, "Not-NULL violation. ", failure),
        "23P01" if in_mutation => violation(path, "Exclusion constraint violation. ", failure),
        "23001" if in_mutation => violation(path, "Restrict violation. ", failure),
        "22001" if in_mutation => GraphqlError::new("data-exception", path, failure.message),
        "40001" => GraphqlError::new("unexpected", path, failure.message),
        state if state.starts_with("22") => data_exception(failure, path, in_mutation),
        state if state.starts_with("23") && in_mutation => violation(path, "Integrity constraint violation. ", failure),
        "42601" | "42501" if in_mutation => GraphqlError::new("postgres-error", path, "query execution failed"),
        "42P10" if in_mutation => GraphqlError::new("constraint-error", path, failure.message),
        "P0001" => GraphqlError::new("postgres-error", path, failure.message),
        _ => GraphqlError::new("postgres-error", path, "database query error"),
    };
    if matches!(error.code, "postgres-error") && error.message != failure.message {
        return GraphqlError {
            internal: Some(Box::new(failure.internal())),
            ..error
        };
    }
    error
}

fn violation(path: &str, prefix: &str, failure: &PostgresFailure<'_>) -> GraphqlError {
    GraphqlError::new("constraint-violation", path, format!("{prefix}{}", failure.message))
}

fn data_exception(failure: &PostgresFailure<'_>, path: &str, in_mutation: bool) -> GraphqlError {
    match failure.sqlstate {
        // invalid_escape_sequence and friends: a pattern the caller wrote
        "22025" | "22019" | "2201B" => GraphqlError::new("bad-request", path, failure.message),
        _ if in_mutation || failure.sqlstate != "22000" => GraphqlError::new("data-exception", path, failure.message),
        _ => GraphqlError::new("postgres-error", path, "database query error"),
    }
}
