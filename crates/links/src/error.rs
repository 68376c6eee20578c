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
