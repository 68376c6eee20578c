//! What a file is: its bytes decide. A declared type or an ending only counts for texts, which have no signature.

const UNKNOWN: &str = "application/octet-stream";

/// As many bytes as the signatures need.
pub const SNIFFED: usize = 4096;

/// `head` is the beginning of the file, [`SNIFFED`] bytes where it has them.
pub fn sniff(head: &[u8], declared: Option<&str>, filename: &str) -> String {
    if looks_active(head) {
        let svg = contains(head, b"<svg");
        return if svg { "image/svg+xml" } else { "text/html" }.into();
    }
    if let Some(kind) = infer::get(head) {
        return kind.mime_type().into();
    }
    if !is_text(head) {
        return UNKNOWN.into();
    }
    let essence = declared
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    if is_text_type(&essence) {
        return essence;
    }
    let ending = filename.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("html" | "htm") => "text/html",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("csv") => "text/csv",
        Some("md") => "text/markdown",
        Some("css") => "text/css",
        Some("js" | "mjs") => "text/javascript",
        Some("xml") => "application/xml",
        _ => "text/plain",
    }
    .into()
}

/// Types a browser would run or render as a document on our host.
pub fn is_active(mime_type: &str) -> bool {
    let essence = mime_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence.ends_with("xml")
        || essence.ends_with("html")
        || essence.contains("javascript")
        || essence.contains("ecmascript")
        || essence == "application/x-shockwave-flash"
}

fn looks_active(head: &[u8]) -> bool {
    let rest = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    rest.starts_with(b"<")
        && (contains(head, b"<svg")
            || contains(head, b"<html")
            || contains(head, b"<!doctype html")
            || contains(head, b"<script")
            || contains(head, b"<body"))
}

fn contains(head: &[u8], needle: &[u8]) -> bool {
    head.windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle))
}

fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character may be cut.
        Err(error) => error.error_len().is_none(),
    };
    valid
        && !head
            .iter()
            .any(|byte| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C))
}

fn is_text_type(essence: &str) -> bool {
    let named = [
        "application/json",
        "application/xml",
        "application/yaml",
        "application/javascript",
        "image/svg+xml",
    ];
    let rest = essence.strip_prefix("text/");
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.+".contains(&byte))
    };
    named.contains(&essence) || rest.is_some_and(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], declared: Option<&str>, filename: &str, expected: &str) {
        assert_eq!(sniff(head, declared, filename), expected, "{filename}");
    }

    #[test]
    fn the_bytes_decide() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        check(png, Some("text/html"), "page.html", "image/png");
        check(b"\xFF\xD8\xFF\xE0\0\x10JFIF", None, "a", "image/jpeg");
        check(b"\0\x01\x02", Some("image/png"), "a.png", UNKNOWN);
        check(b"hello", Some("image/png"), "a.png", "text/plain");
        check(b"a,b\n1,2\n", Some("text/csv; charset=utf-8"), "a", "text/csv");
        check(b"{}", None, "a.json", "application/json");
    }

    #[test]
    fn active_content_is_seen_whatever_it_is_called() {
        check(b" <svg onload=alert(1)>", Some("image/png"), "a.png", "image/svg+xml");
        check(b"<!DOCTYPE html><p>", Some("text/plain"), "a.txt", "text/html");
        for mime_type in [
            "image/svg+xml",
            "text/html; charset=utf-8",
            "application/xhtml+xml",
            "text/javascript",
        ] {
            assert!(is_active(mime_type), "{mime_type}");
        }
        assert!(!is_active("image/png"));
    }
}
