//! Sticky cookies: the client comes back to the server (or child service) that served it first.

use crate::model::service::Cookie;
use http::{HeaderMap, HeaderValue, header};

pub struct Sticky {
    name: String,
    attributes: String,
}

impl Sticky {
    pub fn new(cookie: &Cookie, service: &str) -> Self {
        let name = cookie
            .name
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("_{}", &token(service)[..5]));
        let mut attributes = format!("; Path={}", cookie.path.as_deref().unwrap_or("/"));
        if let Some(domain) = &cookie.domain {
            attributes.push_str(&format!("; Domain={domain}"));
        }
        match cookie.max_age {
            Some(seconds) if seconds > 0 => attributes.push_str(&format!("; Max-Age={seconds}")),
            Some(seconds) if seconds < 0 => attributes.push_str("; Max-Age=0"),
            _ => {}
        }
        if cookie.http_only == Some(true) {
            attributes.push_str("; HttpOnly");
        }
        if cookie.secure == Some(true) {
            attributes.push_str("; Secure");
        }
        match cookie.same_site.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("none") => attributes.push_str("; SameSite=None"),
            Some("lax") => attributes.push_str("; SameSite=Lax"),
            Some("strict") => attributes.push_str("; SameSite=Strict"),
            _ => {}
        }
        Self { name, attributes }
    }

    /// The place among `tokens` that the client's cookie names.
    pub fn wanted<'a>(&self, headers: &HeaderMap, mut tokens: impl Iterator<Item = &'a str>) -> Option<usize> {
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut pairs = cookies
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, given) = pairs.find(|(name, _)| *name == self.name)?;
        tokens.position(|token| token == given)
    }

    pub fn set(&self, headers: &mut HeaderMap, token: &str) {
        let cookie = format!("{}={token}{}", self.name, self.attributes);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}

/// What stands for a server in a cookie: the first 8 bytes of the SHA-256 of its URL, in hex.
pub fn token(url: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, url.as_bytes());
    digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
