//! Keys of objects: what S3 allows, less what proxies and file systems would read differently.

use crate::error::bad_key;
use foundation::Result;
use std::fmt;

const LONGEST: usize = 1024;

/// Built only by [`ObjectKey::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// # Errors
    /// `BAD_OBJECT_KEY`, saying what is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(bad_key("is empty"));
        }
        if text.len() > LONGEST {
            return Err(bad_key("is longer than 1024 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(bad_key("has a control character"));
        }
        if text.starts_with('/') {
            return Err(bad_key("begins with '/'"));
        }
        if text.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(bad_key("has a segment '.' or '..'"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_climb_or_hide_are_refused() {
        for text in ["", "/a", "a/../b", "..", "./a", "a\0b", "a\nb", &"a".repeat(1025)] {
            assert_eq!(ObjectKey::parse(text).expect_err(text).code, "BAD_OBJECT_KEY");
        }
    }

    #[test]
    fn a_key_and_its_prefix_coexist() {
        for text in ["a", "a/b", "a//b", "photos/été 1.jpg", "..a/b..", &"a".repeat(1024)] {
            assert_eq!(ObjectKey::parse(text).expect(text).as_str(), text);
        }
    }
}
