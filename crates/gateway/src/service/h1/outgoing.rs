//! A request on its way to a server: its head as text, its body frame by frame.

use axum::body::Body;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, header, request::Parts};
use http_body::Body as _;
use std::{
    io::{self, IoSlice, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// Pieces up to this long are copied behind what waits already; larger ones are written from where they are.
const COPIED: usize = 8 * 1024;
/// Room for text that is kept between requests.
const KEPT: usize = 4 * 1024;

#[derive(Default)]
pub struct Outgoing {
    /// To be written, and how much of it is.
    text: Vec<u8>,
    written: usize,
    /// Comes after the text, and the tail after it.
    piece: Bytes,
    tail: &'static [u8],
    body: Option<Body>,
    coding: Coding,
    /// A part of the body is gone from it.
    touched: bool,
    broken: Option<Broken>,
    /// The request asks for another protocol.
    pub switches: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Broken {
    ByClient,
    ByServer,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Coding {
    #[default]
    None,
    /// So much is announced and still to come.
    Length(u64),
    Chunked,
}

impl Outgoing {
    pub fn begin(&mut self, parts: &Parts, body: Body) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.shrink_to(KEPT);
        let coding = coding(&parts.headers, &body);
        write_head(&mut text, parts, coding);
        *self = Self {
            text,
            body: (coding != Coding::None).then_some(body),
            coding,
            switches: parts.headers.contains_key(header::UPGRADE),
            ..Self::default()
        };
    }

    pub fn is_broken_by_client(&self) -> bool {
        self.broken == Some(Broken::ByClient)
    }

    /// All of it is with the server.
    pub fn is_done(&self) -> bool {
        self.broken.is_none() && self.body.is_none() && !self.is_waiting()
    }

    /// The body, if nothing of it was taken: it can be sent again.
    pub fn untouched_body(&mut self) -> Option<Body> {
        let body = self.body.take();
        (!self.touched && self.broken != Some(Broken::ByClient)).then(|| body.unwrap_or_else(Body::empty))
    }

    /// Writes what there is.
    ///
    /// # Errors
    /// Either side broke off. After that nothing is sent any more.
    pub fn poll_send<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, wire: &mut W) -> Poll<io::Result<()>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut more = Poll::Ready(true);
            // A small body that is there already leaves with its head.
            while more == Poll::Ready(true) && self.piece.is_empty() && self.text.len() <= COPIED {
                more = match self.poll_piece(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(more)) => Poll::Ready(more),
                    Poll::Ready(Err(error)) => {
                        self.broken = Some(Broken::ByClient);
                        return Poll::Ready(Err(error));
                    }
                };
            }
            if let Err(error) = ready!(self.poll_write(cx, wire)) {
                self.broken = Some(Broken::ByServer);
                return Poll::Ready(Err(error));
            }
            if !ready!(more) {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn is_waiting(&self) -> bool {
        self.written < self.text.len() || !self.piece.is_empty() || !self.tail.is_empty()
    }

    fn poll_write<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, wire: &mut W) -> Poll<io::Result<()>> {
        if !self.is_waiting() {
            return Poll::Ready(Ok(()));
        }
        while self.is_waiting() {
            let text = &self.text[self.written..];
            let count = if self.piece.is_empty() && self.tail.is_empty() {
                ready!(Pin::new(&mut *wire).poll_write(cx, text))?
            } else {
                let all = [IoSlice::new(text), IoSlice::new(&self.piece), IoSlice::new(self.tail)];
                ready!(Pin::new(&mut *wire).poll_write_vectored(cx, &all))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
        }
        self.text.clear();
        self.written = 0;
        // TLS keeps records back until asked.
        Pin::new(wire).poll_flush(cx)
    }

    fn advance(&mut self, count: usize) {
        let of_text = count.min(self.text.len() - self.written);
        self.written += of_text;
        let of_piece = (count - of_text).min(self.piece.len());
        self.piece.advance(of_piece);
        self.tail = &self.tail[count - of_text - of_piece..];
    }

    /// Takes the next frame of the body; `false` when there is none left.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Ok(false));
        };
        let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
            return Poll::Ready(self.end(&HeaderMap::new()));
        };
        self.touched = true;
        let frame = frame.map_err(io::Error::other)?;
        Poll::Ready(match frame.into_data() {
            Ok(data) => self.data(data),
            Err(frame) => self.end(&frame.into_trailers().unwrap_or_default()),
        })
    }

    fn data(&mut self, data: Bytes) -> io::Result<bool> {
        if data.is_empty() {
            return Ok(true);
        }
        match &mut self.coding {
            Coding::Length(left) => {
                let over = || io::Error::other("the body is longer than was announced");
                *left = left.checked_sub(data.len() as u64).ok_or_else(over)?;
                if *left == 0 {
                    self.body = None;
                }
            }
            Coding::Chunked | Coding::None => {
                // Writing to a Vec cannot fail.
                let _ = write!(self.text, "{:x}\r\n", data.len());
                self.tail = b"\r\n";
            }
        }
        if data.len() > COPIED {
            self.piece = data;
        } else {
            self.text.extend_from_slice(&data);
            self.text.extend_from_slice(std::mem::take(&mut self.tail));
        }
        Ok(true)
    }

    fn end(&mut self, trailers: &HeaderMap) -> io::Result<bool> {
        self.body = None;
        match self.coding {
            Coding::Length(0) => {}
            Coding::Length(_) => return Err(io::Error::other("the body is shorter than was announced")),
            Coding::Chunked | Coding::None => {
                self.text.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.iter().filter(|(name, _)| super::head::may_trail(name)) {
                    line(&mut self.text, name.as_str(), value.as_bytes());
                }
                self.text.extend_from_slice(b"\r\n");
            }
        }
        Ok(true)
    }
}

/// How the server is told where the body ends.
fn coding(headers: &HeaderMap, body: &Body) -> Coding {
    if body.is_end_stream() {
        return Coding::None;
    }
    let announced = || headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    match body.size_hint().exact().or_else(announced) {
        Some(length) => Coding::Length(length),
        None => Coding::Chunked,
    }
}

fn write_head(text: &mut Vec<u8>, parts: &Parts, coding: Coding) {
    text.extend_from_slice(parts.method.as_str().as_bytes());
    text.push(b' ');
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    text.extend_from_slice(target.as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    let mut length_told = false;
    for (name, value) in &parts.headers {
        // What frames the body is said once, below.
        if *name == header::CONTENT_LENGTH {
            length_told = true;
        } else if *name != header::TRANSFER_ENCODING {
            line(text, name.as_str(), value.as_bytes());
        }
    }
    let expects_one = length_told || [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
    match coding {
        Coding::Chunked => line(text, "transfer-encoding", b"chunked"),
        Coding::Length(length) => line(text, "content-length", length.to_string().as_bytes()),
        Coding::None if expects_one => line(text, "content-length", b"0"),
        Coding::None => {}
    }
    text.extend_from_slice(b"\r\n");
}

fn line(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}
