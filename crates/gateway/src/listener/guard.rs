//! Watches the bytes of an HTTP/1 connection before the parser sees them, and tells what the parser would let pass: bare line
//! feeds, fragments in targets, `Content-Length` beside `Transfer-Encoding`, several hosts. It frames messages only to know where
//! the next head begins; it changes nothing. It also ends a connection whose head does not come to an end in time.

use super::Peer;
use memchr::memchr;
use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// What was wrong with a request's framing, as the code kept in [`Peer::verdict`].
pub const WRONGS: [&str; 6] = [
    "",
    "a line of the request head does not end with CR LF",
    "the request target has a fragment",
    "there are both Content-Length and Transfer-Encoding",
    "there is more than one Host header",
    "a header line begins with white space",
];

/// An answer up to this long is written in one piece.
const SMALL: usize = 1024;

/// So much of a head is read at once over TLS, and so much before it has begun.
const HEAD_READ: usize = 2 * 1024;
const FIRST_READ: usize = 512;

pub struct Guard<T> {
    io: T,
    peer: Arc<Peer>,
    scanner: Scanner,
    head_timeout: Duration,
    head_began: Option<Instant>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<T> Guard<T> {
    pub fn new(io: T, peer: Arc<Peer>, head_timeout: Duration) -> Self {
        Self {
            io,
            peer,
            scanner: Scanner::default(),
            head_timeout,
            head_began: Some(Instant::now()),
            deadline: None,
        }
    }
}

#[derive(Default)]
pub struct Scanner {
    at: At,
    line: Vec<u8>,
    head: Head,
    wrong: u8,
}

#[derive(Default, PartialEq)]
enum At {
    #[default]
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    Trailers,
    /// Switched protocols, or framing we leave to the parser to refuse.
    Blind,
}

#[derive(Default)]
struct Head {
    lines: usize,
    hosts: usize,
    length: Option<u64>,
    coded: bool,
    upgrade: bool,
}

impl Scanner {
    /// Looks at the next bytes; returns the code of what is wrong, 0 if nothing.
    pub fn see(&mut self, mut bytes: &[u8]) -> u8 {
        while !bytes.is_empty() {
            match self.at {
                At::Blind => break,
                At::Body(left) | At::ChunkData(left) => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = &bytes[usize::try_from(taken).unwrap_or(bytes.len())..];
                    self.at = match (&self.at, left - taken) {
                        (At::Body(_), 0) => At::Head,
                        (At::Body(_), left) => At::Body(left),
                        (_, 0) => At::ChunkSize,
                        (_, left) => At::ChunkData(left),
                    };
                }
                At::Head | At::ChunkSize | At::Trailers => match memchr(b'\n', bytes) {
                    None => {
                        // The parser has a limit of its own on heads; we only must not grow without end.
                        if self.line.len() > 128 * 1024 {
                            self.at = At::Blind;
                        }
                        self.line.extend_from_slice(bytes);
                        break;
                    }
                    Some(end) if self.line.is_empty() => {
                        self.line_ends(&bytes[..end]);
                        bytes = &bytes[end + 1..];
                    }
                    Some(end) => {
                        let mut line = std::mem::take(&mut self.line);
                        line.extend_from_slice(&bytes[..end]);
                        self.line_ends(&line);
                        bytes = &bytes[end + 1..];
                    }
                },
            }
        }
        self.wrong
    }

    /// Whether a head has begun and not ended.
    pub fn in_head(&self) -> bool {
        self.at == At::Head && (self.head.lines > 0 || !self.line.is_empty())
    }

    fn line_ends(&mut self, line: &[u8]) {
        let Some(line) = line.strip_suffix(b"\r") else {
            return self.note(1);
        };
        if memchr(b'\r', line).is_some() {
            return self.note(1);
        }
        match self.at {
            At::Head => self.head_line(line),
            At::ChunkSize => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let size = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
                self.at = match size {
                    Some(0) => At::Trailers,
                    Some(size) => At::ChunkData(size.saturating_add(2)),
                    None => At::Blind,
                };
            }
            _ if line.is_empty() => self.at = At::Head,
            _ => {}
        }
    }

    fn head_line(&mut self, line: &[u8]) {
        if line.is_empty() {
            if self.head.lines > 0 {
                self.head_ends();
            }
            return;
        }
        self.head.lines += 1;
        if self.head.lines == 1 {
            if memchr(b'#', line).is_some() {
                self.note(2);
            }
            return;
        }
        if matches!(line[0], b' ' | b'\t') {
            return self.note(5);
        }
        let colon = memchr(b':', line).unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        // The lengths of the four names that matter here keep most headers from being compared at all.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.head.hosts += 1,
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.head.upgrade = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.head.length = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.trim().parse().ok())
                    .or(Some(0));
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.head.coded = true,
            _ => {}
        }
    }

    fn head_ends(&mut self) {
        let head = std::mem::take(&mut self.head);
        if head.coded && head.length.is_some() {
            self.note(3);
        }
        if head.hosts > 1 {
            self.note(4);
        }
        self.at = match head.length {
            _ if head.upgrade => At::Blind,
            _ if head.coded => At::ChunkSize,
            Some(length) if length > 0 => At::Body(length),
            _ => At::Head,
        };
    }

    fn note(&mut self, wrong: u8) {
        if self.wrong == 0 {
            self.wrong = wrong;
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guard<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = self.read(cx, buf);
        if polled.is_pending() {
            return self.watch_the_clock(cx);
        }
        if self.scanner.at != At::Blind {
            let wrong = self.scanner.see(&buf.filled()[before..]);
            if wrong != 0 {
                self.peer.verdict.store(wrong, Relaxed);
            }
        }
        if self.scanner.in_head() {
            self.head_began.get_or_insert_with(Instant::now);
        } else {
            self.head_began = None;
            self.deadline = None;
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> Guard<T> {
    /// TLS clears all the room it is given. While a request is awaited that is little, so that an idle connection stays small.
    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.peer.tls || self.scanner.at != At::Head {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let most = if self.scanner.in_head() { HEAD_READ } else { FIRST_READ };
        let most = buf.remaining().min(most);
        let mut room = ReadBuf::new(buf.initialize_unfilled_to(most));
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut room);
        let read = room.filled().len();
        buf.advance(read);
        polled
    }
}

impl<T> Guard<T> {
    /// A head that has begun must end in time; silence between requests is the server's business.
    fn watch_the_clock(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(began) = self.head_began else {
            return Poll::Pending;
        };
        let until = began + self.head_timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the request head took too long",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One small write costs the kernel less than a gathered one.
        let total = bufs.iter().map(|part| part.len()).sum::<usize>();
        if total > SMALL {
            return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        }
        let (mut small, mut filled) = ([0; SMALL], 0);
        for part in bufs {
            small[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
        }
        Pin::new(&mut self.io).poll_write(cx, &small[..filled])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &str, wrong: u8) {
        let whole = Scanner::default().see(stream.as_bytes());
        assert_eq!(whole, wrong, "{stream:?}");
        let mut by_byte = Scanner::default();
        let last = stream.as_bytes().iter().map(|byte| by_byte.see(&[*byte])).last();
        assert_eq!(last, Some(wrong), "byte by byte: {stream:?}");
    }

    #[test]
    fn honest_requests_pass_one_after_another() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0);
        check(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na\nb\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            0,
        );
        check(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            0,
        );
    }

    #[test]
    fn what_parsers_disagree_about_is_seen() {
        check("GET / HTTP/1.1\nHost: a\n\n", 1);
        check("GET / HTTP/1.1\r\nHost: a\n\r\n", 1);
        check("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 1);
        check("GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", 2);
        check(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            3,
        );
        check("GET / HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n", 4);
        check("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 5);
        check(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            4,
        );
    }
}
