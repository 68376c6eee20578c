//! compress: gzip, brotli and zstd, as the client prefers. Events keep flowing: a server-sent-events stream is never touched.

use super::{Flow, Note};
use crate::{exchange::Exchange, model};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body::{Body as _, Frame};
use std::{
    io::Write,
    pin::Pin,
    task::{Context, Poll, ready},
};

pub struct Compress {
    included: Vec<String>,
    excluded: Vec<String>,
    least: u64,
    encodings: Vec<Encoding>,
    default: Option<Encoding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    Brotli,
    Zstd,
}

/// What the client accepts, found on the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Encode(Encoding),
    /// Anything: the answer stays as it is, but depends on the header.
    Anything,
}

impl Encoding {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "gzip" => Some(Self::Gzip),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

impl Compress {
    /// # Errors
    /// Options that exclude each other, or an unknown encoding.
    pub fn compile(config: &model::middleware::Compress) -> Result<Self, String> {
        let types = |list: &Option<Vec<String>>| {
            list.iter()
                .flatten()
                .map(|kind| kind.to_ascii_lowercase())
                .collect::<Vec<_>>()
        };
        let (included, excluded) = (
            types(&config.included_content_types),
            types(&config.excluded_content_types),
        );
        if !included.is_empty() && !excluded.is_empty() {
            return Err("includedContentTypes and excludedContentTypes exclude each other".into());
        }
        let parse = |name: &String| Encoding::parse(name).ok_or_else(|| format!("unknown encoding '{name}'"));
        let encodings = match &config.encodings {
            Some(names) => names.iter().map(parse).collect::<Result<_, _>>()?,
            None => vec![Encoding::Gzip, Encoding::Brotli, Encoding::Zstd],
        };
        Ok(Self {
            included,
            excluded,
            least: config.min_response_body_bytes.unwrap_or(1024),
            encodings,
            default: config.default_encoding.as_ref().map(parse).transpose()?,
        })
    }

    pub fn request(&self, place: usize, request: &Request<Body>, exchange: &mut Exchange) -> Flow {
        if *request.method() != Method::HEAD
            && !exchange.upgrade
            && let Some(wish) = self.wish(request.headers().get(header::ACCEPT_ENCODING))
        {
            exchange.notes.push((place, Note::Compress(wish)));
        }
        Flow::On
    }

    fn wish(&self, accept: Option<&HeaderValue>) -> Option<Wish> {
        let Some(accept) = accept.and_then(|value| value.to_str().ok()) else {
            return self.default.map(|_| Wish::Anything);
        };
        let mut best: Option<(f32, usize)> = None;
        let mut anything = false;
        for part in accept.split(',') {
            let (name, quality) = part
                .split_once(";q=")
                .or_else(|| part.split_once("; q="))
                .unwrap_or((part, "1"));
            let quality: f32 = quality.trim().parse().unwrap_or(0.0);
            if quality <= 0.0 {
                continue;
            }
            anything |= name.trim() == "*";
            let place = self
                .encodings
                .iter()
                .position(|encoding| encoding.name() == name.trim());
            if let Some(place) = place
                && best.is_none_or(|(known, at)| quality > known || (quality >= known && place < at))
            {
                best = Some((quality, place));
            }
        }
        match best {
            Some((_, place)) => Some(Wish::Encode(self.encodings[place])),
            None => anything.then_some(Wish::Anything),
        }
    }

    pub async fn response(&self, place: usize, response: Response, exchange: &mut Exchange) -> Response {
        let Some(Note::Compress(wish)) = exchange.take_note(place) else {
            return response;
        };
        let (mut parts, body) = response.into_parts();
        parts
            .headers
            .append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        let Wish::Encode(encoding) = wish else {
            return Response::from_parts(parts, body);
        };
        let bodyless = matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS
        );
        if bodyless
            || parts.headers.contains_key(header::CONTENT_ENCODING)
            || !self.fits(parts.headers.get(header::CONTENT_TYPE))
        {
            return Response::from_parts(parts, body);
        }
        let body = match body.size_hint().exact() {
            Some(size) if size < self.least => return Response::from_parts(parts, body),
            Some(_) => body,
            None => match first(body, self.least).await {
                Begun::Whole(bytes) => return Response::from_parts(parts, Body::from(bytes)),
                Begun::More(_, body) => body,
            },
        };
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::ACCEPT_RANGES);
        parts
            .headers
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        match Encoder::new(encoding) {
            Ok(encoder) => Response::from_parts(
                parts,
                Body::new(Compressing {
                    body,
                    encoder: Some(encoder),
                }),
            ),
            Err(_) => {
                parts.headers.remove(header::CONTENT_ENCODING);
                Response::from_parts(parts, body)
            }
        }
    }

    fn fits(&self, kind: Option<&HeaderValue>) -> bool {
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if matches!(kind.as_str(), "application/grpc" | "text/event-stream") {
            return false;
        }
        if self.included.is_empty() {
            !self.excluded.contains(&kind)
        } else {
            self.included.contains(&kind)
        }
    }
}

pub enum Begun {
    Whole(Bytes),
    /// What was read, and a body that begins with it.
    More(Bytes, Body),
}

/// Reads until it is clear whether the body is long enough to be worth it.
pub async fn first(mut body: Body, least: u64) -> Begun {
    let mut begun = Vec::new();
    let more = |begun: Vec<u8>, body| {
        let begun = Bytes::from(begun);
        Begun::More(
            begun.clone(),
            Body::new(Prefixed {
                first: Some(begun),
                body,
            }),
        )
    };
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    begun.extend_from_slice(&data);
                }
                if begun.len() as u64 >= least {
                    return more(begun, body);
                }
            }
            None => return Begun::Whole(begun.into()),
            // The error comes again when the rest is read.
            Some(Err(_)) => return more(begun, body),
        }
    }
}

struct Prefixed {
    first: Option<Bytes>,
    body: Body,
}

impl http_body::Body for Prefixed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => Pin::new(&mut self.body).poll_frame(cx),
        }
    }
}

enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(encoding: Encoding) -> std::io::Result<Self> {
        Ok(match encoding {
            Encoding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(5))),
            Encoding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20))),
            Encoding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 3)?),
        })
    }

    /// Takes a part; what it gives is flushed, so that a slow stream stays a stream.
    fn push(&mut self, data: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Brotli(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    fn end(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

struct Compressing {
    body: Body,
    encoder: Option<Encoder>,
}

impl http_body::Body for Compressing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let made = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => match &mut self.encoder {
                        Some(encoder) => encoder.push(&data),
                        None => return Poll::Ready(None),
                    },
                    // Trailers go with the encoding they were computed for.
                    Err(_) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => match self.encoder.take() {
                    Some(encoder) => encoder.end(),
                    None => return Poll::Ready(None),
                },
            };
            match made {
                Ok(bytes) if bytes.is_empty() && self.encoder.is_some() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
                Err(error) => return Poll::Ready(Some(Err(axum::Error::new(error)))),
            }
        }
    }
}
