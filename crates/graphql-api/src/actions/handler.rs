//! Asking an action's handler.

use super::Hooks;
use crate::{Settings, engine::Engine, state::State};
use graphql::GraphqlError;
use http::{HeaderName, HeaderValue, header};
use metadata::Metadata;
use serde_json::{Value, json};
use std::sync::Arc;
use webhooks::{Answer, Call, Hook};

/// About the connection or the body, not about the caller.
const NOT_FORWARDED: [HeaderName; 12] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::ORIGIN,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
    header::TE,
];

pub struct Asked<'a> {
    pub name: &'a str,
    /// Of an asynchronous one.
    pub id: Option<&'a str>,
    pub input: &'a Value,
    pub session: &'a Value,
    pub headers: Vec<(String, String)>,
    pub query: &'a str,
}

/// A client's header, where it may go along.
pub fn forwarded((name, value): (&HeaderName, &HeaderValue)) -> Option<(String, String)> {
    let ours = NOT_FORWARDED.contains(name) || name.as_str().starts_with("sec-websocket");
    let value = value.to_str().ok().filter(|_| !ours)?;
    Some((name.to_string(), value.to_owned()))
}

pub fn hooks(settings: &Settings, metadata: &Metadata) -> Hooks {
    let environment = &settings.webhooks.environment;
    let actions = metadata.actions.iter();
    let known = actions.filter_map(|action| {
        let hook = Hook::of_action(&action.definition, environment).ok()?;
        Some((action.name.clone(), hook))
    });
    Arc::new(known.collect())
}

impl Engine {
    /// What the handler answered, and its cookies.
    pub async fn ask_handler(
        &self,
        state: &State,
        asked: &Asked<'_>,
    ) -> Result<(Value, Vec<HeaderValue>), GraphqlError> {
        let definition = state.metadata.actions.iter().find(|action| action.name == asked.name);
        let (Some(hook), Some(action)) = (state.hooks.get(asked.name), definition) else {
            let message = format!("the action \"{}\" cannot be called", asked.name);
            return Err(GraphqlError::new("unexpected", "$", message));
        };
        let mut told = json!({"action": {"name": asked.name}, "input": asked.input,
            "session_variables": asked.session, "request_query": asked.query});
        let id = match asked.id {
            Some(id) => {
                told["action"]["id"] = json!(id);
                id.to_owned()
            }
            None => foundation::new_id().to_string(),
        };
        let body = told.to_string();
        let call = Call {
            hook,
            id: &id,
            body: &body,
            headers: match action.definition.forward_client_headers {
                true => &asked.headers,
                false => &[],
            },
            session: Some(asked.session),
            trace: None,
        };
        let answer = call.ask(&self.client, &self.settings.webhooks.secrets).await;
        let answer = answer.map_err(|message| {
            tracing::warn!(action = asked.name, message, "an action's handler did not answer");
            failed("http exception when calling webhook", &message, &body)
        })?;
        let cookies = answer.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
        read(&answer, &body).map(|value| (value, cookies))
    }
}

fn read(answer: &Answer, asked: &str) -> Result<Value, GraphqlError> {
    let parsed: Result<Value, _> = serde_json::from_str(&answer.body);
    match answer.status {
        200..300 => parsed.map_err(|error| {
            let message = "not a valid json response from webhook";
            failed(message, &error.to_string(), asked)
        }),
        400..500 => Err(match parsed {
            Ok(told) if told["message"].is_string() => refused(&told),
            _ => {
                let message = "parsing Hasura.GraphQL.Execute.Action.Types.ActionWebhookErrorResponse failed, \
                               key \"message\" not found";
                failed(message, &answer.body, asked)
            }
        }),
        status => Err(failed(
            "internal error",
            &format!("unexpected response: {status} {}", answer.body),
            asked,
        )),
    }
}

/// The handler's own words: `{"message", "code"?, "extensions"?}`.
fn refused(told: &Value) -> GraphqlError {
    let message = told["message"].as_str().unwrap_or_default();
    let extensions = match told.get("extensions").filter(|extensions| !extensions.is_null()) {
        Some(extensions) => extensions.clone(),
        None => json!({"path": "$", "code": told["code"].as_str().unwrap_or("unexpected")}),
    };
    GraphqlError {
        extensions: Some(Box::new(extensions)),
        ..GraphqlError::new("unexpected", "$", message)
    }
}

/// What is for administrators is told as internal.
fn failed(message: &str, why: &str, asked: &str) -> GraphqlError {
    let request: Value = serde_json::from_str(asked).unwrap_or_default();
    let internal = json!({"error": why, "request": {"body": request}, "response": null});
    GraphqlError {
        internal: Some(Box::new(internal)),
        ..GraphqlError::new("unexpected", "$", message)
    }
}
