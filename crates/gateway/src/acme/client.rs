//! One account with one certificate authority: signed requests, nonces, and what the authority complains of.

use super::{
    account::AccountKey,
    http::{Answer, Http},
};
use http::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// How often a nonce may be refused in a row.
const NONCES: u32 = 8;

pub struct Client {
    http: Http,
    directory: Directory,
    key: AccountKey,
    /// The account's URL, which signs for it.
    account: String,
    nonce: Mutex<Option<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    new_nonce: String,
    new_account: String,
    new_order: String,
    renewal_info: Option<String>,
}

/// What an account is registered with.
pub struct Registration<'a> {
    pub server: &'a str,
    pub email: &'a str,
    pub external: Option<(&'a str, &'a str)>,
    /// The URL of an account that exists already.
    pub known: Option<String>,
}

impl Client {
    /// Registers the key's account, or takes it up.
    ///
    /// # Errors
    /// The authority cannot be reached, or refuses.
    pub async fn open(http: Http, key: AccountKey, wanted: &Registration<'_>) -> Result<Self, String> {
        let answer = http.send(Method::GET, wanted.server, &[], String::new()).await?;
        let directory = serde_json::from_slice(&answer.body).map_err(|_| {
            format!(
                "'{}' is no ACME directory (it answered {})",
                wanted.server, answer.status
            )
        })?;
        let mut client = Self {
            http,
            directory,
            key,
            account: wanted.known.clone().unwrap_or_default(),
            nonce: Mutex::default(),
        };
        if client.account.is_empty() {
            client.register(wanted).await?;
        }
        Ok(client)
    }

    async fn register(&mut self, wanted: &Registration<'_>) -> Result<(), String> {
        let url = self.directory.new_account.clone();
        let mut payload = json!({"termsOfServiceAgreed": true});
        if !wanted.email.is_empty() {
            payload["contact"] = json!([format!("mailto:{}", wanted.email)]);
        }
        if let Some((kid, secret)) = wanted.external {
            payload["externalAccountBinding"] = self.key.bind(kid, secret, &url)?;
        }
        let answer = self
            .post(&url, &payload.to_string())
            .await
            .map_err(|error| format!("registering the account: {error}"))?;
        self.account = answer
            .header("location")
            .ok_or("the authority gave the account no URL")?;
        Ok(())
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    pub fn key(&self) -> &AccountKey {
        &self.key
    }

    /// # Errors
    /// See [`Client::post`].
    pub async fn new_order(&self, payload: &Value) -> Result<(String, Value), String> {
        let answer = self.post(&self.directory.new_order, &payload.to_string()).await?;
        let url = answer.header("location").ok_or("the authority gave the order no URL")?;
        Ok((url, parsed(&answer)?))
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// See [`Client::post`].
    pub async fn get(&self, url: &str) -> Result<Value, String> {
        parsed(&self.post(url, "").await?)
    }

    /// Signs and sends; a refused nonce is replaced.
    ///
    /// # Errors
    /// Nobody answered, or the authority complains: its own words.
    pub async fn post(&self, url: &str, payload: &str) -> Result<Answer, String> {
        let mut refused = 0;
        loop {
            let mut protected = json!({"alg": "RS256", "nonce": self.fresh_nonce().await?, "url": url});
            if self.account.is_empty() {
                protected["jwk"] = self.key.jwk();
            } else {
                protected["kid"] = json!(self.account);
            }
            let signed = self.key.sign(&protected, payload)?.to_string();
            let kind = [(header::CONTENT_TYPE, "application/jose+json".to_owned())];
            let answer = self.http.send(Method::POST, url, &kind, signed).await?;
            self.keep_nonce(&answer);
            if answer.status.is_success() {
                return Ok(answer);
            }
            let problem = Problem::read(&answer);
            refused += 1;
            if !problem.kind.ends_with(":badNonce") || refused > NONCES {
                return Err(problem.told());
            }
        }
    }

    async fn fresh_nonce(&self) -> Result<String, String> {
        let kept = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(nonce) = kept {
            return Ok(nonce);
        }
        let answer = self
            .http
            .send(Method::HEAD, &self.directory.new_nonce, &[], String::new())
            .await?;
        answer
            .header("replay-nonce")
            .ok_or_else(|| "the authority gives no nonce".to_owned())
    }

    fn keep_nonce(&self, answer: &Answer) {
        if let Some(nonce) = answer.header("replay-nonce") {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce);
        }
    }

    /// When the authority would like a certificate renewed (RFC 9773): start and end, RFC 3339. `None` where it does not say.
    pub async fn suggested_window(&self, id: &str) -> Option<(String, String)> {
        let url = format!("{}/{id}", self.directory.renewal_info.as_ref()?);
        let answer = self.http.send(Method::GET, &url, &[], String::new()).await.ok()?;
        let value: Value = serde_json::from_slice(&answer.body).ok()?;
        let text = |name: &str| value["suggestedWindow"][name].as_str().map(str::to_owned);
        Some((text("start")?, text("end")?)).filter(|_| answer.status == StatusCode::OK)
    }

    pub fn suggests(&self) -> bool {
        self.directory.renewal_info.is_some()
    }
}

fn parsed(answer: &Answer) -> Result<Value, String> {
    serde_json::from_slice(&answer.body).map_err(|_| "the authority's answer is no JSON".to_owned())
}

/// RFC 7807, as authorities send it.
#[derive(Default, Deserialize)]
pub struct Problem {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    subproblems: Vec<Problem>,
}

impl Problem {
    fn read(answer: &Answer) -> Self {
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| Self {
            detail: format!("it answered {}", answer.status),
            ..Self::default()
        })
    }

    pub fn of(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    pub fn told(&self) -> String {
        let kind = self.kind.rsplit(':').next().unwrap_or_default();
        let mut text = format!("the authority says: {}", self.detail);
        if !kind.is_empty() {
            text.push_str(&format!(" ({kind})"));
        }
        for part in &self.subproblems {
            text.push_str(&format!("; {}", part.detail));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// An authority that has a directory, and an opinion on renewal.
    async fn authority() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let base = url.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.expect("a request");
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let body = match head.split(' ').nth(1) {
                    Some("/dir") => json!({
                        "newNonce": format!("{base}/nonce"), "newAccount": format!("{base}/account"),
                        "newOrder": format!("{base}/order"), "renewalInfo": format!("{base}/renewal"),
                    }),
                    Some("/renewal/known") => json!({"suggestedWindow": {
                        "start": "2030-01-01T00:00:00Z", "end": "2030-01-02T00:00:00Z",
                    }}),
                    _ => json!({"type": "urn:ietf:params:acme:error:malformed", "detail": "unknown"}),
                }
                .to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.expect("an answer");
            }
        });
        url
    }

    #[tokio::test]
    async fn the_authority_is_asked_when_it_would_like_a_renewal() {
        let url = authority().await;
        let key = AccountKey::generate().expect("a key");
        let wanted = Registration {
            server: &format!("{url}/dir"),
            email: "",
            external: None,
            known: Some(format!("{url}/account/1")),
        };
        let http = Http::new(&[], None).expect("a client");
        let client = Client::open(http, key, &wanted)
            .await
            .expect("an account that is known");
        let window = client.suggested_window("known").await.expect("a window");
        assert_eq!(window, ("2030-01-01T00:00:00Z".into(), "2030-01-02T00:00:00Z".into()));
        assert_eq!(client.suggested_window("other").await, None);
        let told = client.new_order(&json!({})).await.expect_err("no nonce");
        assert!(told.contains("nonce"), "{told}");
    }

    #[test]
    fn a_problem_tells_its_parts() {
        let problem = Problem::of(&json!({
            "type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "some names are refused",
            "subproblems": [{"type": "x", "detail": "a.test is on a list"}],
        }));
        let expected = "the authority says: some names are refused (rejectedIdentifier); a.test is on a list";
        assert_eq!(problem.told(), expected);
    }
}
