//! One call of a webhook, and what is written down about it.

use crate::{
    body::Body,
    hook::Hook,
    signature::Secrets,
    transform::{Content, Mistake, Sent},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::BodyExt;
use metadata::Header;
use serde_json::{Value, json};
use std::{collections::BTreeMap, error::Error as _, time::Duration};
use telemetry::client::{Client, full};
use time::OffsetDateTime;

/// Of an answer that is only written down no more is kept.
const LONGEST_KEPT: usize = 256 * 1024;
/// An answer that is used is no longer.
const LONGEST_USED: usize = 16 << 20;
/// What Hasura writes down where no answer came.
const NO_ANSWER: i32 = 1000;
/// Whatever a webhook says.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);
const AGENT: &str = concat!("portico/", env!("CARGO_PKG_VERSION"));

pub struct Call<'a> {
    pub hook: &'a Hook,
    /// Of the event: the same in each of its calls.
    pub id: &'a str,
    /// JSON.
    pub body: &'a str,
    /// Sent too, where the hook has no such header.
    pub headers: &'a [(String, String)],
    /// The session variables of whoever caused it.
    pub session: Option<&'a Value>,
    /// `traceparent` of the writer.
    pub trace: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub delivered: bool,
    pub status: i32,
    /// When the webhook wants to be called again.
    pub retry_after: Option<Duration>,
    /// Both JSON.
    pub request: String,
    pub response: String,
}

impl Outcome {
    pub fn failed(request: String, message: String) -> Self {
        Outcome {
            delivered: false,
            status: NO_ANSWER,
            retry_after: None,
            request,
            response: json!({"type": "client_error", "version": "2", "data": {"message": message}}).to_string(),
        }
    }
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// As its transform made it.
    pub body: String,
}

impl Call<'_> {
    pub async fn make(&self, client: &Client, secrets: &Secrets) -> Outcome {
        let sent = match self.sent() {
            Ok(sent) => sent,
            Err(mistakes) => return Outcome::failed(self.logged(None), told_mistakes(&mistakes)),
        };
        let logged = self.logged(sent.as_ref());
        match self.exchange(client, secrets, sent.as_ref(), LONGEST_KEPT).await {
            Ok((answer, _)) => Outcome {
                delivered: (200..300).contains(&answer.status),
                status: i32::from(answer.status),
                retry_after: retry_after(&answer.headers),
                response: self.told_answer(&answer, sent.as_ref()),
                request: logged,
            },
            Err(message) => Outcome::failed(logged, message),
        }
    }

    /// For whoever uses the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&self, client: &Client, secrets: &Secrets) -> Result<Answer, String> {
        let sent = self.sent().map_err(|mistakes| told_mistakes(&mistakes))?;
        let (mut answer, whole) = self.exchange(client, secrets, sent.as_ref(), LONGEST_USED).await?;
        if !whole {
            return Err(format!("the answer is longer than {LONGEST_USED} bytes"));
        }
        if let (Some(transform), Ok(body)) = (&self.hook.response_transform, serde_json::from_str(&answer.body)) {
            let sent = sent.unwrap_or_else(|| self.plain());
            let made = transform.apply(&body, answer.status, &sent, self.session);
            answer.body = made
                .map_err(|mistake| format!("the response transform failed: {mistake}"))?
                .to_string();
        }
        Ok(answer)
    }

    /// The answer, and whether it is whole.
    async fn exchange(
        &self,
        client: &Client,
        secrets: &Secrets,
        sent: Option<&Sent>,
        longest: usize,
    ) -> Result<(Answer, bool), String> {
        let request = self.request(sent, secrets)?;
        let within = self.hook.retry.timeout;
        let answered = tokio::time::timeout(within, answer(client, request, within, longest)).await;
        answered.unwrap_or_else(|_| Err(format!("no answer within {} s", within.as_secs())))
    }

    /// What a transform makes of it; `None`: there is none, it goes as it is.
    fn sent(&self) -> Result<Option<Sent>, Vec<Mistake>> {
        let transform = self.hook.request_transform.as_ref();
        transform
            .map(|transform| transform.apply(self.plain(), self.session))
            .transpose()
    }

    fn plain(&self) -> Sent {
        let headers = self.hook.headers.iter();
        let mut all: BTreeMap<String, String> = self.headers.iter().cloned().collect();
        all.extend(headers.map(|(header, value)| (header.name.to_lowercase(), value.clone())));
        Sent {
            method: "POST".to_owned(),
            url: self.hook.url.clone(),
            headers: all,
            body: Content::Json(serde_json::from_str(self.body).unwrap_or_default()),
        }
    }

    fn request(&self, sent: Option<&Sent>, secrets: &Secrets) -> Result<Request<telemetry::client::Body>, String> {
        let body = sent.map_or_else(|| self.body.to_owned(), |sent| sent.body.text());
        let url = sent.map_or(&self.hook.url, |sent| &sent.url);
        let media_type = sent.map_or(Some("application/json"), |sent| sent.body.media_type());
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(media_type.map(|media_type| (header::CONTENT_TYPE, HeaderValue::from_static(media_type))));
        let mut put = |name: &str, value: &str| {
            let (name, value) = name
                .parse::<HeaderName>()
                .ok()
                .zip(value.parse().ok())
                .ok_or_else(|| unusable(name))?;
            headers.insert(name, value);
            Ok::<_, String>(())
        };
        match sent {
            Some(sent) => sent.headers.iter().try_for_each(|(name, value)| put(name, value))?,
            None => {
                self.headers.iter().try_for_each(|(name, value)| put(name, value))?;
                let own = self.hook.headers.iter();
                own.map(|(header, value)| (&header.name, value))
                    .try_for_each(|(name, value)| put(name, value))?;
            }
        }
        if let Some(trace) = &self.trace {
            put("traceparent", trace)?;
        }
        let now = OffsetDateTime::now_utc().unix_timestamp();
        if let Some(signature) = secrets.sign(self.id, now, body.as_bytes()) {
            put("webhook-id", self.id)?;
            put("webhook-timestamp", &now.to_string())?;
            put("webhook-signature", &signature)?;
        }
        let method = sent.map_or("POST", |sent| &sent.method);
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .body(full(body))
            .map_err(|error| format!("'{url}' cannot be called: {error}"))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// What is written down of the request. What came from the environment may be secret.
    fn logged(&self, sent: Option<&Sent>) -> String {
        let headers: Vec<&Header> = self.hook.headers.iter().map(|(header, _)| header).collect();
        let logged = Body::default()
            .with_json("payload", Some(self.body))
            .with("headers", &headers)
            .with("version", "2");
        let logged = match sent {
            Some(sent) => logged.with("transformed", &json!({"method": sent.method, "body": sent.body.text()})),
            None => logged,
        };
        logged.text()
    }

    fn told_answer(&self, answer: &Answer, sent: Option<&Sent>) -> String {
        let mut data = json!({"status": answer.status, "headers": told(&answer.headers), "body": answer.body});
        if let Some(transform) = &self.hook.response_transform {
            let sent = sent.cloned().unwrap_or_else(|| self.plain());
            let body = serde_json::from_str(&answer.body).unwrap_or_default();
            data["transformed"] = match transform.apply(&body, answer.status, &sent, self.session) {
                Ok(value) => value,
                Err(mistake) => json!(mistake.to_string()),
            };
        }
        json!({"type": "webhook_response", "version": "2", "data": data}).to_string()
    }
}

fn told_mistakes(mistakes: &[Mistake]) -> String {
    let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    format!("the request transform failed: {}", mistakes.join("; "))
}

fn unusable(name: &str) -> String {
    format!("header \"{name}\" is none that HTTP can send")
}

async fn answer(
    client: &Client,
    request: Request<telemetry::client::Body>,
    within: Duration,
    longest: usize,
) -> Result<(Answer, bool), String> {
    let response = client.send(request, within).await;
    let (head, mut body) = response.map_err(|error| chain(&error))?.into_parts();
    let mut bytes = Vec::new();
    // The rest of a long answer is not needed, and the connection not worth keeping for it.
    while let Some(frame) = body.frame().await.filter(|_| bytes.len() <= longest) {
        let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    let whole = bytes.len() <= longest;
    bytes.truncate(longest);
    let answer = Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        // PostgreSQL's text holds no zero.
        body: String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}"),
    };
    Ok((answer, whole))
}

/// An error with its causes.
fn chain(error: &telemetry::client::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text.push_str(&format!(": {one}"));
        cause = one.source();
    }
    text
}

fn told(headers: &HeaderMap) -> Vec<Value> {
    let pairs = headers.iter();
    pairs
        .map(|(name, value)| json!({"name": name.as_str(), "value": String::from_utf8_lossy(value.as_bytes())}))
        .collect()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}
