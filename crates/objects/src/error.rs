//! The errors of object storage, named once.

use foundation::{Error, Kind};

pub fn bad_key(why: &str) -> Error {
    Error::new(Kind::Malformed, "BAD_OBJECT_KEY", format!("The object key {why}"))
}

pub fn no_bucket(bucket: &str) -> Error {
    let message = format!("There is no bucket '{bucket}'");
    Error::new(Kind::NotFound, "NO_SUCH_BUCKET", message)
}

pub fn no_object() -> Error {
    Error::new(Kind::NotFound, "NO_SUCH_OBJECT", "There is no object of this key")
}

pub fn no_upload() -> Error {
    let message = "There is no multipart upload of this id for this key";
    Error::new(Kind::NotFound, "NO_SUCH_UPLOAD", message)
}

pub fn bad_part(message: &str) -> Error {
    Error::new(Kind::Malformed, "BAD_PART", message)
}

/// The stream that brought the bytes broke; the cause tells why.
pub fn body_broke(cause: std::io::Error) -> Error {
    if cause.kind() == std::io::ErrorKind::InvalidData {
        return bad_digest("checksum").caused_by(cause);
    }
    let message = "The body ended before it was complete";
    Error::new(Kind::Malformed, "BODY_INCOMPLETE", message).caused_by(cause)
}

pub fn bad_digest(name: &str) -> Error {
    let message = format!("The bytes that arrived do not have the {name} that was given");
    Error::new(Kind::Malformed, "BAD_DIGEST", message)
}

pub fn disk(what: &str, cause: std::io::Error) -> Error {
    Error::internal(what, cause)
}

pub fn store_unavailable(what: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let told = format!("The object store did not answer ({what})");
    Error::unavailable("STORE_UNAVAILABLE", told).caused_by(cause)
}

pub fn store_refused(what: &str, status: u16, body: &str) -> Error {
    let shown: String = body.chars().take(500).collect();
    Error::internal(format!("{what}: the object store answered {status}"), shown)
}
