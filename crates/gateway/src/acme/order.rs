//! One certificate from the authority: order, prove, finalize, fetch (RFC 8555 section 7.4).

use super::{
    certificate,
    challenge::{Challenges, Kind, Proof},
    client::{Client, Problem},
    dns::Dns,
};
use crate::settings::resolver::KeyType;
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the authority may take for one step.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Wanted<'a> {
    pub names: &'a [String],
    pub key_type: KeyType,
    pub preferred_chain: &'a str,
    pub profile: &'a str,
    /// What the certificate it takes the place of is called (RFC 9773 section 5).
    pub replaces: Option<String>,
}

/// How names are proven.
pub enum Prover<'a> {
    Listener(Kind, &'a Challenges),
    Dns(&'a Dns),
}

/// Chain and key, PEM.
pub type Issued = (String, String);

/// # Errors
/// Which step failed, and the authority's words.
pub async fn obtain(client: &Client, wanted: &Wanted<'_>, prover: &Prover<'_>) -> Result<Issued, String> {
    let (url, order) = place(client, wanted).await?;
    prove(client, &order, prover).await?;
    let order = settled(client, &url, &["ready", "valid"]).await?;
    let names = wanted.names.to_vec();
    let kind = wanted.key_type;
    let made = tokio::task::spawn_blocking(move || certificate::request(&names, kind)).await;
    let (request, key) = made.map_err(|error| error.to_string())??;
    let finalize = order["finalize"].as_str().ok_or("the order has no finalize URL")?;
    let payload = json!({"csr": BASE64.encode(request)}).to_string();
    client
        .post(finalize, &payload)
        .await
        .map_err(|error| format!("finalizing: {error}"))?;
    let order = settled(client, &url, &["valid"]).await?;
    let location = order["certificate"].as_str().ok_or("the order has no certificate")?;
    let chain = fetch(client, location, wanted.preferred_chain).await?;
    Ok((chain, key))
}

async fn place(client: &Client, wanted: &Wanted<'_>) -> Result<(String, Value), String> {
    let identifiers: Vec<Value> = wanted
        .names
        .iter()
        .map(|name| json!({"type": "dns", "value": name}))
        .collect();
    let mut payload = json!({"identifiers": identifiers});
    if !wanted.profile.is_empty() {
        payload["profile"] = json!(wanted.profile);
    }
    if let Some(replaces) = wanted.replaces.as_ref().filter(|_| client.suggests()) {
        payload["replaces"] = json!(replaces);
        match client.new_order(&payload).await {
            Ok(placed) => return Ok(placed),
            // It may know the old certificate no longer, or as replaced already; the order is wanted all the same.
            Err(error) => tracing::debug!(error, "the order was refused as a replacement"),
        }
        payload.as_object_mut().map(|map| map.remove("replaces"));
    }
    client
        .new_order(&payload)
        .await
        .map_err(|error| format!("ordering: {error}"))
}

struct Pending {
    authorization: String,
    challenge: String,
    proof: Proof,
}

/// Presents all proofs, lets the authority look, and takes the proofs away again.
async fn prove(client: &Client, order: &Value, prover: &Prover<'_>) -> Result<(), String> {
    let mut pending = Vec::new();
    let mut outcome = Ok(());
    for url in order["authorizations"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let authorization = client.get(url).await?;
        if authorization["status"] == "valid" {
            continue;
        }
        let mut one = one(client, url, &authorization, prover)?;
        if let Prover::Dns(dns) = prover {
            one.proof.record = dns.record(&one.proof.name).await;
        }
        outcome = present(prover, &one.proof).await;
        pending.push(one);
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = judged(client, &pending, prover).await;
    }
    for one in &pending {
        take_away(prover, &one.proof).await;
    }
    outcome
}

fn one(client: &Client, url: &str, authorization: &Value, prover: &Prover<'_>) -> Result<Pending, String> {
    let name = authorization["identifier"]["value"].as_str().unwrap_or_default();
    let kind = match prover {
        Prover::Listener(Kind::Http, _) => "http-01",
        Prover::Listener(Kind::Alpn, _) => "tls-alpn-01",
        Prover::Dns(_) => "dns-01",
    };
    let all = authorization["challenges"].as_array().into_iter().flatten();
    let challenge = all.into_iter().find(|challenge| challenge["type"] == kind);
    let challenge = challenge.ok_or_else(|| format!("the authority does not offer {kind} for {name}"))?;
    let token = challenge["token"].as_str().unwrap_or_default();
    let authorized = format!("{token}.{}", client.key().thumbprint());
    Ok(Pending {
        authorization: url.to_owned(),
        challenge: challenge["url"].as_str().unwrap_or_default().to_owned(),
        proof: Proof {
            name: name.to_owned(),
            token: token.to_owned(),
            digest: BASE64.encode(digest::digest(&digest::SHA256, authorized.as_bytes())),
            authorized,
            record: String::new(),
        },
    })
}

async fn present(prover: &Prover<'_>, proof: &Proof) -> Result<(), String> {
    match prover {
        Prover::Listener(kind, challenges) => challenges.present(*kind, proof).await,
        Prover::Dns(dns) => dns.present(proof).await,
    }
    .map_err(|error| format!("presenting the proof for {}: {error}", proof.name))
}

async fn take_away(prover: &Prover<'_>, proof: &Proof) {
    let done = match prover {
        Prover::Listener(kind, challenges) => challenges.take_away(*kind, proof).await,
        Prover::Dns(dns) => dns.take_away(proof).await,
    };
    if let Err(error) = done {
        tracing::warn!(domain = proof.name, error, "a proof was not taken away");
    }
}

async fn judged(client: &Client, pending: &[Pending], prover: &Prover<'_>) -> Result<(), String> {
    if let Prover::Dns(dns) = prover {
        for one in pending {
            dns.wait(&one.proof).await?;
        }
    }
    for one in pending {
        client
            .post(&one.challenge, "{}")
            .await
            .map_err(|error| format!("{}: {error}", one.proof.name))?;
    }
    for one in pending {
        settled(client, &one.authorization, &["valid"])
            .await
            .map_err(|error| format!("{}: {error}", one.proof.name))?;
    }
    Ok(())
}

/// Asks until the resource has one of the states, or a final one that is none of them.
async fn settled(client: &Client, url: &str, states: &[&str]) -> Result<Value, String> {
    let until = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(100);
    loop {
        let resource = client.get(url).await?;
        let state = resource["status"].as_str().unwrap_or_default();
        if states.contains(&state) {
            return Ok(resource);
        }
        if matches!(state, "invalid" | "deactivated" | "expired" | "revoked") {
            return Err(complaint(&resource));
        }
        if Instant::now() > until {
            return Err(format!("the authority still says '{state}' after {PATIENCE:?}"));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// The error of the resource, or of the challenge that failed.
fn complaint(resource: &Value) -> String {
    let challenges = resource["challenges"].as_array().into_iter().flatten();
    let errors = std::iter::once(&resource["error"]).chain(challenges.map(|challenge| &challenge["error"]));
    match errors.into_iter().find(|error| error.is_object()) {
        Some(error) => Problem::of(error).told(),
        None => format!(
            "the authority says '{}'",
            resource["status"].as_str().unwrap_or_default()
        ),
    }
}

/// The chain the operator prefers where the authority offers it, else the usual one.
async fn fetch(client: &Client, url: &str, preferred: &str) -> Result<String, String> {
    let usual = client
        .post(url, "")
        .await
        .map_err(|error| format!("fetching the certificate: {error}"))?;
    if preferred.is_empty() || certificate::issued_under(&usual.text(), preferred) {
        return Ok(usual.text());
    }
    let links = usual
        .headers
        .get_all("link")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let alternates: Vec<String> = links
        .filter(|link| link.contains("rel=\"alternate\""))
        .filter_map(|link| Some(link.split_once('<')?.1.split_once('>')?.0.to_owned()))
        .collect();
    for alternate in alternates {
        let other = client.post(&alternate, "").await?.text();
        if certificate::issued_under(&other, preferred) {
            return Ok(other);
        }
    }
    tracing::warn!(
        preferred,
        "the authority offers no chain under the preferred issuer; the usual one is used"
    );
    Ok(usual.text())
}
