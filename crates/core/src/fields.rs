//! What users type, parsed at the door; inside nobody checks again.

use crate::error::invalid;
use foundation::Result;
use std::fmt;

const LONGEST_EMAIL: usize = 254;
const LONGEST_NAME: usize = 200;
/// NIST SP 800-63B: at least 8 characters, no composition rules, long ones accepted.
const SHORTEST_PASSWORD: usize = 8;
const LONGEST_PASSWORD: usize = 1024;

/// An address as it was given; compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong = |message: &str| Err(invalid("email", message.to_owned()));
        if text.len() > LONGEST_EMAIL {
            return wrong("is longer than 254 characters");
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return wrong("is no e-mail address: it has no '@'");
        };
        let plain = |character: char| !character.is_control() && !character.is_whitespace();
        let sane_local =
            !local.is_empty() && local.len() <= 64 && local.chars().all(|c| plain(c) && !"@<>()[],;:\\\"".contains(c));
        let sane_domain = domain.split('.').all(|label| {
            !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
        if !sane_local || !sane_domain {
            return wrong("is no e-mail address");
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A new password. Login does not parse: whatever is not the password is simply wrong.
pub struct Password(String);

impl Password {
    pub fn parse(text: &str) -> Result<Self> {
        if text.chars().count() < SHORTEST_PASSWORD {
            return Err(invalid(
                "password",
                format!("is shorter than {SHORTEST_PASSWORD} characters"),
            ));
        }
        if text.len() > LONGEST_PASSWORD {
            return Err(invalid("password", format!("is longer than {LONGEST_PASSWORD} bytes")));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

/// What others see; empty is none.
pub fn name(text: Option<&str>) -> Result<Option<String>> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.chars().count() > LONGEST_NAME {
        return Err(invalid("name", format!("is longer than {LONGEST_NAME} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid("name", "contains control characters".into()));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for good in ["a@b.co", " Ada.Lovelace+x@example.org ", "ü@exämple.de", "a@localhost"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b..co",
            "a b@c.de",
            "a@b.co\u{0}",
            "a@b.co\r\nBcc: x@y.z",
            "<a@b.co>",
        ] {
            assert_eq!(Email::parse(bad).expect_err(bad).code, "INVALID_FIELD", "{bad}");
        }
    }

    #[test]
    fn short_passwords_are_refused() {
        assert!(Password::parse("1234567").is_err());
        assert!(Password::parse("12345678").is_ok());
    }
}
