//! Every error media can answer with, named once. Codes are stable.

use foundation::{Error, Kind};

pub fn asset_not_found() -> Error {
    Error::new(Kind::NotFound, "ASSET_NOT_FOUND", "There is no such asset")
}

pub fn object_not_found() -> Error {
    Error::new(
        Kind::NotFound,
        "OBJECT_NOT_FOUND",
        "There is no public object of this key",
    )
}

pub fn too_large(limit: u64) -> Error {
    let message = format!("The file is larger than the {limit} bytes accepted here");
    Error::new(Kind::TooLarge, "UPLOAD_TOO_LARGE", message).detail("limit_bytes", limit)
}

pub fn not_multipart() -> Error {
    let message = "Send the file as multipart/form-data with a boundary, in the field 'file'";
    Error::new(Kind::UnsupportedMedia, "UNSUPPORTED_MEDIA_TYPE", message)
}

pub fn malformed_multipart() -> Error {
    let message = "The multipart body is broken or ended before its last boundary";
    Error::new(Kind::Malformed, "MALFORMED_MULTIPART", message)
}

pub fn file_missing() -> Error {
    Error::new(Kind::Malformed, "FILE_MISSING", "The form has no field 'file'").detail("field", "file")
}

pub fn file_twice() -> Error {
    let message = "The form has more than one field 'file'; send one file per request";
    Error::new(Kind::Malformed, "FILE_TWICE", message).detail("field", "file")
}

pub fn file_empty() -> Error {
    Error::new(Kind::Invalid, "FILE_EMPTY", "The file is empty").detail("field", "file")
}

pub fn unknown_field(name: &str) -> Error {
    let message = format!("The form has a field '{name}'; it takes 'file' and 'visibility'");
    Error::new(Kind::Malformed, "UNKNOWN_FIELD", message).detail("field", name)
}

pub fn invalid(field: &str, why: &str) -> Error {
    Error::new(Kind::Invalid, "INVALID_FIELD", format!("'{field}' {why}")).detail("field", field)
}

pub fn not_uploaded() -> Error {
    let message = "The file has not arrived yet; PUT it to the URL of the presign first";
    Error::new(Kind::Conflict, "NOT_UPLOADED", message)
}

pub fn size_differs(announced: i64, arrived: u64) -> Error {
    let message = format!("{announced} bytes were announced, {arrived} arrived; the upload is refused");
    Error::new(Kind::Invalid, "SIZE_DIFFERS", message)
}

pub fn range_not_satisfiable(size: u64) -> Error {
    let message = format!("The range lies outside the {size} bytes of this file");
    Error::new(Kind::RangeNotSatisfiable, "RANGE_NOT_SATISFIABLE", message).detail("size", size)
}

/// The sweeper took it for left behind.
pub fn upload_took_too_long() -> Error {
    Error::new(
        Kind::Timeout,
        "UPLOAD_TOO_SLOW",
        "The upload took too long; send it again",
    )
}

pub fn nothing_here() -> Error {
    Error::new(Kind::NotFound, "NOT_FOUND", "There is nothing at this path")
}

pub fn method_not_allowed() -> Error {
    let message = "Objects can only be read here";
    Error::new(Kind::MethodNotAllowed, "METHOD_NOT_ALLOWED", message)
}

pub fn changed() -> Error {
    Error::new(
        Kind::PreconditionFailed,
        "PRECONDITION_FAILED",
        "The file is not the one the condition names",
    )
}
