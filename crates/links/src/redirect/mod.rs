//! `GET /l/{slug}`: look the slug up in memory, write the click down, send the visitor on.

mod answer;
mod at_once;
mod decide;
mod guesses;
pub mod link;
mod lookup;
pub mod pages;
pub mod rule;
mod slug;
mod snapshot;
pub mod target;
mod visit;

pub use at_once::at_once;
pub use guesses::Guesses;
pub use lookup::{Domain, Lookup};
pub use slug::Slug;
pub use visit::Visit;

use crate::{Links, error};
use axum::{
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use foundation::{Error, Kind};
use http::{StatusCode, header, request::Parts};
use http_chassis::{extract, problem::Failure};
use std::sync::Arc;

/// Longer than any password that argon2 should be bothered with.
const FORM_LIMIT: usize = 4 * 1024;

/// Follows a short link. A `HEAD` is a look, not a click; `+` after the slug shows where it leads.
#[utoipa::path(get, path = "/l/{slug}", tag = "redirect", params(("slug" = String, Path)),
    responses((status = 302, description = "Location is the link's target"), (status = 200, description = "A page: the preview, or the form of a password"),
              (status = 404), (status = 410, description = "The link has expired"), (status = 503)))]
pub async fn follow(State(links): State<Links>, Path(slug): Path<String>, request: Request) -> Response {
    answer::answer(&links, None, &slug, &request.into_parts().0, None).await
}

/// The answer of a password's form.
#[utoipa::path(post, path = "/l/{slug}", tag = "redirect", params(("slug" = String, Path)),
    responses((status = 303, description = "Location is the link's target"), (status = 403, description = "The form again"),
              (status = 404), (status = 410), (status = 429, description = "Too many wrong passwords"), (status = 503)))]
pub async fn unlock(State(links): State<Links>, Path(slug): Path<String>, request: Request) -> Response {
    post(&links, None, &slug, request).await
}

/// `GET /{slug}` on a short domain.
pub async fn follow_on_short_domain(
    State(links): State<Links>,
    Path(slug): Path<String>,
    request: Request,
) -> Response {
    let request = request.into_parts().0;
    match short_domain(&links, &request) {
        Some(domain) => answer::answer(&links, domain.as_deref(), &slug, &request, None).await,
        None => Failure(error::nothing_here()).into_response(),
    }
}

pub async fn unlock_on_short_domain(
    State(links): State<Links>,
    Path(slug): Path<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    match short_domain(&links, &parts) {
        Some(domain) => post(&links, domain.as_deref(), &slug, request).await,
        None => Failure(error::nothing_here()).into_response(),
    }
}

/// `GET /` on a short domain.
pub async fn root(State(links): State<Links>, request: Request) -> Response {
    let request = request.into_parts().0;
    let domain = short_domain(&links, &request).flatten();
    match domain.and_then(|domain| target::location(domain.root_url.as_deref()?)) {
        Some(location) => answer::redirect(StatusCode::FOUND, Some(location), None),
        None => Failure(error::nothing_here()).into_response(),
    }
}

/// `Some(None)` for a host of the settings that has no row.
fn short_domain(links: &Links, request: &Parts) -> Option<Option<Arc<Domain>>> {
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri.host().or(host).unwrap_or_default();
    let domain = links.lookup.domain(name(host));
    (configured(links, host) || domain.is_some()).then_some(domain)
}

/// Without the port.
fn name(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Whether it is a short domain by the settings.
fn configured(links: &Links, host: &str) -> bool {
    let host = name(host);
    let mut domains = links.short_domains.iter();
    domains.any(|domain| domain.eq_ignore_ascii_case(host))
}

async fn post(links: &Links, domain: Option<&Domain>, slug: &str, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let form = match extract::read(body, FORM_LIMIT).await {
        Ok(form) => form,
        Err(error) => return Failure(error).into_response(),
    };
    let password = url::form_urlencoded::parse(&form).find(|(name, _)| name == "password");
    match password {
        Some((_, password)) => answer::answer(links, domain, slug, &parts, Some(password.into_owned())).await,
        None => {
            let message = "The form has no field 'password'";
            Failure(Error::new(Kind::Malformed, "PASSWORD_MISSING", message)).into_response()
        }
    }
}
