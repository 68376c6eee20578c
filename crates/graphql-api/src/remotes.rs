//! Remote schemas (docs/decisions/0012): asking other GraphQL servers what they have, and for what the plan wants of them.

use crate::{
    Settings,
    actions::{Asking, forwarded},
    engine::Engine,
    session,
    state::State,
};
use graphql::{Forward, GraphqlError, Inconsistency, REMOTE_INTROSPECTION};
use metadata::{Metadata, RemoteDefinition, RemoteSchema};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use telemetry::client::Client;
use webhooks::{Call, Hook};

/// One that was read.
#[derive(Debug)]
pub struct Known {
    definition: RemoteDefinition,
    hook: Hook,
    /// Its `__schema`.
    pub introspected: Value,
}

pub type Remotes = BTreeMap<String, Arc<Known>>;

const FAILED: &str = "remote-schema-error";

/// Reads those that were not read yet as they are defined now; what cannot be read is told.
pub async fn read(
    settings: &Settings,
    client: &Client,
    metadata: &Metadata,
    known: &Remotes,
    again: impl Fn(&str) -> bool,
) -> (Remotes, Vec<Inconsistency>) {
    let reading = metadata.remote_schemas.iter().map(|written| async {
        let same = known
            .get(&written.name)
            .filter(|one| one.definition == written.definition);
        match same.filter(|_| !again(&written.name)) {
            Some(same) => Ok((written.name.clone(), same.clone())),
            None => {
                let made = introspect(settings, client, &written.definition).await;
                made.map(|made| (written.name.clone(), Arc::new(made)))
                    .map_err(|reason| unreadable(written, &reason))
            }
        }
    });
    let (mut read, mut wrong) = (Remotes::new(), Vec::new());
    for outcome in futures_util::future::join_all(reading).await {
        match outcome {
            Ok((name, made)) => drop(read.insert(name, made)),
            Err(one) => wrong.push(one),
        }
    }
    (read, wrong)
}

fn unreadable(written: &RemoteSchema, reason: &str) -> Inconsistency {
    tracing::warn!(remote_schema = written.name, reason, "a remote schema cannot be used");
    Inconsistency {
        kind: "remote_schema",
        name: format!("remote_schema {}", written.name),
        reason: format!("Inconsistent object: {reason}"),
        definition: json!(written),
    }
}

async fn introspect(settings: &Settings, client: &Client, definition: &RemoteDefinition) -> Result<Known, String> {
    let hook = Hook::of_remote(definition, &settings.webhooks.environment)?;
    let body =
        json!({"query": REMOTE_INTROSPECTION, "variables": {}, "operationName": "IntrospectionQuery"}).to_string();
    let id = foundation::new_id().to_string();
    let call = Call {
        hook: &hook,
        id: &id,
        body: &body,
        headers: &[],
        session: None,
        trace: None,
    };
    let answer = call.ask(client, &settings.webhooks.secrets).await;
    let answer = answer.map_err(|message| unreached(&hook.url, &message))?;
    let mut told: Value = serde_json::from_str(&answer.body)
        .map_err(|_| format!("the answer of \"{}\" (status {}) is no JSON", hook.url, answer.status))?;
    let introspected = told["data"]["__schema"].take();
    if !introspected.is_object() {
        let why = told["errors"][0]["message"]
            .as_str()
            .unwrap_or("it has no data.__schema");
        return Err(format!("the introspection of \"{}\" failed: {why}", hook.url));
    }
    Ok(Known {
        definition: definition.clone(),
        hook,
        introspected,
    })
}

fn unreached(url: &str, message: &str) -> String {
    format!("HTTP exception occurred while sending the request to \"{url}\": {message}")
}

#[derive(serde::Deserialize)]
struct Told<'t> {
    #[serde(borrow, default)]
    data: Option<HashMap<String, &'t RawValue>>,
    #[serde(default)]
    errors: Option<Vec<Value>>,
}

/// The texts under the keys of one answer.
pub type Texts = HashMap<String, String>;

impl Engine {
    pub async fn forward(&self, state: &State, forward: &Forward, asking: Asking<'_>) -> Result<Texts, GraphqlError> {
        let Some(known) = state.remotes.get(&forward.name) else {
            let message = format!("the remote schema \"{}\" is gone", forward.name);
            return Err(GraphqlError::new("unexpected", "$", message));
        };
        let body = json!({"query": forward.query, "variables": forward.variables}).to_string();
        let mut headers: Vec<(String, String)> = match known.definition.forward_client_headers {
            true => asking.headers.iter().filter_map(forwarded).collect(),
            false => Vec::new(),
        };
        // Who asks goes along always, and only as it was found out here.
        headers.retain(|(name, _)| !name.starts_with("x-hasura-"));
        let variables = session::variables(asking.session);
        let said = variables.as_object().into_iter().flatten();
        headers.extend(said.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))));
        let id = foundation::new_id().to_string();
        let call = Call {
            hook: &known.hook,
            id: &id,
            body: &body,
            headers: &headers,
            session: None,
            trace: None,
        };
        let answer = call.ask(&self.client, &self.settings.webhooks.secrets).await;
        let answer = answer.map_err(|message| {
            tracing::warn!(remote_schema = forward.name, message, "a remote schema did not answer");
            let told = format!(
                "HTTP exception occurred while sending the request to \"{}\"",
                known.hook.url
            );
            let internal = json!({"type": "http_exception", "message": message});
            failed(told, internal)
        })?;
        texts(forward, &answer.body, answer.status)
    }
}

fn failed(message: String, internal: Value) -> GraphqlError {
    GraphqlError {
        internal: Some(Box::new(internal)),
        ..GraphqlError::new(FAILED, "$", message)
    }
}

/// What it answered, as it wrote it.
fn texts(forward: &Forward, body: &str, status: u16) -> Result<Texts, GraphqlError> {
    let told: Told<'_> = serde_json::from_str(body).map_err(|error| {
        let message = format!(
            "the remote schema \"{}\" answered what is no GraphQL answer",
            forward.name
        );
        failed(message, json!({"status": status, "error": error.to_string()}))
    })?;
    if let Some(errors) = told.errors.filter(|errors| !errors.is_empty()) {
        let message = errors[0]["message"].as_str().unwrap_or_default().to_owned();
        return Err(GraphqlError {
            several: Some(errors),
            ..GraphqlError::new(FAILED, "$", message)
        });
    }
    let Some(data) = told.data else {
        let message = format!("the remote schema \"{}\" answered no data", forward.name);
        return Err(failed(message, json!({"status": status})));
    };
    let text = |(key, value): (String, &RawValue)| {
        let text = match &forward.names {
            None => value.get().to_owned(),
            Some(names) => {
                let mut value: Value = serde_json::from_str(value.get()).unwrap_or_default();
                names.rename(&key, &mut value);
                value.to_string()
            }
        };
        (key, text)
    };
    Ok(data.into_iter().map(text).collect())
}
