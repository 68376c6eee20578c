//! Every error core can answer with, named once. Codes are stable.

use foundation::{Error, Kind};

pub fn bad_credentials() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "BAD_CREDENTIALS",
        "The e-mail or the password is wrong",
    )
}

pub fn email_not_verified() -> Error {
    let message = "This e-mail address has not been verified yet; follow the link in the mail we sent";
    Error::new(Kind::Forbidden, "EMAIL_NOT_VERIFIED", message)
}

pub fn account_disabled() -> Error {
    Error::new(
        Kind::Forbidden,
        "ACCOUNT_DISABLED",
        "This account has been disabled by an administrator",
    )
}

pub fn email_taken() -> Error {
    Error::new(
        Kind::Conflict,
        "EMAIL_TAKEN",
        "There is an account with this e-mail address already",
    )
    .detail("field", "email")
}

pub fn refresh_invalid() -> Error {
    let message = "The refresh token is unknown, used, expired, or its session has ended; log in again";
    Error::new(Kind::Unauthenticated, "REFRESH_TOKEN_INVALID", message)
}

pub fn link_invalid() -> Error {
    let message = "The token of this link is unknown, used or expired; ask for a new one";
    Error::new(Kind::Malformed, "LINK_INVALID", message)
}

pub fn user_not_found() -> Error {
    Error::new(Kind::NotFound, "USER_NOT_FOUND", "There is no such user")
}

pub fn last_admin() -> Error {
    let message = "This is the last administrator; make another user one first";
    Error::new(Kind::Conflict, "LAST_ADMIN", message)
}

pub fn set_up_already() -> Error {
    Error::new(
        Kind::Gone,
        "SET_UP_ALREADY",
        "There is an administrator already; log in instead",
    )
}

pub fn invalid(field: &str, message: String) -> Error {
    Error::new(Kind::Invalid, "INVALID_FIELD", format!("'{field}' {message}")).detail("field", field)
}
