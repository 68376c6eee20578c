//! basicAuth: users with hashed passwords, as `htpasswd` writes them.

use super::{Flow, htpasswd::Proven};
use crate::{answer, exchange::Exchange, model};
use axum::{body::Body, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Request, header};
use std::{collections::HashMap, fs};

pub struct BasicAuth {
    users: HashMap<String, String>,
    challenge: HeaderValue,
    user_header: Option<HeaderName>,
    remove: bool,
    proven: Proven,
}

impl BasicAuth {
    /// # Errors
    /// There are no users, or a line is none.
    pub fn compile(config: &model::middleware::BasicAuth) -> Result<Self, String> {
        let mut users = HashMap::new();
        let file = config.users_file.as_ref().filter(|path| !path.is_empty());
        let from_file = file
            .map(|path| fs::read_to_string(path).map_err(|error| format!("'{path}': {error}")))
            .transpose()?;
        let lines = from_file
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let given = config.users.iter().flatten().map(String::as_str);
        for line in lines.chain(given) {
            let (name, hash) = line.split_once(':').ok_or("a user has the form name:hash")?;
            users.insert(name.to_owned(), hash.to_owned());
        }
        if users.is_empty() {
            return Err("there are no users".into());
        }
        let realm = config
            .realm
            .as_deref()
            .filter(|realm| !realm.is_empty())
            .unwrap_or("traefik");
        let field = config.header_field.as_deref().filter(|name| !name.is_empty());
        Ok(Self {
            users,
            challenge: HeaderValue::from_str(&format!("Basic realm=\"{realm}\""))
                .map_err(|_| "the realm is no header value")?,
            user_header: field
                .map(|name| HeaderName::from_bytes(name.as_bytes()))
                .transpose()
                .map_err(|_| "headerField is no header name")?,
            remove: config.remove_header == Some(true),
            proven: Proven::default(),
        })
    }

    pub async fn request(&self, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
        let given = credentials(request.headers().get(header::AUTHORIZATION));
        let Some((name, password)) = given else {
            return Flow::Answer(self.refuse(exchange));
        };
        if !self.holds(&name, password).await {
            return Flow::Answer(self.refuse(exchange));
        }
        exchange.username = Some(name.as_str().into());
        if let (Some(header), Ok(user)) = (&self.user_header, HeaderValue::from_str(&name)) {
            request.headers_mut().insert(header.clone(), user);
        }
        if self.remove {
            request.headers_mut().remove(header::AUTHORIZATION);
        }
        Flow::On
    }

    async fn holds(&self, name: &str, password: String) -> bool {
        let Some(hash) = self.users.get(name).cloned() else {
            return false;
        };
        self.proven.verify(name, hash, password).await
    }

    fn refuse(&self, exchange: &Exchange) -> Response {
        let error = foundation::Error::new(
            foundation::Kind::Unauthenticated,
            "BAD_CREDENTIALS",
            "This needs a user name and a password",
        );
        let mut response = answer::problem(&error, exchange);
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, self.challenge.clone());
        response
    }
}

fn credentials(value: Option<&HeaderValue>) -> Option<(String, String)> {
    let (scheme, coded) = value?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(coded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
