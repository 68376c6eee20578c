//! Presigned URLs, and the headers signed with them.

use crate::{Attributes, Presigned};
use foundation::{Error, Kind, Result, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::time::Duration;

/// What stays as it is in the path of a key.
pub const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub struct Signer {
    pub bucket: Bucket,
    credentials: Credentials,
}

impl Signer {
    /// # Errors
    /// `BAD_STORE_SETTINGS`
    pub fn new(
        endpoint: &str,
        region: &str,
        bucket: &str,
        path_style: bool,
        access_key_id: &str,
        secret_access_key: &Secret,
    ) -> Result<Self> {
        let bad = |why: String| {
            Error::new(
                Kind::Invalid,
                "BAD_STORE_SETTINGS",
                format!("The store's settings: {why}"),
            )
        };
        let url = url::Url::parse(endpoint).map_err(|error| bad(format!("'{endpoint}' is no URL: {error}")))?;
        let style = if path_style {
            UrlStyle::Path
        } else {
            UrlStyle::VirtualHost
        };
        let bucket = Bucket::new(url, style, bucket.to_owned(), region.to_owned());
        Ok(Self {
            bucket: bucket.map_err(|error| bad(error.to_string()))?,
            credentials: Credentials::new(access_key_id, secret_access_key.expose()),
        })
    }

    // An option because that is what every action takes.
    #[allow(clippy::unnecessary_wraps)]
    pub fn credentials(&self) -> Option<&Credentials> {
        Some(&self.credentials)
    }

    pub fn presign_put(&self, key: &str, headers: Vec<(String, String)>, seconds: u64) -> Presigned {
        let mut action = self.bucket.put_object(self.credentials(), key);
        insert(&mut action, &headers);
        let url = action.sign(Duration::from_secs(seconds)).to_string();
        Presigned { url, headers }
    }

    pub fn presign_get(&self, key: &str, seconds: u64) -> Presigned {
        let action = self.bucket.get_object(self.credentials(), key);
        let url = action.sign(Duration::from_secs(seconds)).to_string();
        Presigned {
            url,
            headers: Vec::new(),
        }
    }
}

/// Signs the headers with the action; names are lower case.
pub fn insert<'a>(action: &mut impl S3Action<'a>, headers: &[(String, String)]) {
    for (name, value) in headers {
        action.headers_mut().insert(name.clone(), value.clone());
    }
}

/// As S3 takes them.
pub fn headers_of(attributes: &Attributes) -> Vec<(String, String)> {
    let fixed = [
        ("content-type", &attributes.content_type),
        ("cache-control", &attributes.cache_control),
        ("content-disposition", &attributes.content_disposition),
        ("content-encoding", &attributes.content_encoding),
    ];
    let given = fixed
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    let own = attributes
        .metadata
        .iter()
        .map(|(name, value)| (format!("x-amz-meta-{name}"), value.clone()));
    given.chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_put_signs_the_headers_it_names() {
        let secret = Secret::new("secret");
        let signer = Signer::new("http://127.0.0.1:9000", "us-east-1", "media", true, "key", &secret).expect("valid");
        let headers = vec![("content-type".to_owned(), "image/png".to_owned())];
        let presigned = signer.presign_put("a b/c.png", headers, 900);
        assert!(
            presigned.url.starts_with("http://127.0.0.1:9000/media/a%20b/c.png?"),
            "{}",
            presigned.url
        );
        assert!(
            presigned.url.contains("X-Amz-SignedHeaders=content-type%3Bhost"),
            "{}",
            presigned.url
        );
        assert!(presigned.url.contains("X-Amz-Expires=900"), "{}", presigned.url);
    }
}
