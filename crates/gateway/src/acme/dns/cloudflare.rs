//! TXT records through Cloudflare's API, version 4 (developers.cloudflare.com/api).

use super::{super::http::Http, Environment};
use http::{HeaderName, Method, header};
use serde_json::{Value, json};

const API: &str = "https://api.cloudflare.com/client/v4";
const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
const KEY: HeaderName = HeaderName::from_static("x-auth-key");

pub struct Cloudflare {
    http: Http,
    api: String,
    login: Vec<(HeaderName, String)>,
    /// For looking zones up, where that is another token.
    zone_login: Vec<(HeaderName, String)>,
}

impl Cloudflare {
    /// # Errors
    /// There is neither a token nor an e-mail address with its key.
    pub fn open(http: Http, environment: &Environment) -> Result<Self, String> {
        let read = |names: &[&str]| {
            let mut all = names.iter().filter_map(|name| {
                let given = environment.get(*name).cloned();
                // The variable may name a file that holds the secret.
                given.or_else(|| std::fs::read_to_string(environment.get(&format!("{name}_FILE"))?).ok())
            });
            all.find(|text| !text.trim().is_empty())
                .map(|text| text.trim().to_owned())
        };
        let token = read(&["CF_DNS_API_TOKEN", "CLOUDFLARE_DNS_API_TOKEN"]);
        let zone = read(&["CF_ZONE_API_TOKEN", "CLOUDFLARE_ZONE_API_TOKEN"]);
        let email = read(&["CF_API_EMAIL", "CLOUDFLARE_EMAIL"]);
        let key = read(&["CF_API_KEY", "CLOUDFLARE_API_KEY"]);
        let bearer = |token: String| vec![(header::AUTHORIZATION, format!("Bearer {token}"))];
        let login = match (token, email, key) {
            (Some(token), ..) => bearer(token),
            (None, Some(email), Some(key)) => vec![(EMAIL, email), (KEY, key)],
            _ => {
                return Err("the DNS provider cloudflare needs CF_DNS_API_TOKEN (a token that may read zones and edit DNS), or \
                            CF_API_EMAIL and CF_API_KEY"
                    .into());
            }
        };
        Ok(Self {
            http,
            api: read(&["CLOUDFLARE_BASE_URL"])
                .unwrap_or_else(|| API.into())
                .trim_end_matches('/')
                .to_owned(),
            zone_login: zone.map_or_else(|| login.clone(), bearer),
            login,
        })
    }

    pub async fn add(&self, record: &str, text: &str) -> Result<(), String> {
        let zone = self.zone(record).await?;
        let body = json!({"type": "TXT", "name": record.trim_end_matches('.'), "content": text, "ttl": 120});
        let path = format!("/zones/{zone}/dns_records");
        match self.call(Method::POST, &path, &self.login, body.to_string()).await {
            // Left from an order that was cut short; it says what we want it to say.
            Err(error) if error.contains("already exists") => Ok(()),
            done => done.map(drop),
        }
    }

    pub async fn remove(&self, record: &str, text: &str) -> Result<(), String> {
        let zone = self.zone(record).await?;
        let name = record.trim_end_matches('.');
        let path = format!("/zones/{zone}/dns_records?type=TXT&name={name}");
        let found = self.call(Method::GET, &path, &self.login, String::new()).await?;
        for entry in found.as_array().into_iter().flatten() {
            let content = entry["content"].as_str().unwrap_or_default().trim_matches('"');
            if let Some(id) = entry["id"].as_str().filter(|_| content == text) {
                let path = format!("/zones/{zone}/dns_records/{id}");
                self.call(Method::DELETE, &path, &self.login, String::new()).await?;
            }
        }
        Ok(())
    }

    /// The zone of the longest part of the name that is one.
    async fn zone(&self, record: &str) -> Result<String, String> {
        let mut name = record.trim_end_matches('.');
        while let Some((_, rest)) = name.split_once('.') {
            name = rest;
            let path = format!("/zones?name={name}");
            let found = self.call(Method::GET, &path, &self.zone_login, String::new()).await?;
            if let Some(id) = found[0]["id"].as_str() {
                return Ok(id.to_owned());
            }
        }
        Err(format!("Cloudflare has no zone for {record} that the token may see"))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        login: &[(HeaderName, String)],
        body: String,
    ) -> Result<Value, String> {
        let mut headers = login.to_vec();
        headers.push((header::CONTENT_TYPE, "application/json".into()));
        let answer = self
            .http
            .send(method, &format!("{}{path}", self.api), &headers, body)
            .await?;
        let value: Value =
            serde_json::from_slice(&answer.body).map_err(|_| format!("Cloudflare answered {}", answer.status))?;
        if value["success"] == true {
            return Ok(value["result"].clone());
        }
        let errors = value["errors"].as_array().into_iter().flatten();
        let told: Vec<&str> = errors.filter_map(|error| error["message"].as_str()).collect();
        Err(format!("Cloudflare says {}: {}", answer.status, told.join("; ")))
    }
}
