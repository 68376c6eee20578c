//! digestAuth (RFC 7616 with MD5, as htdigest files have it): users are `name:realm:HA1`. Nonces are ours, signed with their
//! time, so nothing is kept of them.

use super::Flow;
use crate::{answer, exchange::Exchange, model};
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use axum::{body::Body, response::Response};
use foundation::{Error, Kind, OffsetDateTime};
use http::{HeaderName, HeaderValue, Request, header};
use md5::{Digest as _, Md5};
use std::{collections::HashMap, fs};

pub struct DigestAuth {
    /// HA1 by name and realm.
    users: HashMap<(String, String), String>,
    realm: String,
    user_header: Option<HeaderName>,
    remove: bool,
    key: hmac::Key,
}

/// Seconds a nonce is good for.
const NONCE_LIFE: i64 = 300;

impl DigestAuth {
    /// # Errors
    /// There are no users, or a line is none.
    pub fn compile(config: &model::middleware::BasicAuth) -> Result<Self, String> {
        let file = config.users_file.as_ref().filter(|path| !path.is_empty());
        let from_file = file
            .map(|path| fs::read_to_string(path).map_err(|error| format!("'{path}': {error}")))
            .transpose()?;
        let lines = from_file
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut users = HashMap::new();
        for line in lines.chain(config.users.iter().flatten().map(String::as_str)) {
            let mut parts = line.splitn(3, ':');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(name), Some(realm), Some(hash)) => {
                    drop(users.insert((name.to_owned(), realm.to_owned()), hash.to_ascii_lowercase()))
                }
                _ => return Err("a user has the form name:realm:hash".into()),
            }
        }
        if users.is_empty() {
            return Err("there are no users".into());
        }
        let field = config.header_field.as_deref().filter(|name| !name.is_empty());
        Ok(Self {
            users,
            realm: config
                .realm
                .clone()
                .filter(|realm| !realm.is_empty())
                .unwrap_or_else(|| "traefik".into()),
            user_header: field
                .map(|name| HeaderName::from_bytes(name.as_bytes()))
                .transpose()
                .map_err(|_| "headerField is no header name")?,
            remove: config.remove_header == Some(true),
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
        })
    }

    pub fn request(&self, request: &mut Request<Body>, exchange: &Exchange) -> Flow {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let Some(name) = self.verify(given, request.method().as_str(), target, now) else {
            return Flow::Answer(self.refuse(exchange, now));
        };
        if let (Some(header), Ok(user)) = (&self.user_header, HeaderValue::from_str(&name)) {
            request.headers_mut().insert(header.clone(), user);
        }
        if self.remove {
            request.headers_mut().remove(header::AUTHORIZATION);
        }
        Flow::On
    }

    /// The user's name, if the answer is right.
    fn verify(&self, given: &str, method: &str, target: &str, now: i64) -> Option<String> {
        let (scheme, rest) = given.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let fields = fields(rest);
        let field = |name: &str| fields.get(name).map(String::as_str);
        let (name, nonce, uri) = (field("username")?, field("nonce")?, field("uri")?);
        // An answer for another target, or to a nonce that is not ours or too old, proves nothing.
        if uri != target || !self.is_fresh(nonce, now) || field("realm")? != self.realm {
            return None;
        }
        let known = self.users.get(&(name.to_owned(), self.realm.clone()))?;
        let second = md5_hex(&format!("{method}:{uri}"));
        let expected = match field("qop") {
            Some("auth") => md5_hex(&format!(
                "{known}:{nonce}:{}:{}:auth:{second}",
                field("nc")?,
                field("cnonce")?
            )),
            None => md5_hex(&format!("{known}:{nonce}:{second}")),
            Some(_) => return None,
        };
        let right = verify_slices_are_equal(expected.as_bytes(), field("response")?.as_bytes()).is_ok();
        right.then(|| name.to_owned())
    }

    fn nonce(&self, now: i64) -> String {
        let tag = hmac::sign(&self.key, &now.to_be_bytes());
        format!("{now:x}-{}", hex(&tag.as_ref()[..16]))
    }

    fn is_fresh(&self, nonce: &str, now: i64) -> bool {
        let made = nonce
            .split_once('-')
            .and_then(|(time, _)| i64::from_str_radix(time, 16).ok());
        made.is_some_and(|made| {
            (0..=NONCE_LIFE).contains(&(now - made))
                && verify_slices_are_equal(self.nonce(made).as_bytes(), nonce.as_bytes()).is_ok()
        })
    }

    fn refuse(&self, exchange: &Exchange, now: i64) -> Response {
        let error = Error::new(
            Kind::Unauthenticated,
            "BAD_CREDENTIALS",
            "This needs a user name and a password",
        );
        let mut response = answer::problem(&error, exchange);
        let challenge = format!(
            "Digest realm=\"{}\", nonce=\"{}\", qop=\"auth\", algorithm=\"MD5\"",
            self.realm,
            self.nonce(now)
        );
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// `name=value` or `name="value"`, separated by commas; commas inside quotes belong to the value.
fn fields(text: &str) -> HashMap<String, String> {
    let mut out = HashMap::new();
    let mut rest = text.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        out.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = next.trim_start_matches([',', ' ']);
    }
    out
}

fn md5_hex(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_answer_to_a_fresh_nonce_passes_and_no_other() {
        let config = model::middleware::BasicAuth {
            users: Some(vec![format!("joe:traefik:{}", md5_hex("joe:traefik:secret"))]),
            ..Default::default()
        };
        let auth = DigestAuth::compile(&config).expect("users");
        let nonce = auth.nonce(1000);
        let answer = |nonce: &str, password: &str| {
            let first = md5_hex(&format!("joe:traefik:{password}"));
            let response = md5_hex(&format!("{first}:{nonce}:00000001:c:auth:{}", md5_hex("GET:/x?y=1,2")));
            format!(
                "Digest username=\"joe\", realm=\"traefik\", nonce=\"{nonce}\", uri=\"/x?y=1,2\", qop=auth, nc=00000001, cnonce=\"c\", response=\"{response}\""
            )
        };
        let verify = |given: &str, target: &str, now| auth.verify(given, "GET", target, now).is_some();
        assert!(verify(&answer(&nonce, "secret"), "/x?y=1,2", 1100));
        assert!(!verify(&answer(&nonce, "wrong"), "/x?y=1,2", 1100));
        assert!(!verify(&answer(&nonce, "secret"), "/other", 1100));
        assert!(!verify(&answer(&nonce, "secret"), "/x?y=1,2", 2000));
        assert!(!verify(&answer("3e8-00", "secret"), "/x?y=1,2", 1100));
        assert!(!verify("Digest", "/x?y=1,2", 1100) && !verify("Digest a=", "/x?y=1,2", 1100));
    }
}
