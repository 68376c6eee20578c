//! The redirects that need no waiting: a plain `GET` of a link in memory. The rest declines and goes through the router.

use super::{Slug, go_to, is_short_domain, record};
use crate::Links;
use axum::{extract::Request, response::Response};
use http::{Method, header};

/// `None`: not ours, or not known yet.
pub fn at_once(links: &Links, request: &Request) -> Option<Response> {
    if request.method() != Method::GET {
        return None;
    }
    let path = request.uri().path();
    let slug = match path.strip_prefix("/l/") {
        Some(slug) => slug,
        None if links.short_domains.is_empty() => return None,
        None => {
            let host = request.headers().get(header::HOST)?.to_str().ok()?;
            is_short_domain(links, host).then(|| path.strip_prefix('/'))??
        }
    };
    let link = links.lookup.known(&Slug::parse(slug)?)?;
    record(links, &link, request.headers(), request.extensions());
    Some(go_to(&link))
}
