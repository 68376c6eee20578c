//! Hasura's authentication variables, parsed. Every mistake names its variable.

use super::json_path::JsonPath;
use foundation::Secret;
use http_chassis::keys::Family;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// None: everybody is an administrator.
    pub admin_secrets: Vec<Secret>,
    pub jwt_secrets: Vec<JwtSecret>,
    pub hook: Option<Hook>,
    /// The role of requests without a token; `None`: they are refused.
    pub unauthorized_role: Option<String>,
    pub socket_cookies: bool,
}

#[derive(Clone, Debug)]
pub struct Hook {
    pub url: String,
    pub post: bool,
    pub send_request: bool,
}

/// `HASURA_GRAPHQL_JWT_SECRET`.
#[derive(Clone, Debug)]
pub struct JwtSecret {
    pub key: Key,
    pub claims: Claims,
    pub stringified: bool,
    pub audience: Vec<String>,
    pub issuer: Option<String>,
    /// Seconds a clock may be wrong.
    pub skew: i64,
    pub header: TokenHeader,
}

#[derive(Clone)]
pub enum Key {
    Hmac { bits: u16, secret: Secret },
    Pem { family: Family, text: String },
    Remote { url: String },
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Hmac { bits, .. } => write!(f, "HS{bits}"),
            Key::Pem { family, .. } => write!(f, "{family:?}"),
            Key::Remote { url } => f.write_str(url),
        }
    }
}

/// Where in a token the session variables are.
#[derive(Clone, Debug)]
pub enum Claims {
    Namespace(String),
    Path(JsonPath),
    Map(Vec<(String, Mapped)>),
}

#[derive(Clone, Debug)]
pub enum Mapped {
    Literal(Value),
    At { path: JsonPath, default: Option<Value> },
}

impl Mapped {
    /// As the configuration wrote it.
    pub fn told(&self) -> Value {
        match self {
            Mapped::Literal(value) => value.clone(),
            Mapped::At { path, default } => match default {
                Some(default) => serde_json::json!({"path": path.to_string(), "default": default}),
                None => serde_json::json!({"path": path.to_string()}),
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum TokenHeader {
    Authorization,
    Cookie(String),
    Custom(String),
}

const NAMESPACE: &str = "https://hasura.io/jwt/claims";

impl Settings {
    /// # Errors
    /// (variable, what is wrong) for each mistake.
    pub fn read(environment: &BTreeMap<String, String>) -> Result<Self, Vec<(&'static str, String)>> {
        let mut mistakes = Vec::new();
        let text = |name: &str| environment.get(name).filter(|text| !text.is_empty());
        let mut settings = Settings {
            admin_secrets: admin_secrets(environment, &mut mistakes),
            unauthorized_role: text("HASURA_GRAPHQL_UNAUTHORIZED_ROLE").cloned(),
            socket_cookies: text("HASURA_GRAPHQL_WS_READ_COOKIE").is_some_and(|text| text.eq_ignore_ascii_case("true")),
            ..Settings::default()
        };
        for (name, several) in [
            ("HASURA_GRAPHQL_JWT_SECRET", false),
            ("HASURA_GRAPHQL_JWT_SECRETS", true),
        ] {
            let Some(given) = text(name) else { continue };
            match jwt_secrets(given, several) {
                Ok(secrets) => settings.jwt_secrets.extend(secrets),
                Err(message) => mistakes.push((name, message)),
            }
        }
        if let Some(url) = text("HASURA_GRAPHQL_AUTH_HOOK") {
            let mode = text("HASURA_GRAPHQL_AUTH_HOOK_MODE")
                .map_or("GET", String::as_str)
                .to_uppercase();
            if !matches!(mode.as_str(), "GET" | "POST") {
                let message = format!("'{mode}' is neither GET nor POST");
                mistakes.push(("HASURA_GRAPHQL_AUTH_HOOK_MODE", message));
            }
            settings.hook = Some(Hook {
                url: url.clone(),
                post: mode == "POST",
                send_request: text("HASURA_GRAPHQL_AUTH_HOOK_SEND_REQUEST_BODY")
                    .is_none_or(|text| text.eq_ignore_ascii_case("true")),
            });
        }
        let guarded = !settings.jwt_secrets.is_empty() || settings.hook.is_some();
        if settings.admin_secrets.is_empty() && guarded {
            let message = "is missing; tokens and hooks need an admin secret beside them".to_owned();
            mistakes.push(("HASURA_GRAPHQL_ADMIN_SECRET", message));
        }
        match mistakes.is_empty() {
            true => Ok(settings),
            false => Err(mistakes),
        }
    }
}

fn admin_secrets(environment: &BTreeMap<String, String>, mistakes: &mut Vec<(&'static str, String)>) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for name in ["HASURA_GRAPHQL_ADMIN_SECRET", "HASURA_GRAPHQL_ACCESS_KEY"] {
        secrets.extend(environment.get(name).filter(|text| !text.is_empty()).map(Secret::new));
    }
    let several = "HASURA_GRAPHQL_ADMIN_SECRETS";
    if let Some(text) = environment.get(several).filter(|text| !text.is_empty()) {
        match serde_json::from_str::<Vec<String>>(text) {
            Ok(list) => secrets.extend(list.into_iter().map(Secret::new)),
            Err(_) => mistakes.push((several, "must be a JSON list of texts".to_owned())),
        }
    }
    secrets
}

/// As written.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    ty: Option<String>,
    key: Option<String>,
    jwk_url: Option<String>,
    claims_namespace: Option<String>,
    claims_namespace_path: Option<String>,
    claims_map: Option<Map<String, Value>>,
    claims_format: Option<String>,
    audience: Option<Value>,
    issuer: Option<String>,
    allowed_skew: Option<i64>,
    header: Option<WrittenHeader>,
}

#[derive(Deserialize)]
struct WrittenHeader {
    #[serde(rename = "type")]
    ty: String,
    name: Option<String>,
}

fn jwt_secrets(text: &str, several: bool) -> Result<Vec<JwtSecret>, String> {
    let wrong = |error: serde_json::Error| format!("is not the JSON it should be: {error}");
    let written: Vec<Written> = match several {
        true => serde_json::from_str(text).map_err(wrong)?,
        false => vec![serde_json::from_str(text).map_err(wrong)?],
    };
    written.into_iter().map(jwt_secret).collect()
}

fn jwt_secret(written: Written) -> Result<JwtSecret, String> {
    let key = key(written.ty.as_deref(), written.key, written.jwk_url)?;
    let stringified = match written.claims_format.as_deref() {
        None | Some("json") => false,
        Some("stringified_json") => true,
        Some(other) => return Err(format!("claims_format '{other}' is neither json nor stringified_json")),
    };
    let claims = match (
        written.claims_map,
        written.claims_namespace_path,
        written.claims_namespace,
    ) {
        (Some(map), _, _) => Claims::Map(mapped(map)?),
        (None, Some(_), Some(_)) => return Err("claims_namespace and claims_namespace_path exclude each other".into()),
        (None, Some(path), None) => Claims::Path(JsonPath::parse(&path)?),
        (None, None, namespace) => Claims::Namespace(namespace.unwrap_or_else(|| NAMESPACE.to_owned())),
    };
    let audience = match written.audience {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(list) => serde_json::from_value(list).map_err(|_| "audience must be a text or a list of texts")?,
    };
    let header = match written.header {
        None => TokenHeader::Authorization,
        Some(header) => match (header.ty.as_str(), header.name) {
            ("Authorization", _) => TokenHeader::Authorization,
            ("Cookie", Some(name)) => TokenHeader::Cookie(name),
            ("CustomHeader", Some(name)) => TokenHeader::Custom(name.to_lowercase()),
            (ty @ ("Cookie" | "CustomHeader"), None) => return Err(format!("header of type {ty} needs a name")),
            (other, _) => {
                return Err(format!(
                    "header type '{other}' is not Authorization, Cookie or CustomHeader"
                ));
            }
        },
    };
    Ok(JwtSecret {
        key,
        claims,
        stringified,
        audience,
        issuer: written.issuer,
        skew: written.allowed_skew.unwrap_or(0),
        header,
    })
}

fn key(ty: Option<&str>, key: Option<String>, url: Option<String>) -> Result<Key, String> {
    if let Some(url) = url {
        return match url.starts_with("http://") || url.starts_with("https://") {
            true => Ok(Key::Remote { url }),
            false => Err(format!("jwk_url '{url}' is no http or https URL")),
        };
    }
    let (Some(ty), Some(key)) = (ty, key) else {
        return Err("needs \"type\" and \"key\", or \"jwk_url\"".to_owned());
    };
    let family = match ty {
        "HS256" | "HS384" | "HS512" => {
            let bits = ty[2..].parse().unwrap_or(256);
            let secret = Secret::new(key);
            if secret.expose().len() * 8 < usize::from(bits) {
                return Err(format!("the key of type {ty} must have at least {} bytes", bits / 8));
            }
            return Ok(Key::Hmac { bits, secret });
        }
        "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => Family::Rsa,
        "ES256" | "ES384" | "ES512" => Family::Ec,
        "Ed25519" => Family::Ed25519,
        other => {
            return Err(format!(
                "type '{other}' is not one of HS256 … HS512, RS256 … RS512, ES256 … ES512, Ed25519"
            ));
        }
    };
    Ok(Key::Pem { family, text: key })
}

fn mapped(map: Map<String, Value>) -> Result<Vec<(String, Mapped)>, String> {
    map.into_iter()
        .map(|(name, value)| {
            let mapped = match value.get("path").and_then(Value::as_str) {
                Some(path) => Mapped::At {
                    path: JsonPath::parse(path)?,
                    default: value.get("default").cloned(),
                },
                None => Mapped::Literal(value),
            };
            Ok((name.to_lowercase(), mapped))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Vec<(&'static str, String)>> {
        Settings::read(
            &pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn mistakes_name_their_variable() {
        for (secret, part) in [
            ("{", "is not the JSON"),
            (r#"{"type": "HS256", "key": "short"}"#, "at least 32 bytes"),
            (r#"{"type": "HS1", "key": "x"}"#, "'HS1'"),
            (r#"{"jwk_url": "ftp://x"}"#, "'ftp://x'"),
            (r#"{"type": "RS256"}"#, "\"key\""),
            (
                r#"{"type": "RS256", "key": "k", "header": {"type": "Cookie"}}"#,
                "needs a name",
            ),
        ] {
            let mistakes = read(&[
                ("HASURA_GRAPHQL_ADMIN_SECRET", "s"),
                ("HASURA_GRAPHQL_JWT_SECRET", secret),
            ])
            .expect_err(secret);
            assert_eq!(mistakes[0].0, "HASURA_GRAPHQL_JWT_SECRET");
            assert!(mistakes[0].1.contains(part), "{secret}: {}", mistakes[0].1);
        }
        let alone = read(&[("HASURA_GRAPHQL_AUTH_HOOK", "http://hook")]).expect_err("no admin secret");
        assert_eq!(alone[0].0, "HASURA_GRAPHQL_ADMIN_SECRET");
    }
}
