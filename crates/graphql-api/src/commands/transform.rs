//! `test_webhook_transform`: what a webhook would be sent.

use crate::{draft::Draft, refusal::Refusal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use webhooks::{Content, Mistake, RequestTransform, ResponseTransform, Sent, resolve};

pub fn apply(draft: &Draft<'_>, name: &str, args: &Value) -> Option<Result<Value, Refusal>> {
    (name == "test_webhook_transform").then(|| test(draft, args))
}

fn test(draft: &Draft<'_>, args: &Value) -> Result<Value, Refusal> {
    let mut environment = (*draft.engine.settings.environment).clone();
    let given = args["env"].as_object().into_iter().flatten();
    environment.extend(given.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))));
    let sent = Sent {
        method: "GET".to_owned(),
        url: webhook(&args["webhook_url"], &environment)?,
        headers: headers(&args["request_headers"]),
        body: Content::Json(args["body"].clone()),
    };
    let request =
        RequestTransform::parse(&args["request_transform"]).map_err(|mistakes| wrong("request", &mistakes))?;
    if args.get("response_transform").is_some_and(|given| !given.is_null()) {
        let read = ResponseTransform::parse(&args["response_transform"]);
        read.map_err(|mistakes| wrong("response", &mistakes))?;
    }
    let session = Some(&args["session_variables"]).filter(|session| session.is_object());
    let done = request
        .apply(sent, session)
        .map_err(|mistakes| wrong("request", &mistakes))?;
    let headers: Vec<[&String; 2]> = done.headers.iter().map(|(name, value)| [name, value]).collect();
    let body = match &done.body {
        Content::Nothing => json!(""),
        Content::Json(value) => value.clone(),
        Content::Form(text) => json!(text),
    };
    Ok(json!({"webhook_url": done.url, "method": done.method, "headers": headers, "body": body}))
}

fn webhook(given: &Value, environment: &BTreeMap<String, String>) -> Result<String, Refusal> {
    let found = match (given.as_str(), given["from_env"].as_str()) {
        (Some(template), _) => resolve(template, environment),
        (None, Some(name)) => {
            let found = environment.get(name).cloned();
            found.ok_or_else(|| format!("environment variable '{name}' not set"))
        }
        (None, None) => Err("webhook_url is a URL or {\"from_env\": name}".to_owned()),
    };
    found.map_err(|message| Refusal::new("parse-failed", "$.args.webhook_url", message))
}

/// As `[[name, value], …]`.
fn headers(given: &Value) -> BTreeMap<String, String> {
    let pairs = given.as_array().into_iter().flatten();
    pairs
        .filter_map(|pair| Some((pair[0].as_str()?.to_lowercase(), pair[1].as_str()?.to_owned())))
        .collect()
}

fn wrong(which: &str, mistakes: &[Mistake]) -> Refusal {
    let mut refusal = Refusal::new(
        "validation-failed",
        "$.args",
        format!("{which} transform validation failed"),
    );
    let told = mistakes.iter().map(|mistake| mistake.error.as_json());
    refusal.error.internal = Some(Box::new(told.collect()));
    refusal
}
