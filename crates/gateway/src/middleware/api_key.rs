//! apiKey: a key in a header, the query or a cookie, whose hash the configuration holds.

use super::{
    Flow,
    htpasswd::{self, Proven},
};
use crate::{answer, exchange::Exchange, model::middleware};
use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use foundation::{Error, Kind};
use http::{HeaderName, HeaderValue, Request, header};

pub struct ApiKey {
    source: Source,
    /// The client sends its key in base64.
    coded: bool,
    hashes: Vec<String>,
    proven: Proven,
}

enum Source {
    /// With the scheme in front of the key, such as `Bearer`.
    Header(HeaderName, Option<String>),
    Query(String),
    Cookie(String),
}

impl ApiKey {
    /// # Errors
    /// What is missing or wrong, by the option's name.
    pub fn compile(config: &middleware::ApiKey) -> Result<Self, String> {
        let hashes = config.secret_values.clone().unwrap_or_default();
        if hashes.is_empty() {
            return Err("secretValues is empty".into());
        }
        if let Some(place) = hashes.iter().position(|hash| !htpasswd::is_hash(hash)) {
            return Err(format!(
                "secretValues[{place}] is no hash as `htpasswd` makes it (bcrypt, MD5 or SHA1)"
            ));
        }
        Ok(Self {
            source: Source::compile(config.key_source.as_ref())?,
            coded: config.secret_non_base64_encoded != Some(true),
            hashes,
            proven: Proven::default(),
        })
    }

    /// `&mut`, because a shared reference to a body cannot cross threads.
    pub async fn request(&self, request: &mut Request<Body>, exchange: &Exchange) -> Flow {
        let key = self.source.find(request).and_then(|given| self.decode(given));
        if let Some(key) = key {
            for hash in &self.hashes {
                if self.proven.verify("", hash.clone(), key.clone()).await {
                    return Flow::On;
                }
            }
        }
        let error = Error::new(
            Kind::Unauthenticated,
            "API_KEY_REFUSED",
            format!("This needs a valid API key in {}", self.source.name()),
        );
        let mut response = answer::problem(&error, exchange);
        if let Source::Header(_, Some(scheme)) = &self.source
            && let Ok(challenge) = HeaderValue::from_str(scheme)
        {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Flow::Answer(response)
    }

    fn decode(&self, given: String) -> Option<String> {
        match self.coded {
            true => String::from_utf8(STANDARD.decode(given.trim()).ok()?).ok(),
            false => Some(given),
        }
    }
}

impl Source {
    fn compile(config: Option<&middleware::KeySource>) -> Result<Self, String> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let config = config.ok_or("keySource is missing")?;
        let found = (given(&config.header), given(&config.query), given(&config.cookie));
        match found {
            (Some(name), None, None) => {
                let header = HeaderName::from_bytes(name.as_bytes());
                let header = header.map_err(|_| format!("keySource.header: '{name}' is no header name"))?;
                Ok(Self::Header(header, given(&config.header_auth_scheme)))
            }
            (None, Some(name), None) => Ok(Self::Query(name)),
            (None, None, Some(name)) => Ok(Self::Cookie(name)),
            _ => Err("keySource must have one of header, query and cookie".into()),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Header(name, Some(scheme)) => format!("the header '{name}: {scheme} <key>'"),
            Self::Header(name, None) => format!("the header '{name}'"),
            Self::Query(name) => format!("the query parameter '{name}'"),
            Self::Cookie(name) => format!("the cookie '{name}'"),
        }
    }

    fn find(&self, request: &Request<Body>) -> Option<String> {
        match self {
            Self::Header(name, scheme) => {
                let value = request.headers().get(name)?.to_str().ok()?;
                let Some(scheme) = scheme else {
                    return Some(value.to_owned());
                };
                let (given, key) = value.split_once(' ')?;
                given.eq_ignore_ascii_case(scheme).then(|| key.trim().to_owned())
            }
            Self::Query(name) => {
                let mut pairs = url::form_urlencoded::parse(request.uri().query()?.as_bytes());
                pairs
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.into_owned())
            }
            Self::Cookie(name) => {
                let lines = request.headers().get_all(header::COOKIE).iter();
                let mut pairs = lines
                    .filter_map(|line| line.to_str().ok())
                    .flat_map(|line| line.split(';'))
                    .filter_map(|pair| pair.trim().split_once('='));
                pairs
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.to_owned())
            }
        }
    }
}
