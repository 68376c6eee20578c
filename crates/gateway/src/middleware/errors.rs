//! errors: answers with certain statuses get another service's page for their body.

use super::Note;
use crate::{
    answer,
    exchange::{Exchange, set_target},
    model,
    service::Service,
};
use axum::{body::Body, response::Response};
use http::{HeaderMap, Request, StatusCode, header};
use std::sync::Arc;

pub struct Errors {
    ranges: Vec<(u16, u16)>,
    rewrites: Vec<((u16, u16), u16)>,
    service: Arc<Service>,
    query: String,
}

/// The request's headers and URL, for the page's service.
pub struct Asked {
    headers: HeaderMap,
    url: String,
}

impl Errors {
    /// # Errors
    /// A status range is none.
    pub fn compile(config: &model::middleware::Errors, service: Arc<Service>) -> Result<Self, String> {
        let rewrites = config.status_rewrites.iter().flatten();
        Ok(Self {
            ranges: config
                .status
                .iter()
                .flatten()
                .map(|text| range(text))
                .collect::<Result<_, _>>()?,
            rewrites: rewrites
                .map(|(text, status)| Ok((range(text)?, *status)))
                .collect::<Result<_, String>>()?,
            service,
            query: config.query.clone().unwrap_or_default(),
        })
    }

    pub fn request(&self, place: usize, request: &Request<Body>, exchange: &mut Exchange) {
        let mut headers = request.headers().clone();
        for name in [
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::UPGRADE,
            header::CONNECTION,
        ] {
            headers.remove(name);
        }
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let url = format!("{}://{host}{target}", exchange.scheme);
        exchange
            .notes
            .push((place, Note::Errors(Box::new(Asked { headers, url }))));
    }

    pub async fn response(&self, place: usize, response: Response, exchange: &mut Exchange) -> Response {
        let Some(Note::Errors(asked)) = exchange.take_note(place) else {
            return response;
        };
        let original = response.status().as_u16();
        let within = |(from, to): &(u16, u16)| (*from..=*to).contains(&original);
        if !self.ranges.iter().any(within) {
            return response;
        }
        let status = self
            .rewrites
            .iter()
            .find(|(range, _)| within(range))
            .map_or(original, |(_, status)| *status);
        let target = self
            .query
            .replace("{status}", &status.to_string())
            .replace("{originalStatus}", &original.to_string());
        let target = target.replace("{url}", &escaped(&asked.url));
        let mut request = Request::new(Body::empty());
        *request.headers_mut() = asked.headers;
        let target = if target.starts_with('/') {
            target
        } else {
            format!("/{target}")
        };
        if set_target(&mut request, target).is_none() {
            return response;
        }
        let mut aside = exchange.aside();
        let mut page = self.service.call(request, &mut aside).await;
        match StatusCode::from_u16(status) {
            Ok(status) => *page.status_mut() = status,
            Err(_) => return answer::problem(&answer::no_route(), exchange),
        }
        page
    }
}

pub fn range(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("'{text}' is no status or range of statuses");
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let read = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
    Ok((read(from)?, read(to)?))
}

/// As a value in a query.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
