//! `X-Request-ID`: kept when the caller sent a sane one, else made here; on every response and every log line.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// The caller's id, if it is one that may stand in a log line: 1 to 128 of `A-Z a-z 0-9 . _ -`.
pub fn sane(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    ((1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(plain)).then_some(text)
}

/// The caller's id, or a new one.
pub fn keep_or_make(headers: &HeaderMap) -> Arc<str> {
    value(headers).to_str().unwrap_or_default().into()
}

/// As [`keep_or_make`], as it stands in headers.
pub fn value(headers: &HeaderMap) -> HeaderValue {
    let kept = sane(headers).and_then(|_| headers.get(HEADER).cloned());
    kept.unwrap_or_else(|| {
        let id = foundation::new_id().simple().to_string();
        HeaderValue::from_maybe_shared(bytes::Bytes::from(id)).expect("hex digits are a header value")
    })
}

pub fn set(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(HEADER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &'static [u8]) -> HeaderMap {
        HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(value).expect("header"))])
    }

    #[test]
    fn a_sane_id_is_kept_and_others_are_replaced() {
        assert_eq!(sane(&with(b"req-42_a.b")), Some("req-42_a.b"));
        for value in [&b""[..], b"a b", b"a\"b", b"\xff\xfe"] {
            assert_eq!(sane(&with(value)), None);
        }
        assert_eq!(keep_or_make(&with(b"a b")).len(), 32);
    }
}
