//! Input validation: a permission's webhook judges what is to be written before a transaction begins.

use super::{Asking, handler};
use crate::{engine::Engine, session};
use graphql::{GraphqlError, Validation};
use serde_json::{Value, json};
use webhooks::{Call, Hook};

impl Engine {
    /// # Errors
    /// The webhook refuses, in its own words, or does not answer.
    pub async fn validate(&self, validation: &Validation, asking: Asking<'_>) -> Result<(), GraphqlError> {
        let definition = &validation.by.definition;
        let variables = session::variables(asking.session);
        let body = json!({"version": 1, "role": asking.session.role, "session_variables": variables,
            "data": {"input": validation.input}})
        .to_string();
        let unusable = |why: String| {
            tracing::warn!(url = definition.url, why, "an input validation did not answer");
            GraphqlError {
                internal: Some(Box::new(json!({ "error": why }))),
                ..GraphqlError::new("unexpected", "$", "the input could not be validated")
            }
        };
        let hook = Hook::of_validation(definition, &self.settings.webhooks.environment).map_err(unusable)?;
        let headers: Vec<(String, String)> = match definition.forward_client_headers {
            true => asking.headers.iter().filter_map(handler::forwarded).collect(),
            false => Vec::new(),
        };
        let call = Call {
            hook: &hook,
            id: &foundation::new_id().to_string(),
            body: &body,
            headers: &headers,
            session: Some(&variables),
            trace: None,
        };
        let answer = call
            .ask(&self.client, &self.settings.webhooks.secrets)
            .await
            .map_err(unusable)?;
        match answer.status {
            200 => Ok(()),
            400 => {
                let told: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                let message = told["message"]
                    .as_str()
                    .unwrap_or("the input is refused by its validation");
                Err(GraphqlError::new("validation-failed", "$", message))
            }
            status => Err(unusable(format!("unexpected response: {status} {}", answer.body))),
        }
    }
}
