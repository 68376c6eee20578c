//! A body in chunks (RFC 9112 section 7.1), read strictly: what is not written as the grammar says ends the connection.

use super::head::{may_trail, wrong};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use memchr::{memchr, memmem};
use std::io;

const LONGEST_SIZE_LINE: usize = 4 * 1024;
const LONGEST_TRAILERS: usize = 32 * 1024;
const MOST_TRAILERS: usize = 64;

#[derive(Debug, Default, PartialEq, Eq)]
pub enum Chunked {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Over,
}

impl Chunked {
    /// The next frame that is there; with `None` either more must be read or it is over.
    ///
    /// # Errors
    /// This is not how chunks are written.
    pub fn decode(&mut self, incoming: &mut BytesMut) -> io::Result<Option<Frame<Bytes>>> {
        loop {
            match self {
                Self::Size => match memchr(b'\n', incoming) {
                    None if incoming.len() > LONGEST_SIZE_LINE => return Err(wrong("a chunk's size is too long")),
                    None => return Ok(None),
                    Some(end) => {
                        *self = match size(&incoming.split_to(end + 1))? {
                            0 => Self::Trailers,
                            size => Self::Data(size),
                        };
                    }
                },
                Self::Data(_) if incoming.is_empty() => return Ok(None),
                Self::Data(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(incoming.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Some(Frame::data(incoming.split_to(taken).freeze())));
                }
                Self::DataEnd if incoming.len() < 2 => return Ok(None),
                Self::DataEnd => {
                    if &incoming.split_to(2)[..] != b"\r\n" {
                        return Err(wrong("a chunk is longer than its size"));
                    }
                    *self = Self::Size;
                }
                Self::Trailers => {
                    let Some(trailers) = trailers(incoming)? else {
                        return Ok(None);
                    };
                    *self = Self::Over;
                    if !trailers.is_empty() {
                        return Ok(Some(Frame::trailers(trailers)));
                    }
                }
                Self::Over => return Ok(None),
            }
        }
    }
}

fn size(line: &[u8]) -> io::Result<u64> {
    let not = || wrong("a chunk's size is no number");
    let line = line.strip_suffix(b"\r\n").ok_or_else(not)?;
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits.trim_ascii_end()).map_err(|_| not())?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| plain).ok_or_else(not)
}

fn trailers(incoming: &mut BytesMut) -> io::Result<Option<HeaderMap>> {
    if incoming.starts_with(b"\r\n") {
        drop(incoming.split_to(2));
        return Ok(Some(HeaderMap::new()));
    }
    let Some(end) = memmem::find(incoming, b"\r\n\r\n") else {
        return if incoming.len() > LONGEST_TRAILERS {
            Err(wrong("the trailers are too long"))
        } else {
            Ok(None)
        };
    };
    let text = incoming.split_to(end + 4).freeze();
    let mut lines = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    let Ok(httparse::Status::Complete((_, lines))) = httparse::parse_headers(&text, &mut lines) else {
        return Err(wrong("the trailers are no headers"));
    };
    let mut map = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| wrong("a trailer has no valid name"))?;
        let value = HeaderValue::from_maybe_shared(text.slice_ref(line.value))
            .map_err(|_| wrong("a trailer has no valid value"))?;
        if may_trail(&name) {
            map.append(name, value);
        }
    }
    Ok(Some(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &[u8], piece: usize) -> io::Result<(Vec<u8>, HeaderMap, bool)> {
        let (mut state, mut incoming) = (Chunked::default(), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
        for part in text.chunks(piece) {
            incoming.extend_from_slice(part);
            while let Some(frame) = state.decode(&mut incoming)? {
                match frame.into_data() {
                    Ok(bytes) => data.extend_from_slice(&bytes),
                    Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
                }
            }
        }
        Ok((data, trailers, state == Chunked::Over && incoming.is_empty()))
    }

    #[test]
    fn chunks_come_together_however_they_are_cut() {
        let text = b"4;x=y\r\nab\r\n\r\n00a \r\n0123456789\r\n0\r\nX-Sum: 7\r\nHost: evil\r\n\r\n";
        for piece in 1..text.len() {
            let (data, trailers, over) = decode(text, piece).expect("chunks");
            assert_eq!(data, b"ab\r\n0123456789");
            assert!(over && trailers.len() == 1 && trailers["x-sum"] == "7");
        }
        let (data, trailers, over) = decode(b"0\r\n\r\n", 1).expect("chunks");
        assert!(data.is_empty() && trailers.is_empty() && over);
    }

    #[test]
    fn what_is_not_written_as_chunks_is_refused() {
        for text in [
            &b"4\nabcd\r\n0\r\n\r\n"[..],
            b"+4\r\nabcd\r\n0\r\n\r\n",
            b"0x4\r\nabcd\r\n0\r\n\r\n",
            b"\r\nabcd",
            b"4\r\nabcde\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\nno header\r\n\r\n",
        ] {
            assert!(decode(text, 1).is_err() && decode(text, 1000).is_err(), "{text:?}");
        }
        assert!(decode(&[b'1'; LONGEST_SIZE_LINE + 2], 7).is_err());
    }
}
