//! buffering: bodies are read whole before they go on, and refused above a size.

use super::Flow;
use crate::{answer, exchange::Exchange};
use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use foundation::{Error, Kind};
use http::{Request, StatusCode, header};
use http_body::Body as _;

pub struct Buffering {
    /// Bytes; `None` is no limit.
    pub request: Option<usize>,
    pub response: Option<usize>,
}

impl Buffering {
    pub async fn request(&self, request: &mut Request<Body>, exchange: &Exchange) -> Flow {
        let Some(limit) = self.request else { return Flow::On };
        if request.body().is_end_stream() {
            return Flow::On;
        }
        let body = std::mem::take(request.body_mut());
        match to_bytes(body, limit).await {
            Ok(bytes) => {
                request.headers_mut().remove(header::TRANSFER_ENCODING);
                request.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
                *request.body_mut() = Body::from(bytes);
                Flow::On
            }
            Err(_) => {
                let error = Error::new(
                    Kind::TooLarge,
                    "BODY_TOO_LARGE",
                    format!("The body is larger than {limit} bytes"),
                );
                Flow::Answer(answer::problem(&error, exchange))
            }
        }
    }

    pub async fn response(&self, response: Response, exchange: &Exchange) -> Response {
        let Some(limit) = self.response else { return response };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        let (parts, body) = response.into_parts();
        match to_bytes(body, limit).await {
            Ok(bytes) => Response::from_parts(parts, Body::from(bytes)),
            Err(error) => answer::problem(
                &Error::internal("the answer is larger than configured", error),
                exchange,
            ),
        }
    }
}
