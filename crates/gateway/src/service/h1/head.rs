//! The head of an answer: where its body ends and whether the connection can be used again (RFC 9112 section 6.3).

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version,
    header::{self, Entry},
};
use memchr::memchr_iter;
use std::{io, mem::MaybeUninit};

const MOST_HEADERS: usize = 256;
const LONGEST: usize = 256 * 1024;

pub struct Head {
    pub response: Response<()>,
    pub framing: Framing,
    /// The server keeps the connection after this answer.
    pub keeps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    /// The body ends with the connection.
    Close,
}

/// The next final head, if it is there whole. Interim answers are for whoever waits to send a body, which nobody does here.
///
/// # Errors
/// This is no HTTP, or it can be read in more than one way.
pub fn parse(incoming: &mut BytesMut, method: &Method, switches: bool) -> io::Result<Option<Head>> {
    loop {
        let Some(end) = end(incoming) else {
            let too_long = incoming.len() > LONGEST;
            return if too_long {
                Err(wrong("the head of the answer is too long"))
            } else {
                Ok(None)
            };
        };
        let head = read(&incoming.split_to(end).freeze(), method)?;
        match head.response.status() {
            StatusCode::SWITCHING_PROTOCOLS if switches => return Ok(Some(head)),
            StatusCode::SWITCHING_PROTOCOLS => return Err(wrong("the server switched protocols unasked")),
            status if status.is_informational() => {}
            _ => return Ok(Some(head)),
        }
    }
}

/// After the empty line.
fn end(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', bytes).find_map(|at| match bytes.get(at + 1..) {
        Some([b'\r', b'\n', ..]) => Some(at + 3),
        Some([b'\n', ..]) => Some(at + 2),
        _ => None,
    })
}

fn read(bytes: &Bytes, method: &Method) -> io::Result<Head> {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers);
    match status {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(wrong("the answer begins with an empty line")),
        Err(error) => return Err(wrong(&format!("the answer is no HTTP/1.1: {error}"))),
    }
    let mut response = Response::new(());
    let code = parsed.code.unwrap_or_default();
    *response.status_mut() = StatusCode::from_u16(code).map_err(|_| wrong("the answer has no status"))?;
    if let Some(reason) = parsed.reason
        && !reason.is_empty()
        && response.status().canonical_reason() != Some(reason)
        && let Ok(reason) = hyper::ext::ReasonPhrase::try_from(reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    *response.version_mut() = match parsed.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let map = response.headers_mut();
    map.reserve(parsed.headers.len() + 2);
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| wrong("a header has no valid name"))?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value))
            .map_err(|_| wrong("a header has no valid value"))?;
        map.append(name, value);
    }
    let (framing, keeps) = framing(&mut response, method)?;
    Ok(Head {
        response,
        framing,
        keeps,
    })
}

fn framing(response: &mut Response<()>, method: &Method) -> io::Result<(Framing, bool)> {
    let (status, version) = (response.status(), response.version());
    let headers = response.headers_mut();
    let mut keeps = keeps(headers, version);
    if *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((Framing::Length(0), keeps));
    }
    if status.is_informational() {
        return Ok((Framing::Length(0), keeps));
    }
    let length = length(headers)?;
    let Entry::Occupied(coding) = headers.entry(header::TRANSFER_ENCODING) else {
        return Ok(match length {
            Some(length) => (Framing::Length(length), keeps),
            None => (Framing::Close, false),
        });
    };
    if coding.iter().count() != 1 || !coding.get().as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Err(wrong("the answer has a transfer coding other than chunked"));
    }
    if length.is_some() {
        // Chunks win; what follows them on a connection whose server says both is not to be trusted.
        headers.remove(header::CONTENT_LENGTH);
        keeps = false;
    }
    Ok((Framing::Chunked, keeps && version == Version::HTTP_11))
}

fn keeps(headers: &HeaderMap, version: Version) -> bool {
    let says = |word: &str| {
        headers.get_all(header::CONNECTION).iter().any(|value| {
            let text = value.to_str().unwrap_or_default();
            text.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
        })
    };
    if version == Version::HTTP_10 {
        return says("keep-alive");
    }
    !headers.contains_key(header::CONNECTION) || !says("close")
}

/// The one length the answer tells, however often.
fn length(headers: &mut HeaderMap) -> io::Result<Option<u64>> {
    let mut found = None;
    let mut times = 0;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for part in value.as_bytes().split(|byte| *byte == b',') {
            let digits = std::str::from_utf8(part.trim_ascii()).unwrap_or_default();
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let length = digits.parse().ok().filter(|_| plain);
            let length: u64 = length.ok_or_else(|| wrong("the Content-Length of the answer is no number"))?;
            if found.is_some_and(|before| before != length) {
                return Err(wrong("the answer has two lengths"));
            }
            found = Some(length);
            times += 1;
        }
    }
    if let Some(length) = found.filter(|_| times > 1) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Ok(found)
}

/// Not what frames, routes or authorises (RFC 9110 section 6.5.1).
pub fn may_trail(name: &HeaderName) -> bool {
    !matches!(
        *name,
        header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::HOST
            | header::CONNECTION
            | header::TE
            | header::TRAILER
            | header::UPGRADE
            | header::AUTHORIZATION
            | header::COOKIE
            | header::SET_COOKIE
            | header::CONTENT_TYPE
            | header::CONTENT_ENCODING
            | header::CONTENT_RANGE
            | header::CACHE_CONTROL
    )
}

pub fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(text: &str, method: Method) -> Result<(Framing, bool), String> {
        let mut incoming = BytesMut::from(text);
        match parse(&mut incoming, &method, false) {
            Ok(Some(head)) => Ok((head.framing, head.keeps)),
            Ok(None) => Err("more".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn where_an_answer_ends() {
        let of = |head: &str| framed(&format!("HTTP/1.1 {head}\r\n\r\n"), Method::GET);
        assert_eq!(of("200 OK\r\nContent-Length: 5"), Ok((Framing::Length(5), true)));
        assert_eq!(of("200 OK\r\nContent-Length: 5, 5"), Ok((Framing::Length(5), true)));
        assert_eq!(of("200 OK\r\nTransfer-Encoding: Chunked"), Ok((Framing::Chunked, true)));
        assert_eq!(of("200 OK"), Ok((Framing::Close, false)));
        assert_eq!(
            of("204 No Content\r\nContent-Length: 5"),
            Ok((Framing::Length(0), true))
        );
        assert_eq!(
            of("304 Not Modified\r\nContent-Length: 5"),
            Ok((Framing::Length(0), true))
        );
        let close = "200 OK\r\nConnection: x, Close\r\nContent-Length: 5";
        assert_eq!(of(close), Ok((Framing::Length(5), false)));
        let head = framed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::HEAD);
        assert_eq!(head, Ok((Framing::Length(0), true)));
        let old = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(framed(old, Method::GET), Ok((Framing::Length(5), false)));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_or_not_kept() {
        let of = |head: &str| framed(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"), Method::GET);
        assert_eq!(
            of("Content-Length: 5\r\nTransfer-Encoding: chunked"),
            Ok((Framing::Chunked, false))
        );
        for head in [
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5, 6",
            "Content-Length: +5",
            "Content-Length: 0x5",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "X: a\r\n b",
        ] {
            assert!(of(head).is_err(), "{head:?}");
        }
    }

    #[test]
    fn interim_answers_are_passed_over_and_a_switch_unasked_is_refused() {
        let text = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        let mut incoming = BytesMut::from(text);
        let head = parse(&mut incoming, &Method::GET, false).expect("HTTP").expect("whole");
        assert_eq!((head.response.status(), &incoming[..]), (StatusCode::OK, &b"x"[..]));
        assert!(!head.response.headers().contains_key(header::LINK));
        let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n";
        assert!(framed(switch, Method::GET).is_err());
        assert!(parse(&mut BytesMut::from(switch), &Method::GET, true).is_ok_and(|head| head.is_some()));
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let mut incoming = BytesMut::from("HTTP/1.1 200 OK\r\n");
        assert!(parse(&mut incoming, &Method::GET, false).is_ok_and(|head| head.is_none()));
        incoming.extend_from_slice(&vec![b'x'; LONGEST]);
        assert!(parse(&mut incoming, &Method::GET, false).is_err());
    }
}
