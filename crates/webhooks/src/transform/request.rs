//! What is sent.

use super::{Change, Content, Mistake, Sent, body_of, read::Reader, session_variable};
use kriti::{Scope, Template};
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestTransform {
    method: Option<String>,
    url: Option<Template>,
    body: Change,
    query: Vec<(Template, Option<Template>)>,
    whole_query: Option<Template>,
    add_headers: Vec<(String, Template)>,
    remove_headers: Vec<String>,
}

impl RequestTransform {
    /// # Errors
    /// Every mistake.
    pub fn parse(given: &Value) -> Result<Self, Vec<Mistake>> {
        let mut reader = Reader {
            given,
            mistakes: Vec::new(),
        };
        reader.engine();
        let mut read = RequestTransform {
            method: given["method"].as_str().map(str::to_uppercase),
            url: reader.text("url", &given["url"]),
            body: reader.body(),
            ..RequestTransform::default()
        };
        if read
            .method
            .as_ref()
            .is_some_and(|method| method.parse::<http::Method>().is_err())
        {
            reader.wrong("method", "it is no HTTP method");
        }
        match &given["query_params"] {
            Value::Object(pairs) => {
                for (name, value) in pairs {
                    let key = reader.text("query_params", &Value::from(name.as_str()));
                    let value = reader.text("query_params", value);
                    read.query.extend(key.map(|key| (key, value)));
                }
            }
            other => read.whole_query = reader.text("query_params", other),
        }
        let headers = &given["request_headers"];
        for (name, value) in headers["add_headers"].as_object().into_iter().flatten() {
            let template = reader.text("request_headers.add_headers", value);
            read.add_headers
                .extend(template.map(|template| (name.to_lowercase(), template)));
        }
        let removed = headers["remove_headers"].as_array().into_iter().flatten();
        read.remove_headers = removed.filter_map(|name| Some(name.as_str()?.to_lowercase())).collect();
        if let Some(content_type) = given["content_type"].as_str() {
            let template = reader.text("content_type", &Value::from(content_type));
            read.add_headers
                .extend(template.map(|template| ("content-type".to_owned(), template)));
        }
        match reader.mistakes.is_empty() {
            true => Ok(read),
            false => Err(reader.mistakes),
        }
    }

    /// # Errors
    /// Every part that could not be worked out.
    pub fn apply(&self, sent: Sent, session: Option<&Value>) -> Result<Sent, Vec<Mistake>> {
        let variable = session_variable(session);
        let scope = request_scope(&sent, session).with_function("getSessionVariable", &variable);
        let mut mistakes = Vec::new();
        let mut text = |part: &str, template: &Template| match template.eval(&scope) {
            Ok(Value::String(text)) => text,
            Ok(other) => other.to_string(),
            Err(error) => {
                mistakes.push(Mistake {
                    part: part.to_owned(),
                    error,
                });
                String::new()
            }
        };
        let url = self
            .url
            .as_ref()
            .map_or_else(|| with_path(&sent.url), |url| text("url", url));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.query {
            let name = text("query_params", name);
            match value {
                Some(value) => query.append_pair(&name, &text("query_params", value)),
                None => query.append_key_only(&name),
            };
        }
        let query = match &self.whole_query {
            Some(whole) => text("query_params", whole).trim_start_matches('?').to_owned(),
            None => query.finish(),
        };
        let mut headers = sent.headers.clone();
        headers.retain(|name, _| !self.remove_headers.contains(name));
        for (name, value) in &self.add_headers {
            headers.insert(name.clone(), text("request_headers", value));
        }
        let form = |pairs: Vec<(String, String)>| {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs);
            Content::Form(form.finish())
        };
        let body = match &self.body {
            Change::Keep => Ok(sent.body.clone()),
            Change::Remove => Ok(Content::Nothing),
            Change::Json(template) => template.eval(&scope).map(Content::Json),
            Change::FormText(template) => Ok(Content::Form(text("body", template))),
            Change::Form(fields) => {
                let mut pairs: Vec<(String, String)> = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), text("body", value)))
                    .collect();
                pairs.sort();
                Ok(form(pairs))
            }
        };
        let body = body.unwrap_or_else(|error| {
            mistakes.push(Mistake {
                part: "body".to_owned(),
                error,
            });
            Content::Nothing
        });
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Sent {
            method: self.method.clone().unwrap_or(sent.method),
            url: with_query(url, &query),
            headers,
            body,
        })
    }
}

/// A URL without a path has the root's.
fn with_path(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    match host.contains(['/', '?']) {
        true => url.to_owned(),
        false => format!("{url}/"),
    }
}

fn with_query(url: String, query: &str) -> String {
    match (query.is_empty(), url.contains('?')) {
        (true, _) => url,
        (false, true) => format!("{url}&{query}"),
        (false, false) => format!("{url}?{query}"),
    }
}

fn request_scope<'s>(sent: &Sent, session: Option<&Value>) -> Scope<'s> {
    let parsed = url::Url::parse(&sent.url).ok();
    let pairs = parsed.iter().flat_map(url::Url::query_pairs);
    let query: Map<String, Value> = pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect();
    Scope::default()
        .with("$body", body_of(&sent.body))
        .with("$base_url", json!(sent.url))
        .with("$query_params", Value::Object(query))
        .with("$session_variables", session.cloned().unwrap_or_default())
}
