//! An error speaks twice: a stable code and a message for the caller, a cause chain for the log.

use serde_json::{Map, Value};
use std::{error::Error as StdError, fmt};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms HTTP will tell it. Services pick a kind; only the HTTP chassis knows status numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 400: the request cannot be understood.
    Malformed,
    /// 401: no valid credentials.
    Unauthenticated,
    /// 403: known, but not allowed.
    Forbidden,
    /// 404
    NotFound,
    /// 405: `details.allow` lists the methods that exist.
    MethodNotAllowed,
    /// 409: the state of the resource stands against it.
    Conflict,
    /// 410
    Gone,
    /// 412
    PreconditionFailed,
    /// 413
    TooLarge,
    /// 415
    UnsupportedMedia,
    /// 416
    RangeNotSatisfiable,
    /// 422: understood, but the values are wrong.
    Invalid,
    /// 429
    TooMany,
    /// 500: our fault. The caller learns nothing but the request id.
    Internal,
    /// 502: the peer behind us answered nonsense.
    BadGateway,
    /// 503: try again later.
    Unavailable,
    /// 504
    Timeout,
}

/// Told to the caller (`kind`, `code`, `message`, `details`) and to the log (`source` with its chain).
pub struct Error {
    pub kind: Kind,
    /// Stable, SCREAMING_SNAKE_CASE; clients may branch on it.
    pub code: &'static str,
    /// Names the thing, the place and the mend.
    pub message: String,
    pub details: Box<Map<String, Value>>,
    /// Seconds after which a retry makes sense (429, 503).
    pub retry_after: Option<u32>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            details: Box::default(),
            retry_after: None,
            source: None,
        }
    }

    /// A fault of ours. `context` goes to the log only.
    pub fn internal(context: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let wrapped = Context {
            context: context.into(),
            source: Some(source.into()),
        };
        Self::new(
            Kind::Internal,
            "INTERNAL",
            "Something went wrong on our side; quote the request id when you report it",
        )
        .caused_by(wrapped)
    }

    /// A part we depend on does not answer; the caller should come again.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        let mut error = Self::new(Kind::Unavailable, code, message);
        error.retry_after = Some(1);
        error
    }

    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The cause chain on one line, for the log.
    pub fn chain(&self) -> String {
        let mut text = String::new();
        let mut next: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(cause) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.kind, self.code, self.message)?;
        if self.source.is_some() {
            write!(f, " (cause: {})", self.chain())?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

#[derive(Debug)]
struct Context {
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl StdError for Context {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_tells_the_caller_nothing_and_the_log_everything() {
        let error = Error::internal("reading users", std::io::Error::other("disk on fire"));
        assert!(!error.message.contains("disk"));
        assert_eq!(error.chain(), "reading users: disk on fire");
    }
}
