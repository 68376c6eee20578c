//! Every error of the REST side of links, named once.

use foundation::{Error, Kind};

pub fn link_not_found() -> Error {
    Error::new(
        Kind::NotFound,
        "LINK_NOT_FOUND",
        "There is no active short link of this name",
    )
}

pub fn nothing_here() -> Error {
    Error::new(Kind::NotFound, "NOT_FOUND", "There is nothing at this path")
}

pub fn link_expired() -> Error {
    Error::new(Kind::Gone, "LINK_EXPIRED", "This short link has expired")
}

pub fn too_many_guesses() -> Error {
    let message = "Too many wrong passwords for this link; try again in a minute";
    Error::new(Kind::TooMany, "TOO_MANY_GUESSES", message).retry_after(60)
}

pub fn not_found(what: &str) -> Error {
    Error::new(Kind::NotFound, "NOT_FOUND", format!("There is no such {what}"))
}

pub fn invalid(field: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Invalid, "INVALID_FIELD", format!("'{field}' {why}")).detail("field", field)
}

pub fn slug_taken(slug: &str) -> Error {
    Error::new(
        Kind::Conflict,
        "SLUG_TAKEN",
        format!("The slug '{slug}' is taken on this domain"),
    )
    .detail("field", "slug")
}

pub fn viewers_only_look() -> Error {
    Error::new(
        Kind::Forbidden,
        "VIEWER",
        "Viewers of this organisation may look, not change",
    )
}

pub fn clicks_elsewhere() -> Error {
    let message = "This is not in the rollups, and ClickHouse has the clicks here: ask it, or ask for whole hours (whole days in UTC \
                   by value of a link) without filters";
    Error::new(Kind::Invalid, "CLICKS_ELSEWHERE", message)
}
