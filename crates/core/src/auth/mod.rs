//! `/v1/core/auth`: how one becomes known, and stops being so. A file is an endpoint; the rest is what they share.

pub mod change_password;
pub mod forgot_password;
pub mod login;
pub mod logout;
pub mod one_time;
pub mod page;
pub mod refresh;
pub mod register;
pub mod reset_password;
pub mod session;
pub mod setup;
pub mod verify_email;
