//! What is made of an answer.

use super::{Change, Mistake, Sent, body_of, read::Reader, session_variable};
use kriti::{Error, Scope};
use serde_json::{Map, Value, json};

/// What becomes of an answer's body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResponseTransform {
    body: Change,
}

impl ResponseTransform {
    /// # Errors
    /// Every mistake.
    pub fn parse(given: &Value) -> Result<Self, Vec<Mistake>> {
        let mut reader = Reader {
            given,
            mistakes: Vec::new(),
        };
        reader.engine();
        let body = reader.body();
        match reader.mistakes.is_empty() {
            true => Ok(ResponseTransform { body }),
            false => Err(reader.mistakes),
        }
    }

    /// # Errors
    /// What could not be worked out.
    pub fn apply(
        &self,
        answer: &Value,
        status: u16,
        request: &Sent,
        session: Option<&Value>,
    ) -> Result<Value, Mistake> {
        let variable = session_variable(session);
        let told = json!({"body": body_of(&request.body), "base_url": request.url,
            "session_variables": session.cloned().unwrap_or_default()});
        let scope = Scope::default()
            .with("$body", answer.clone())
            .with("$request", told)
            .with("$response", json!({ "status": status }))
            .with("$session_variables", session.cloned().unwrap_or_default())
            .with_function("getSessionVariable", &variable);
        let wrong = |error: Error| Mistake {
            part: "body".to_owned(),
            error,
        };
        match &self.body {
            Change::Keep => Ok(answer.clone()),
            Change::Remove => Ok(Value::Null),
            Change::Json(template) | Change::FormText(template) => template.eval(&scope).map_err(wrong),
            Change::Form(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), value.eval(&scope)?)));
                fields
                    .collect::<Result<Map<_, _>, Error>>()
                    .map(Value::Object)
                    .map_err(wrong)
            }
        }
    }
}
