//! basicAuth: users with hashed passwords (bcrypt, MD5-crypt as Apache writes it, SHA1). A password that matched is remembered by
//! its digest, so that bcrypt is paid once.

use super::Flow;
use crate::{answer, exchange::Exchange, model};
use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use axum::{body::Body, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Request, header};
use md5::{Digest as _, Md5};
use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::{Mutex, PoisonError},
};

pub struct BasicAuth {
    users: HashMap<String, String>,
    challenge: HeaderValue,
    user_header: Option<HeaderName>,
    remove: bool,
    proven: Mutex<HashSet<Vec<u8>>>,
}

/// More remembered passwords than this are forgotten at once.
const REMEMBERED: usize = 10_000;

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
            proven: Mutex::default(),
        })
    }

    pub async fn request(&self, request: &mut Request<Body>, exchange: &Exchange) -> Flow {
        let given = credentials(request.headers().get(header::AUTHORIZATION));
        let Some((name, password)) = given else {
            return Flow::Answer(self.refuse(exchange));
        };
        if !self.holds(&name, password).await {
            return Flow::Answer(self.refuse(exchange));
        }
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
        let key = digest::digest(&digest::SHA256, format!("{name}\0{hash}\0{password}").as_bytes())
            .as_ref()
            .to_vec();
        if self
            .proven
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&key)
        {
            return true;
        }
        // bcrypt takes its time on purpose; it must not take a worker's.
        let holds = tokio::task::spawn_blocking(move || verify(&hash, &password))
            .await
            .unwrap_or(false);
        if holds {
            let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
            if proven.len() >= REMEMBERED {
                proven.clear();
            }
            proven.insert(key);
        }
        holds
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

fn verify(hash: &str, password: &str) -> bool {
    let equal = |made: &str| verify_slices_are_equal(made.as_bytes(), hash.as_bytes()).is_ok();
    if let Some(rest) = hash.strip_prefix("$apr1$") {
        let salt = rest.split('$').next().unwrap_or_default();
        return equal(&apr1(password, salt));
    }
    if hash.starts_with("{SHA}") {
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        return equal(&format!("{{SHA}}{}", STANDARD.encode(sum.as_ref())));
    }
    hash.starts_with("$2") && bcrypt::verify(password, hash).unwrap_or(false)
}

/// Apache's variant of MD5-crypt: a thousand rounds of MD5 over password and salt in turns.
fn apr1(password: &str, salt: &str) -> String {
    let (password, salt) = (password.as_bytes(), &salt.as_bytes()[..salt.len().min(8)]);
    let alternate = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update(b"$apr1$")
        .chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        let take = left.min(16);
        first.update(&alternate[..take]);
        left -= take;
    }
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut sum = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round & 1 == 1 { password } else { &sum[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round & 1 == 1 { &sum[..] } else { password });
        sum = next.finalize();
    }
    let mut out = format!("$apr1${}$", String::from_utf8_lossy(salt));
    let mut write = |value: u32, digits: usize| {
        const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut value = value;
        for _ in 0..digits {
            out.push(char::from(ALPHABET[(value & 63) as usize]));
            value >>= 6;
        }
    };
    let at = |index: usize| u32::from(sum[index]);
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        write(at(a) << 16 | at(b) << 8 | at(c), 4);
    }
    write(at(11), 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_hashes_are_verified() {
        for hash in [
            "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/",
            "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
            "$2y$05$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri",
        ] {
            assert!(verify(hash, "test"), "{hash}");
            assert!(!verify(hash, "wrong"), "{hash}");
        }
        assert!(!verify("test", "test"));
    }
}
