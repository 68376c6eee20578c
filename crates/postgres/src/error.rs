//! The driver's errors in our words: what the caller may try again, what is our fault.

use deadpool_postgres::PoolError;
use foundation::{Error, Kind};
use tokio_postgres::error::SqlState;

/// A statement failed. `doing` names the statement for the log.
pub fn translate(doing: &'static str, error: tokio_postgres::Error) -> Error {
    if is_unavailable(&error) {
        return Error::unavailable(
            "DATABASE_UNAVAILABLE",
            "The database does not answer; try again in a moment",
        )
        .caused_by(error);
    }
    if error.code() == Some(&SqlState::QUERY_CANCELED) {
        return Error::unavailable("DATABASE_TIMEOUT", "The database took too long; try again in a moment")
            .caused_by(error);
    }
    if error.code() == Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) {
        return Error::new(
            Kind::Invalid,
            "INVALID_TEXT",
            "Text may not contain the character U+0000",
        )
        .caused_by(error);
    }
    if let Some(db) = error.as_db_error() {
        let told = format!("{doing}: {} ({})", db.message(), db.code().code());
        return Error::internal(told, error);
    }
    Error::internal(doing, error)
}

/// No connection could be had from the pool.
pub(crate) fn no_connection(error: PoolError) -> Error {
    let message = "The database does not answer; try again in a moment";
    Error::new(Kind::Unavailable, "DATABASE_UNAVAILABLE", message)
        .retry_after(1)
        .caused_by(error)
}

/// The connection broke or the server is starting, stopping or full; the statement itself is not to blame.
pub fn is_unavailable(error: &tokio_postgres::Error) -> bool {
    if error.is_closed() {
        return true;
    }
    match error.code() {
        Some(code) => {
            let class = code.code().get(..2).unwrap_or_default();
            class == "08" || class == "53" || class == "57" && *code != SqlState::QUERY_CANCELED
        }
        None => std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>()),
    }
}

pub fn is_unique_violation(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// The constraint a statement broke, to be turned into a message of the service's own.
pub fn constraint(error: &tokio_postgres::Error) -> Option<&str> {
    error.as_db_error().and_then(|db| db.constraint())
}
