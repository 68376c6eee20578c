//! The redirects that need no waiting: a plain `GET` of a link in memory that only leads somewhere. The rest declines and goes
//! through the router.

use super::{Slug, Visit, answer, configured};
use crate::{Links, clicks::Click};
use axum::{extract::Request, response::Response};
use http::{Method, StatusCode, header};

/// `None`: not ours, not known yet, or more than a plain link.
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
            // A domain of its own has more to say than this knows.
            let plain = configured(links, host) && links.lookup.domain(super::name(host)).is_none();
            plain.then(|| path.strip_prefix('/'))??
        }
    };
    let link = links.lookup.at_hand(&Slug::parse(slug)?)?;
    if link.options.is_some() {
        return None;
    }
    let (headers, extensions) = (request.headers(), request.extensions());
    let visit = Visit::of(request.method(), request.uri(), headers, extensions, &links.geo);
    if visit.counts {
        let click = Click::of(link.id, &visit, None, &links.anonymiser);
        links.clicks.record(&click);
    }
    Some(answer::redirect(StatusCode::FOUND, Some(link.location.clone()), None))
}
