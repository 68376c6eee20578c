//! What a visitor of a link gets: sent on and counted, a form for the password, a preview, or that there is nothing.

use super::{
    Slug,
    decide::{Decision, decide},
    link::{Link, Options},
    lookup::Domain,
    pages, target,
    visit::Visit,
};
use crate::{Links, clicks::Click, error, visitor::bot_reason};
use axum::response::{IntoResponse, Response};
use foundation::{Kind, Result};
use http::{HeaderValue, StatusCode, header, request::Parts};
use http_chassis::problem::Failure;
use postgres_chassis::translate;

pub async fn answer(
    links: &Links,
    domain: Option<&Domain>,
    name: &str,
    request: &Parts,
    password: Option<String>,
) -> Response {
    let outcome = follow(links, domain, name, request, password).await;
    match (outcome, domain.and_then(|domain| domain.not_found_url.as_deref())) {
        (Err(error), Some(elsewhere)) if error.kind == Kind::NotFound => {
            redirect(StatusCode::FOUND, target::location(elsewhere), None)
        }
        (outcome, _) => outcome.unwrap_or_else(|error| Failure(error).into_response()),
    }
}

async fn follow(
    links: &Links,
    domain: Option<&Domain>,
    name: &str,
    request: &Parts,
    password: Option<String>,
) -> Result<Response> {
    let (name, preview) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    let sensitive = domain.is_none_or(|domain| domain.case_sensitive);
    let slug = if sensitive {
        Slug::parse(name)
    } else {
        Slug::parse(&name.to_ascii_lowercase())
    };
    let slug = slug.ok_or_else(error::link_not_found)?;
    let link = links
        .lookup
        .find(domain, &slug)
        .await?
        .ok_or_else(error::link_not_found)?;
    let visit = Visit::of(
        &request.method,
        &request.uri,
        &request.headers,
        &request.extensions,
        &links.geo,
    );
    let Some(options) = &link.options else {
        if preview {
            return Ok(pages::preview(None, link.location.to_str().ok()));
        }
        count(links, &link, &visit, None, false).await?;
        return Ok(redirect(StatusCode::FOUND, Some(link.location.clone()), None));
    };
    let unlocked = match (&options.password_hash, password) {
        (Some(hash), Some(given)) if !preview => {
            if !unlock(links, &link, hash, given).await? {
                return Ok(pages::password(slug.as_str(), true));
            }
            true
        }
        _ => false,
    };
    match decide(&link, options, &visit, unlocked) {
        Decision::NotYet => Err(error::link_not_found()),
        Decision::Expired => expired(domain, options),
        _ if preview => {
            let target = options
                .password_hash
                .is_none()
                .then(|| link.location.to_str().ok())
                .flatten();
            Ok(pages::preview(options.title.as_deref(), target))
        }
        Decision::Password => Ok(pages::password(slug.as_str(), false)),
        Decision::Go { location, variant } => {
            if options.limited
                && visit.counts
                && bot_reason(visit.user_agent).is_none()
                && !take_place(links, &link).await?
            {
                return expired(domain, options);
            }
            count(links, &link, &visit, variant, options.strict).await?;
            let status = if unlocked { 303 } else { options.status };
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
            // Whoever was let in by a password is nobody's business, nor is what differs by visitor.
            let shared = !unlocked && options.rules.is_empty() && options.variants.is_empty() && !options.limited;
            Ok(redirect(
                status,
                Some(location),
                options.cache_seconds.filter(|_| shared),
            ))
        }
    }
}

async fn count(links: &Links, link: &Link, visit: &Visit<'_>, variant: Option<i16>, strict: bool) -> Result<()> {
    if !visit.counts {
        return Ok(());
    }
    let click = Click::of(link.id, visit, variant, &links.anonymiser);
    if strict {
        return links.clicks.record_durably(&click).await;
    }
    links.clicks.record(&click);
    Ok(())
}

/// One more of a limited link, if there is one left; exact over all copies.
async fn take_place(links: &Links, link: &Link) -> Result<bool> {
    let client = links.pool.client().await?;
    let taken = client
        .execute(
            "update links.links set limit_used = limit_used + 1 where id = $1 and (click_limit is null or limit_used < click_limit)",
            &[&link.id],
        )
        .await
        .map_err(|error| translate("taking a place of a limited link", error))?;
    Ok(taken > 0)
}

async fn unlock(links: &Links, link: &Link, hash: &str, given: String) -> Result<bool> {
    if !links.guesses.may(link.id) {
        return Err(error::too_many_guesses());
    }
    let right = links.hasher.verify(given, Some(hash.to_owned())).await?;
    if !right {
        links.guesses.wrong(link.id);
    }
    Ok(right)
}

fn expired(domain: Option<&Domain>, options: &Options) -> Result<Response> {
    let elsewhere = options
        .expired_url
        .as_deref()
        .or(domain.and_then(|domain| domain.expired_url.as_deref()));
    match elsewhere.and_then(target::location) {
        Some(location) => Ok(redirect(StatusCode::FOUND, Some(location), None)),
        None => Err(error::link_expired()),
    }
}

/// Every visit must come by here to be counted, unless the link asks for caching.
pub fn redirect(status: StatusCode, location: Option<HeaderValue>, cache_seconds: Option<u32>) -> Response {
    let Some(location) = location else {
        return Failure(error::link_not_found()).into_response();
    };
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    let cache = match cache_seconds {
        None => HeaderValue::from_static("no-store"),
        Some(seconds) => {
            HeaderValue::from_str(&format!("public, max-age={seconds}")).unwrap_or(HeaderValue::from_static("no-store"))
        }
    };
    headers.insert(header::CACHE_CONTROL, cache);
    response
}
