//! Cuts SQL text into its statements, as PostgreSQL's own client does: quotes, dollar quotes and comments are opaque.

/// Without what is only white space.
pub fn statements(sql: &str) -> Vec<&str> {
    let bytes = sql.as_bytes();
    let (mut from, mut at, mut found) = (0, 0, Vec::new());
    while at < bytes.len() {
        at = match bytes[at] {
            b';' => {
                found.push(&sql[from..at]);
                from = at + 1;
                at + 1
            }
            quote @ (b'\'' | b'"') => after(bytes, at + 1, &[quote]),
            b'-' if bytes[at..].starts_with(b"--") => after(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => after_comment(bytes, at + 2),
            b'$' => after_dollar_quote(bytes, at),
            _ => at + 1,
        };
    }
    found.push(&sql[from..]);
    found.retain(|statement| !statement.trim().is_empty());
    found
}

/// Behind the next `end`, or at the end of all.
fn after(bytes: &[u8], from: usize, end: &[u8]) -> usize {
    let found = bytes[from..].windows(end.len()).position(|window| window == end);
    found.map_or(bytes.len(), |place| from + place + end.len())
}

/// They nest.
fn after_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 1;
    while at < bytes.len() && depth > 0 {
        let (step, change) = match &bytes[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
    }
    at
}

fn after_dollar_quote(bytes: &[u8], at: usize) -> usize {
    // `a$b` is a name, `$1` a parameter.
    let in_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    let tag = bytes[at + 1..]
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'))
        .map(|length| at + 1 + length)
        .filter(|end| bytes[*end] == b'$' && !bytes[at + 1].is_ascii_digit());
    match tag {
        Some(end) if !in_name => after(bytes, end + 1, &bytes[at..=end]),
        _ => at + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn only_a_bare_semicolon_ends_a_statement() {
        let check = |sql: &str, expected: &[&str]| {
            let found: Vec<&str> = statements(sql).into_iter().map(str::trim).collect();
            assert_eq!(found, expected, "{sql}");
        };
        check("select 1; select 2;", &["select 1", "select 2"]);
        check(
            "select ';', \";\"; -- a; b\nselect 2",
            &["select ';', \";\"", "-- a; b\nselect 2"],
        );
        check("select 'it''s;'; x", &["select 'it''s;'", "x"]);
        check("do $f$ begin; $$ ; end $f$; y", &["do $f$ begin; $$ ; end $f$", "y"]);
        check(
            "/* a /* ; */ ; */ select $1; a$b$; c",
            &["/* a /* ; */ ; */ select $1", "a$b$", "c"],
        );
        check(" ; ;", &[]);
        check("select '", &["select '"]);
    }
}
