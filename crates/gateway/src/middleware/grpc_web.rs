//! grpcWeb: gRPC for browsers, who can neither read trailers nor speak HTTP/2 at will. The request becomes plain gRPC; the trailers of
//! the answer become the last frame of its body (the gRPC-Web protocol, PROTOCOL-WEB of grpc).

use super::{Flow, Note};
use crate::{answer, exchange::Exchange, model::middleware};
use axum::{body::Body, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body::Frame;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

const PREFIX: &str = "application/grpc-web";
/// The flag of a frame that holds trailers.
const TRAILERS: u8 = 0x80;
const EXPOSED: HeaderValue = HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin");

pub struct GrpcWeb {
    /// `*` allows every one.
    origins: Vec<String>,
}

/// How the client speaks.
pub struct Spoken {
    text: bool,
    content_type: HeaderValue,
    origin: Option<HeaderValue>,
}

impl GrpcWeb {
    pub fn compile(config: &middleware::GrpcWeb) -> Self {
        Self {
            origins: config.allow_origins.clone().unwrap_or_default(),
        }
    }

    pub fn request(&self, place: usize, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
        let origin = self.allowed(request.headers());
        if is_preflight(request) {
            return Flow::Answer(preflight(request.headers(), origin));
        }
        let Some(content_type) = spoken(request) else {
            return Flow::On;
        };
        let text = content_type.as_bytes().starts_with(b"application/grpc-web-text");
        let format = content_type.to_str().unwrap_or_default().split_once('+');
        let plain = format.map_or("application/grpc".to_owned(), |(_, format)| {
            format!("application/grpc+{format}")
        });
        let headers = request.headers_mut();
        if let Ok(plain) = HeaderValue::from_str(&plain) {
            headers.insert(header::CONTENT_TYPE, plain);
        }
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.remove(header::CONTENT_LENGTH);
        if text {
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::new(Decoded {
                body,
                left: BytesMut::new(),
            });
        }
        exchange.notes.push((
            place,
            Note::GrpcWeb(Box::new(Spoken {
                text,
                content_type,
                origin,
            })),
        ));
        Flow::On
    }

    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let known = |allowed: &String| allowed == "*" || allowed.as_bytes() == origin.as_bytes();
        self.origins.iter().any(known).then(|| origin.clone())
    }
}

pub fn response(place: usize, response: Response, exchange: &mut Exchange) -> Response {
    let Some(Note::GrpcWeb(spoken)) = exchange.take_note(place) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    let is_grpc = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if let Some(origin) = spoken.origin {
        parts.headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        parts.headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        parts.headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if !is_grpc {
        return Response::from_parts(parts, body);
    }
    parts.headers.insert(header::CONTENT_TYPE, spoken.content_type);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::TRAILER);
    let framed = Framed {
        body,
        text: spoken.text,
        ended: false,
    };
    Response::from_parts(parts, Body::new(framed))
}

fn spoken(request: &Request<Body>) -> Option<HeaderValue> {
    let content_type = request.headers().get(header::CONTENT_TYPE)?;
    let is_web = content_type.as_bytes().starts_with(PREFIX.as_bytes());
    (is_web && *request.method() == Method::POST).then(|| content_type.clone())
}

fn is_preflight(request: &Request<Body>) -> bool {
    let text = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    *request.method() == Method::OPTIONS
        && text(header::ACCESS_CONTROL_REQUEST_METHOD) == Some("POST")
        && text(header::ACCESS_CONTROL_REQUEST_HEADERS).is_some_and(|names| {
            names
                .split(',')
                .any(|name| name.trim().eq_ignore_ascii_case("x-grpc-web"))
        })
}

fn preflight(asked: &HeaderMap, origin: Option<HeaderValue>) -> Response {
    let mut response = answer::text(StatusCode::NO_CONTENT, "");
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    let Some(origin) = origin else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}

/// A body in base64, decoded as it comes; pieces may be padded anywhere.
struct Decoded {
    body: Body,
    left: BytesMut,
}

impl Decoded {
    /// What can be decoded of `left` so far.
    fn take(&mut self) -> Result<Bytes, axum::Error> {
        let mut out = BytesMut::new();
        while self.left.len() >= 4 {
            let group = self.left.split_to(4);
            let bytes = STANDARD.decode(&group).map_err(axum::Error::new)?;
            out.extend_from_slice(&bytes);
        }
        Ok(out.freeze())
    }
}

impl http_body::Body for Decoded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(frame) => frame?,
                None if self.left.is_empty() => return Poll::Ready(None),
                None => {
                    self.left.clear();
                    let error = axum::Error::new("the body's base64 is cut off");
                    return Poll::Ready(Some(Err(error)));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            self.left.extend(data.iter().filter(|byte| !byte.is_ascii_whitespace()));
            let bytes = self.take()?;
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
    }
}

/// The answer's body, its trailers at its end.
struct Framed {
    body: Body,
    text: bool,
    ended: bool,
}

impl http_body::Body for Framed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
            self.ended = true;
            return Poll::Ready(None);
        };
        let bytes = match frame?.into_data() {
            Ok(data) => data,
            Err(frame) => {
                self.ended = true;
                match frame.into_trailers() {
                    Ok(trailers) => last_frame(&trailers),
                    Err(_) => return Poll::Ready(None),
                }
            }
        };
        let bytes = match self.text {
            true => Bytes::from(STANDARD.encode(&bytes)),
            false => bytes,
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

fn last_frame(trailers: &HeaderMap) -> Bytes {
    let mut lines = BytesMut::new();
    for (name, value) in trailers {
        lines.put_slice(name.as_str().as_bytes());
        lines.put_slice(b": ");
        lines.put_slice(value.as_bytes());
        lines.put_slice(b"\r\n");
    }
    let mut frame = BytesMut::with_capacity(lines.len() + 5);
    frame.put_u8(TRAILERS);
    frame.put_u32(u32::try_from(lines.remaining()).unwrap_or(u32::MAX));
    frame.put(lines);
    frame.freeze()
}
