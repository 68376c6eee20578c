//! Request and response transforms in Hasura's metadata: what is sent is made of what would be sent, by templates.

mod read;
mod request;
mod response;

pub use request::RequestTransform;
pub use response::ResponseTransform;

use kriti::{Error, Template};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is wrong with a transform: which part, and what.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    pub part: String,
    pub error: Error,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.part, self.error)
    }
}

/// A request before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    pub method: String,
    pub url: String,
    /// Names in lower case, in their order.
    pub headers: BTreeMap<String, String>,
    pub body: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Nothing,
    Json(Value),
    Form(String),
}

impl Content {
    /// As it goes over the wire.
    pub fn text(&self) -> String {
        match self {
            Content::Nothing => String::new(),
            Content::Json(value) => value.to_string(),
            Content::Form(text) => text.clone(),
        }
    }

    pub fn media_type(&self) -> Option<&'static str> {
        match self {
            Content::Nothing => None,
            Content::Json(_) => Some("application/json"),
            Content::Form(_) => Some("application/x-www-form-urlencoded"),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
enum Change {
    #[default]
    Keep,
    Remove,
    Json(Template),
    Form(Vec<(String, Template)>),
    /// The whole form is one template.
    FormText(Template),
}

fn body_of(content: &Content) -> Value {
    match content {
        Content::Nothing => Value::Null,
        Content::Json(value) => value.clone(),
        Content::Form(text) => Value::from(text.as_str()),
    }
}

/// Names are the same in any case.
fn session_variable(session: Option<&Value>) -> impl Fn(&Value) -> Result<Value, String> + Sync {
    let session = session.and_then(Value::as_object).cloned().unwrap_or_default();
    move |name: &Value| {
        let Some(name) = name.as_str() else {
            return Err("getSessionVariable takes a String".to_owned());
        };
        let found = session.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let found = found.map(|(_, value)| value.clone());
        found.ok_or_else(|| format!("Session variable \"{name}\" not found"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent() -> Sent {
        Sent {
            method: "POST".to_owned(),
            url: "http://h/a?b=c".to_owned(),
            headers: BTreeMap::from([
                ("x-old".to_owned(), "1".to_owned()),
                ("x-kept".to_owned(), "2".to_owned()),
            ]),
            body: Content::Json(json!({"name": "Ada Lovelace", "n": 1})),
        }
    }

    #[test]
    fn every_part_of_a_request_can_be_made_anew() {
        let given = json!({"version": 2, "template_engine": "Kriti", "method": "put", "url": "{{$base_url}}&d=1",
            "query_params": {"who": "{{$body.name}}", "bare": null}, "body": {"action": "transform",
                "template": "{\"is\": {{ getSessionVariable(\"X-Hasura-Role\") }}, \"q\": {{ $query_params.b }}}"},
            "request_headers": {"add_headers": {"X-N": "n={{$body.n}}"}, "remove_headers": ["X-Old"]}});
        let transform = RequestTransform::parse(&given).expect("a transform");
        let done = transform
            .apply(sent(), Some(&json!({"x-hasura-role": "user"})))
            .expect("a request");
        assert_eq!(done.method, "PUT");
        assert_eq!(done.url, "http://h/a?b=c&d=1&who=Ada+Lovelace&bare");
        assert_eq!(done.body, Content::Json(json!({"is": "user", "q": "c"})));
        let names: Vec<(&str, &str)> = done.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(names, [("x-kept", "2"), ("x-n", "n=1")]);
    }

    #[test]
    fn forms_and_mistakes() {
        let form = json!({"version": 2, "body": {"action": "x_www_form_urlencoded",
            "form_template": {"b": "x&y", "a": "{{$body.name}}"}}});
        let done = RequestTransform::parse(&form)
            .expect("a transform")
            .apply(sent(), None)
            .expect("a request");
        assert_eq!(done.body, Content::Form("a=Ada+Lovelace&b=x%26y".to_owned()));
        let broken = json!({"version": 3, "template_engine": "Go", "url": "{{", "body": {"action": "sing"}});
        let told: Vec<String> = RequestTransform::parse(&broken)
            .expect_err("mistakes")
            .iter()
            .map(|one| one.part.clone())
            .collect();
        assert_eq!(told, ["template_engine", "version", "url", "body.action"]);
        let missing = json!({"url": "{{$body.no}}", "body": "{{ $body.neither }}"});
        let missing = RequestTransform::parse(&missing)
            .expect("a transform")
            .apply(sent(), None);
        assert_eq!(missing.expect_err("two").len(), 2);
    }

    #[test]
    fn an_answer_is_made_anew_with_what_was_asked() {
        let given = json!({"version": 2, "body": {"action": "transform",
            "template": "{\"got\": {{$body.x}}, \"for\": {{$request.body.n}}, \"status\": {{$response.status}}}"}});
        let transform = ResponseTransform::parse(&given).expect("a transform");
        assert_eq!(
            transform.apply(&json!({"x": true}), 201, &sent(), None),
            Ok(json!({"got": true, "for": 1, "status": 201}))
        );
    }
}
