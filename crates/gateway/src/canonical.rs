//! Brings path, query and host to the one form that is matched, authorised and forwarded. What Traefik sanitises is sanitised
//! alike (dot segments, double slashes, percent-codes of unreserved characters, `;` in queries); what somebody behind us could
//! read in a second way is refused, never repaired.

use std::borrow::Cow;

/// Why a request is refused as ambiguous. The text goes to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous(pub &'static str);

const MALFORMED: Ambiguous = Ambiguous("the path holds a malformed percent-code");
const CONTROL: Ambiguous = Ambiguous("the path holds a control character");
const BACKSLASH: Ambiguous = Ambiguous("the path holds a backslash");
const HIDDEN_DOTS: Ambiguous =
    Ambiguous("the path hides a dot segment behind an encoded slash, backslash, percent sign or semicolon");
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The canonical path. It begins with `/`, has no dot segments and no empty ones, and every percent-code left in it is upper
/// case and needed.
///
/// # Errors
/// The path can be read in two ways.
pub fn path(raw: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if is_plain(raw.as_bytes()) {
        return Ok(Cow::Borrowed(raw));
    }
    let coded = recode(raw.as_bytes())?;
    for segment in coded.split('/') {
        check_segment(segment, 0)?;
    }
    Ok(Cow::Owned(clean(&coded)))
}

/// Most paths: nothing to decode, no `//`, no segment that begins with a dot.
fn is_plain(raw: &[u8]) -> bool {
    let mut last = b' ';
    for &byte in raw {
        let fine = matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'/' | b'.' | b'~' | b'=' | b'+' | b'@' | b':' | b',' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*');
        if !fine || (last == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        last = byte;
    }
    raw.first() == Some(&b'/')
}

/// Decodes unreserved characters, encodes what must not stand bare, writes the other codes in upper case.
fn recode(raw: &[u8]) -> Result<String, Ambiguous> {
    let mut out = Vec::with_capacity(raw.len() + 8);
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        let (value, coded) = match byte {
            b'%' => match (bytes.next().and_then(digit), bytes.next().and_then(digit)) {
                (Some(high), Some(low)) => (high << 4 | low, true),
                _ => return Err(MALFORMED),
            },
            b'\\' => return Err(BACKSLASH),
            byte => (byte, false),
        };
        if value < 0x20 || value == 0x7f {
            return Err(CONTROL);
        }
        let unreserved = value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~');
        let must_be_coded =
            value >= 0x80 || matches!(value, b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}');
        if unreserved || (!coded && !must_be_coded) {
            out.push(value);
        } else {
            out.extend([b'%', HEX[usize::from(value >> 4)], HEX[usize::from(value & 15)]]);
        }
    }
    Ok(String::from_utf8(out).expect("every byte above ASCII was written as a percent-code"))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A segment that is a dot segment for somebody who decodes once more, or who cuts at `;`.
fn check_segment(segment: &str, depth: u8) -> Result<(), Ambiguous> {
    if !segment.contains('.') && !segment.contains("%25") {
        return Ok(());
    }
    let pieces = segment.split("%2F").flat_map(|piece| piece.split("%5C"));
    let whole = !segment.contains("%2F") && !segment.contains("%5C");
    for piece in pieces {
        let name = piece.split(';').next().unwrap_or_default();
        let name = name.split("%3B").next().unwrap_or_default();
        let bare = whole && depth == 0 && name.len() == piece.len();
        if matches!(name, "." | "..") && !bare {
            return Err(HIDDEN_DOTS);
        }
    }
    if segment.contains("%25") && depth < 3 {
        let decoded = segment.replace("%25", "%");
        // What decodes to nonsense one level deeper is nobody's dot segment.
        if let Ok(again) = recode(decoded.as_bytes()) {
            for segment in again.split('/') {
                check_segment(segment, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// RFC 3986 section 5.2.4, and empty segments dropped; a final slash stays if it was written.
fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

/// The form rules are matched against: codes of characters without a meaning in URLs are decoded (`/a%20b` matches `/a b`).
pub fn for_matching(canonical: &str) -> Cow<'_, str> {
    if !canonical.contains('%') {
        return Cow::Borrowed(canonical);
    }
    let bytes = canonical.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let code = (bytes[index] == b'%')
            .then(|| bytes.get(index + 1..index + 3))
            .flatten();
        let value = code.and_then(|code| Some(digit(code[0])? << 4 | digit(code[1])?));
        match value {
            Some(value) if !is_reserved(value) => {
                out.push(value);
                index += 3;
            }
            _ => {
                out.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(canonical), Cow::Owned)
}

fn is_reserved(byte: u8) -> bool {
    b":/?#[]@!$&'()*+,;=%\\".contains(&byte)
}

/// Some parsers take `;` for `&`, others do not; behind us it is `&` for all, or (`keep`) a character of the value for all.
pub fn query(raw: &str, keep: bool) -> Cow<'_, str> {
    if raw.contains(';') {
        Cow::Owned(raw.replace(';', if keep { "%3B" } else { "&" }))
    } else {
        Cow::Borrowed(raw)
    }
}

/// The host for matching: without port and final dot, in lower case.
///
/// # Errors
/// It holds what no host name holds.
pub fn host(raw: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let sane = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'~' | b'%')
    };
    if !raw.bytes().all(sane) {
        return Err(Ambiguous("the Host holds a character no host name has"));
    }
    let name = without_port(raw);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Ok(Cow::Owned(name.to_ascii_lowercase()))
    } else {
        Ok(Cow::Borrowed(name))
    }
}

fn without_port(raw: &str) -> &str {
    if let Some(inside) = raw.strip_prefix('[') {
        return inside.split(']').next().unwrap_or(inside);
    }
    match raw.rsplit_once(':') {
        // An IPv6 address without brackets has several colons and no port.
        Some((name, _)) if !name.contains(':') => name,
        _ => raw,
    }
}

/// The port written in a Host header.
pub fn port(raw: &str) -> Option<&str> {
    let after = match raw.rsplit_once(']') {
        Some((_, rest)) => rest.strip_prefix(':'),
        None => raw
            .rsplit_once(':')
            .filter(|(name, _)| !name.contains(':'))
            .map(|(_, port)| port),
    };
    after.filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn becomes(raw: &str, expected: &str) {
        assert_eq!(path(raw).as_deref(), Ok(expected), "{raw}");
    }

    #[test]
    fn what_traefik_sanitises_is_sanitised_alike() {
        becomes("/", "/");
        becomes("//", "/");
        becomes("//admin", "/admin");
        becomes("/./admin", "/admin");
        becomes("/x/../admin", "/admin");
        becomes("/x/%2e%2e/admin", "/admin");
        becomes("/x/.%2E/admin", "/admin");
        becomes("/admin/..", "/");
        becomes("/a/b/.", "/a/b");
        becomes("/a/b/..", "/a");
        becomes("/../../etc", "/etc");
        becomes("/%61dmin", "/admin");
        becomes("/%41dmin", "/Admin");
        becomes("/a%20b", "/a%20b");
        becomes("/%7Euser/~x", "/~user/~x");
        becomes("/x%3bp=1/y", "/x%3Bp=1/y");
        becomes("/x;p=1/y", "/x;p=1/y");
        becomes("/caf%c3%a9", "/caf%C3%A9");
        becomes("/trailing//", "/trailing/");
        becomes("/...", "/...");
        becomes("/.well-known/x", "/.well-known/x");
        becomes("/x%2Fy", "/x%2Fy");
        becomes("/x%5Cy", "/x%5Cy");
        becomes("/x%2525y", "/x%2525y");
        becomes("/x[y]", "/x[y]");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let ambiguous = [
            "/x%zz",
            "/x%",
            "/x%4",
            "/x%00y",
            "/x%0ay",
            "/x%0d%0ay",
            "/x%7f",
            "/x%1F",
            "/x/..%2Fprojects",
            "/x/%2e%2e%2Fprojects",
            "/x/..%5Cprojects",
            "/x/..%5cprojects",
            "/x/.%2Fy",
            "/..;/admin",
            "/x/..;a=b/admin",
            "/x/.;/y",
            "/x/%2e%2e;/y",
            "/x/..%3B/y",
            "/x/%252e%252e/y",
            "/x/%252e%252e%252fy",
            "/x/..%252Fy",
            "/x/%25252e%25252e/y",
            "/a%2F..%2Fb",
            "/a%2F..",
            "/a%5C..",
            "/x\\..\\y",
            "/x\\y",
            "/%2e%2e%5c%2e%2e",
        ];
        for raw in ambiguous {
            assert!(path(raw).is_err(), "{raw} became {:?}", path(raw));
        }
    }

    #[test]
    fn canonical_paths_stay_as_they_are() {
        for raw in ["/x/%2e%2e/a%20b//c", "/caf%c3%a9/%7e", "/a;b/..c/d.", "/x%2Fy%25z"] {
            let once = path(raw).expect("fine").into_owned();
            assert_eq!(path(&once).as_deref(), Ok(once.as_str()));
        }
    }

    #[test]
    fn matching_decodes_what_has_no_meaning_in_urls() {
        assert_eq!(for_matching("/a%20b%2Fc"), "/a b%2Fc");
        assert_eq!(for_matching("/caf%C3%A9"), "/café");
    }

    #[test]
    fn hosts_lose_port_case_and_final_dot() {
        let check = |raw: &str, expected: &str| assert_eq!(host(raw).as_deref(), Ok(expected), "{raw}");
        check("A.Test:8080", "a.test");
        check("a.test.", "a.test");
        check("[::1]:80", "::1");
        check("::1", "::1");
        check("", "");
        for raw in ["a@b", "a/b", "a b", "a\\b", "a,b", "é.test"] {
            assert!(host(raw).is_err(), "{raw}");
        }
        assert_eq!(port("a.test:99"), Some("99"));
        assert_eq!(port("[::1]:8080"), Some("8080"));
        assert_eq!(port("::1"), None);
    }
}
