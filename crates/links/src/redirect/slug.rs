//! The name of a short link in its URL.

/// 1 to 128 of RFC 3986's unreserved characters, so that it never needs escaping. Case matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slug(String);

impl Slug {
    pub fn parse(text: &str) -> Option<Self> {
        let sane = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        sane.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_make_a_slug() {
        assert!(Slug::parse("a-B_9.~").is_some());
        let long = "a".repeat(129);
        for bad in ["", "a b", "a/b", "%2e", "ä", "a\0", "a'--", long.as_str()] {
            assert_eq!(Slug::parse(bad), None, "{bad}");
        }
    }
}
