//! A refusal with its HTTP status, written as each endpoint writes it.

use axum::{Json, response::IntoResponse, response::Response};
use foundation::Error;
use graphql::GraphqlError;
use http::StatusCode;
use metadata::commands::Refusal as CommandRefusal;

#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    pub error: GraphqlError,
}

impl Refusal {
    pub fn new(code: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        GraphqlError::new(code, path, message).into()
    }

    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Deeper in a `bulk`: `$.args` becomes `$.args[2].args`.
    pub fn within(mut self, prefix: &str) -> Self {
        if let Some(rest) = self.error.path.strip_prefix('$') {
            self.error.path = format!("{prefix}{rest}");
        }
        self
    }

    /// The answer of `/v1/query`, `/v2/query` and `/v1/metadata`.
    pub fn into_query_response(self) -> Response {
        (self.status, Json(self.error.as_query())).into_response()
    }
}

impl From<GraphqlError> for Refusal {
    fn from(error: GraphqlError) -> Self {
        Refusal {
            status: StatusCode::BAD_REQUEST,
            error,
        }
    }
}

impl From<CommandRefusal> for Refusal {
    fn from(refusal: CommandRefusal) -> Self {
        Refusal::new(refusal.code, refusal.path, refusal.message)
    }
}

/// Our own trouble: the caller learns only what may be told.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        tracing::error!(code = error.code, cause = %error.chain(), "a GraphQL API call failed");
        let told = GraphqlError::new("unexpected", "$", error.message.to_string());
        Refusal {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: told,
        }
    }
}
