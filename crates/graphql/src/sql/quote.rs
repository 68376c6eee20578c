//! The one function through which an identifier may enter SQL text. Values never do: they are parameters.

/// Quotes an identifier of any content: `a"b` becomes `"a""b"`. NUL cannot occur in an identifier and is dropped.
pub fn quote_ident(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    push_ident(&mut quoted, name);
    quoted
}

/// [`quote_ident`] into an existing text.
pub fn push_ident(sql: &mut String, name: &str) {
    sql.push('"');
    for c in name.chars() {
        match c {
            '"' => sql.push_str("\"\""),
            '\0' => {}
            c => sql.push(c),
        }
    }
    sql.push('"');
}

/// A text constant the engine itself chose (a response key). Callers' values go through parameters instead.
pub(crate) fn push_key(sql: &mut String, key: &str) {
    debug_assert!(
        key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
        "a response key is a GraphQL name"
    );
    sql.push('\'');
    sql.extend(key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_'));
    sql.push('\'');
}

/// [`push_key`] as a text of its own.
pub(crate) fn key_text(key: &str) -> String {
    let mut sql = String::with_capacity(key.len() + 2);
    push_key(&mut sql, key);
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a quoted identifier back as PostgreSQL's scanner does; `None` if the text is anything but one identifier.
    fn unquote(text: &str) -> Option<String> {
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        let mut name = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            if c == '"' && chars.next() != Some('"') {
                return None;
            }
            name.push(c);
        }
        Some(name)
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back_as_itself(name in "[^\0]*") {
            prop_assert_eq!(unquote(&quote_ident(&name)), Some(name));
        }

        #[test]
        fn no_name_ends_its_quotes_early(name in ".*") {
            let quoted = quote_ident(&name);
            let inner = &quoted[1..quoted.len() - 1];
            prop_assert_eq!(inner.matches('"').count() % 2, 0);
            prop_assert!(!inner.replace("\"\"", "").contains('"'));
            prop_assert!(!quoted.contains('\0'));
        }
    }
}
