//! Our errors and values in S3's words.

use crate::{Attributes, Checksums, Meta};
use base64::{Engine, engine::general_purpose::STANDARD};
use foundation::Error;
use s3s::{
    S3Error, S3ErrorCode,
    dto::{ETag, ETagCondition, Timestamp},
};
use std::collections::BTreeMap;
use time::OffsetDateTime;

pub fn refuse(error: Error) -> S3Error {
    let code = match error.code {
        "NO_SUCH_BUCKET" => S3ErrorCode::NoSuchBucket,
        "NO_SUCH_OBJECT" => S3ErrorCode::NoSuchKey,
        "NO_SUCH_UPLOAD" => S3ErrorCode::NoSuchUpload,
        "BAD_PART" => S3ErrorCode::InvalidPart,
        "BAD_DIGEST" => S3ErrorCode::BadDigest,
        "BODY_INCOMPLETE" => S3ErrorCode::IncompleteBody,
        "BAD_OBJECT_KEY" => S3ErrorCode::InvalidArgument,
        "DATABASE_UNAVAILABLE" => S3ErrorCode::ServiceUnavailable,
        _ => S3ErrorCode::InternalError,
    };
    if code == S3ErrorCode::InternalError {
        tracing::error!(code = error.code, cause = %error.chain(), "the S3 endpoint failed");
    }
    S3Error::with_message(code, error.message)
}

pub fn etag(text: &str) -> ETag {
    ETag::Strong(text.to_owned())
}

pub fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp::from(at)
}

/// `Content-MD5` is base64 of 16 bytes.
pub fn md5(given: Option<&str>) -> Result<Checksums, S3Error> {
    let Some(text) = given else {
        return Ok(Checksums::default());
    };
    let bytes = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    match bytes {
        Some(md5) => Ok(Checksums {
            md5: Some(md5),
            crc32: None,
        }),
        None => Err(S3Error::new(S3ErrorCode::InvalidDigest)),
    }
}

pub fn metadata(attributes: &Attributes) -> Option<s3s::dto::Metadata> {
    let pairs = attributes.metadata.iter();
    Some(pairs.map(|(name, value)| (name.clone(), value.clone())).collect())
}

pub fn own_metadata(given: Option<s3s::dto::Metadata>) -> BTreeMap<String, String> {
    given.into_iter().flatten().collect()
}

/// The conditional headers of a read (RFC 9110 section 13).
#[derive(Default)]
pub struct Conditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// In the order the RFC gives; dates are compared by the second.
    pub fn check(self, meta: &Meta) -> Result<(), S3Error> {
        let modified = meta.modified.unix_timestamp();
        let second = |at: Timestamp| OffsetDateTime::from(at).unix_timestamp();
        let fails = match (self.if_match, self.if_unmodified_since) {
            (Some(condition), _) => !holds(&condition, &meta.etag),
            (None, Some(since)) => modified > second(since),
            (None, None) => false,
        };
        if fails {
            return Err(S3Error::new(S3ErrorCode::PreconditionFailed));
        }
        let unchanged = match (self.if_none_match, self.if_modified_since) {
            (Some(condition), _) => holds(&condition, &meta.etag),
            (None, Some(since)) => modified <= second(since),
            (None, None) => false,
        };
        if unchanged {
            let mut error = S3Error::new(S3ErrorCode::NotModified);
            error.set_status_code(http::StatusCode::NOT_MODIFIED);
            return Err(error);
        }
        Ok(())
    }
}

pub fn holds(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(given) => given.value() == etag,
    }
}
