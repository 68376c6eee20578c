//! `GET /l/{slug}`: look the slug up in memory, write the click down, send the visitor on.

mod at_once;
mod lookup;
mod slug;

pub use at_once::at_once;
pub use lookup::{Link, Lookup};
pub use slug::Slug;

use crate::{
    Links,
    clicks::{Click, Visitor},
    error,
};
use axum::{
    extract::{ConnectInfo, Path, Request, State},
    response::{IntoResponse, Response},
};
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_chassis::problem::Failure;
use std::net::{IpAddr, SocketAddr};

/// Follows a short link. A `HEAD` is a look, not a click.
#[utoipa::path(get, path = "/l/{slug}", tag = "redirect", params(("slug" = String, Path)),
    responses((status = 302, description = "Location is the link's target"), (status = 404), (status = 503)))]
pub async fn follow(State(links): State<Links>, Path(slug): Path<String>, request: Request) -> Response {
    go(&links, &slug, &request.into_parts().0).await
}

/// `GET /{slug}` on a short domain.
pub async fn follow_on_short_domain(
    State(links): State<Links>,
    Path(slug): Path<String>,
    request: Request,
) -> Response {
    let request = request.into_parts().0;
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri.host().or(host).unwrap_or_default();
    if !is_short_domain(&links, host) {
        return Failure(error::nothing_here()).into_response();
    }
    go(&links, &slug, &request).await
}

async fn go(links: &Links, slug: &str, request: &Parts) -> Response {
    let Some(slug) = Slug::parse(slug) else {
        return Failure(error::link_not_found()).into_response();
    };
    let link = match links.lookup.find(&slug).await {
        Ok(Some(link)) => link,
        Ok(None) => return Failure(error::link_not_found()).into_response(),
        Err(error) => return Failure(error).into_response(),
    };
    if request.method == Method::GET {
        record(links, &link, &request.headers, &request.extensions);
    }
    go_to(&link)
}

/// `host` may have a port.
fn is_short_domain(links: &Links, host: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let mut domains = links.short_domains.iter();
    domains.any(|domain| domain.eq_ignore_ascii_case(host))
}

fn record(links: &Links, link: &Link, headers: &HeaderMap, extensions: &Extensions) {
    links.clicks.record(&Click::now(link.id, visitor(headers, extensions)));
}

fn go_to(link: &Link) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, link.location.clone());
    // Every visit must come by here to be counted.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The gateway in front has replaced what the outside said with what it knows.
fn visitor<'a>(headers: &'a HeaderMap, extensions: &Extensions) -> Visitor<'a> {
    let told = text(headers, "x-real-ip").and_then(|ip| ip.parse().ok());
    let peer = || extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let ip: Option<IpAddr> = told.or_else(peer);
    let country = text(headers, "cf-ipcountry").filter(|code| is_country(code));
    Visitor {
        ip: ip.map(|ip| ip.to_canonical()),
        user_agent: text(headers, "user-agent"),
        referer: text(headers, "referer"),
        country,
    }
}

/// ISO 3166-1 alpha-2; Cloudflare says XX for unknown and T1 for Tor.
fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()) && code != "XX"
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
