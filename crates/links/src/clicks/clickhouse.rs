//! ClickHouse as the place of the clicks themselves, over its HTTP interface. The counts stay in PostgreSQL.
//!
//! The table replaces rows of the same id when it merges, and a batch carries a token by which a repetition is known at once: what
//! is sent twice is there once, read with `final`.

use super::KnownClick;
use foundation::{Error, Kind, Result, Secret};
use http::{Method, Request, StatusCode, header};
use serde_json::json;
use std::time::Duration;
use telemetry::client::{Client, full};
use url::Url;

const WITHIN: Duration = Duration::from_secs(30);
const ANSWER: usize = 64 * 1024;

#[derive(Clone)]
pub struct ClickHouse {
    client: Client,
    url: Url,
    user: String,
    password: Secret,
    database: String,
}

const TABLE: &str = "create table if not exists clicks (
    id UUID, link_id UUID, owner UUID, clicked_at DateTime64(6, 'UTC'), ip_address Nullable(String), user_agent Nullable(String),
    referer Nullable(String), country LowCardinality(Nullable(String)), visitor Nullable(Int64), referrer_host Nullable(String),
    referrer_class LowCardinality(String), browser LowCardinality(Nullable(String)), os LowCardinality(Nullable(String)),
    device LowCardinality(String), language LowCardinality(Nullable(String)), utm_source Nullable(String), utm_medium Nullable(String),
    utm_campaign Nullable(String), bot Bool, bot_reason LowCardinality(Nullable(String)), variant Nullable(Int16)
) engine = ReplacingMergeTree partition by toYYYYMM(clicked_at) order by (link_id, clicked_at, id)";

impl ClickHouse {
    /// `http://user:password@host:8123/database`
    ///
    /// # Errors
    /// It is no http or https address.
    pub fn parse(text: &str, client: Client) -> Result<Self> {
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let mut url = url.ok_or_else(|| {
            let message = "PORTICO_CLICKHOUSE_URL is no address; the form is http://user:password@host:8123/database";
            Error::new(Kind::Invalid, "CLICKHOUSE_URL", message)
        })?;
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let user = if url.username().is_empty() {
            "default".into()
        } else {
            decoded(url.username())
        };
        let password = Secret::new(decoded(url.password().unwrap_or_default()));
        let database = decoded(url.path().trim_matches('/'));
        let database = if database.is_empty() {
            "default".into()
        } else {
            database
        };
        // These cannot fail on an address with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_path("/");
        Ok(Self {
            client,
            url,
            user,
            password,
            database,
        })
    }

    /// Makes the table where there is none.
    pub async fn prepare(&self) -> Result<()> {
        self.run(&[("query", TABLE)], String::new()).await
    }

    pub async fn insert(&self, batch: &[KnownClick]) -> Result<()> {
        let mut hasher = blake3::Hasher::new();
        let mut body = String::new();
        for known in batch {
            hasher.update(known.click.id.as_bytes());
            body += &row(known).to_string();
            body.push('\n');
        }
        let token = hasher.finalize().to_hex();
        let settings = [
            ("query", "INSERT INTO clicks FORMAT JSONEachRow"),
            ("insert_deduplication_token", token.as_str()),
            ("date_time_input_format", "best_effort"),
        ];
        self.run(&settings, body).await
    }

    async fn run(&self, settings: &[(&str, &str)], body: String) -> Result<()> {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("database", &self.database)
            .extend_pairs(settings);
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header("x-clickhouse-user", &self.user)
            .header("x-clickhouse-key", self.password.expose())
            .header(header::CONTENT_TYPE, "text/plain")
            .body(full(body))
            .map_err(|error| Error::internal("a request to ClickHouse", error))?;
        let away = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::unavailable("CLICKHOUSE_UNAVAILABLE", "ClickHouse does not take clicks; they wait").caused_by(cause)
        };
        let answer = self
            .client
            .fetch(request, WITHIN, ANSWER)
            .await
            .map_err(|error| away(error.into()))?;
        if answer.status() != StatusCode::OK {
            let said = String::from_utf8_lossy(answer.body())
                .chars()
                .take(300)
                .collect::<String>();
            return Err(away(format!("ClickHouse answered {}: {said}", answer.status()).into()));
        }
        Ok(())
    }
}

fn row(known: &KnownClick) -> serde_json::Value {
    let at = known.click.time();
    json!({
        "id": known.click.id,
        "link_id": known.click.link_id,
        "owner": known.owner,
        "clicked_at": format!("{} {:02}:{:02}:{:02}.{:06}", at.date(), at.hour(), at.minute(), at.second(), at.microsecond()),
        "ip_address": known.click.ip,
        "user_agent": known.click.user_agent,
        "referer": known.click.referer,
        "country": known.click.country,
        "visitor": known.click.visitor,
        "referrer_host": known.referrer_host,
        "referrer_class": known.referrer_class,
        "browser": known.browser,
        "os": known.os,
        "device": known.device,
        "language": known.click.language,
        "utm_source": known.utm(0),
        "utm_medium": known.utm(1),
        "utm_campaign": known.utm(2),
        "bot": known.bot_reason.is_some(),
        "bot_reason": known.bot_reason,
        "variant": known.click.variant,
    })
}
