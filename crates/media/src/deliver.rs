//! An asset's bytes as an HTTP answer: validators, conditions, ranges, and nothing that runs on our hosts.

use crate::{Media, assets::store::AssetRow, content_type, error, range};
use axum::{body::Body, response::Response};
use foundation::Error;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_chassis::problem::Failure;
use objects::ObjectKey;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use range::Chosen;
use time::{
    OffsetDateTime, format_description::BorrowedFormatItem, format_description::well_known::Rfc2822,
    macros::format_description,
};

/// What stays as it is in a URL's path.
pub const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Everybody,
    Owner,
}

pub async fn deliver(
    media: &Media,
    row: AssetRow,
    method: &Method,
    request: &HeaderMap,
    audience: Audience,
) -> Result<Response, Failure> {
    let etag = format!(
        "\"{}\"",
        row.etag.clone().unwrap_or_else(|| row.id.simple().to_string())
    );
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), &row, &etag, audience)?;
    match unmet(request, &etag, row.created_at) {
        Some(StatusCode::NOT_MODIFIED) => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        Some(_) => return Err(error::changed().into()),
        None => {}
    }
    let asked = text(request, header::RANGE).filter(|_| range_still_holds(request, &etag, row.created_at));
    let chosen = range::choose(asked, row.size);
    let (status, part) = match chosen {
        Chosen::Whole => (StatusCode::OK, 0..row.size),
        Chosen::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Chosen::Outside => return Ok(outside(row.size)),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    set(headers, header::CONTENT_LENGTH, &(part.end - part.start).to_string())?;
    if status == StatusCode::PARTIAL_CONTENT {
        let content_range = format!("bytes {}-{}/{}", part.start, part.end - 1, row.size);
        set(headers, header::CONTENT_RANGE, &content_range)?;
    }
    if method != Method::HEAD {
        let key = ObjectKey::parse(&row.key)?;
        let wanted = (status == StatusCode::PARTIAL_CONTENT).then_some(part);
        let found = media.store.get(&key, wanted).await?;
        let (_, stream) = found.ok_or_else(error::object_not_found)?;
        *response.body_mut() = Body::from_stream(stream);
    }
    Ok(response)
}

fn describe(headers: &mut HeaderMap, row: &AssetRow, etag: &str, audience: Audience) -> Result<(), Error> {
    set(headers, header::CONTENT_TYPE, &row.mime_type)?;
    set(headers, header::ETAG, etag)?;
    set(headers, header::ACCEPT_RANGES, "bytes")?;
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
    if let Ok(date) = row.created_at.to_offset(time::UtcOffset::UTC).format(HTTP_DATE) {
        set(headers, header::LAST_MODIFIED, &date)?;
    }
    match audience {
        Audience::Everybody => {
            set(headers, header::CACHE_CONTROL, "public, max-age=31536000, immutable")?;
            set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")?;
        }
        Audience::Owner => set(headers, header::CACHE_CONTROL, "private, no-cache")?,
    }
    let kind = if content_type::is_active(&row.mime_type) {
        set(headers, header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")?;
        "attachment"
    } else {
        "inline"
    };
    // RFC 6266 and RFC 8187.
    let name = utf8_percent_encode(&row.filename, NON_ALPHANUMERIC);
    set(
        headers,
        header::CONTENT_DISPOSITION,
        &format!("{kind}; filename*=UTF-8''{name}"),
    )
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), Error> {
    let value = HeaderValue::from_str(value).map_err(|error| Error::internal("writing a header", error))?;
    headers.insert(name, value);
    Ok(())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// RFC 9110 section 13.2.2: the status of the first condition that is not met.
fn unmet(request: &HeaderMap, etag: &str, modified: OffsetDateTime) -> Option<StatusCode> {
    let since = |name| text(request, name).and_then(|value| OffsetDateTime::parse(value, &Rfc2822).ok());
    let modified = modified.unix_timestamp();
    let strong = text(request, header::IF_MATCH);
    let fails = match strong {
        Some(list) => !names(list, etag),
        None => since(header::IF_UNMODIFIED_SINCE).is_some_and(|at| modified > at.unix_timestamp()),
    };
    if fails {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    let unchanged = match text(request, header::IF_NONE_MATCH) {
        Some(list) => names(list, etag),
        None => since(header::IF_MODIFIED_SINCE).is_some_and(|at| modified <= at.unix_timestamp()),
    };
    unchanged.then_some(StatusCode::NOT_MODIFIED)
}

fn names(list: &str, etag: &str) -> bool {
    list.trim() == "*" || list.split(',').any(|one| one.trim().trim_start_matches("W/") == etag)
}

/// `If-Range` takes a strong validator or the exact date.
fn range_still_holds(request: &HeaderMap, etag: &str, modified: OffsetDateTime) -> bool {
    let Some(given) = text(request, header::IF_RANGE) else {
        return true;
    };
    let date = OffsetDateTime::parse(given, &Rfc2822).ok();
    given == etag || date.is_some_and(|at| at.unix_timestamp() == modified.unix_timestamp())
}

/// 416 with the size, as section 15.5.17 wants it.
fn outside(size: u64) -> Response {
    use axum::response::IntoResponse;
    let mut response = Failure(error::range_not_satisfiable(size)).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: HeaderName, value: &'static str, expected: Option<StatusCode>) {
        let mut headers = HeaderMap::new();
        headers.insert(&name, HeaderValue::from_static(value));
        assert_eq!(
            unmet(&headers, "\"a\"", OffsetDateTime::UNIX_EPOCH),
            expected,
            "{name}: {value}"
        );
    }

    #[test]
    fn conditions_hold_as_the_rfc_says() {
        let unchanged = Some(StatusCode::NOT_MODIFIED);
        check(header::IF_NONE_MATCH, "\"b\", W/\"a\"", unchanged);
        check(header::IF_NONE_MATCH, "*", unchanged);
        check(header::IF_NONE_MATCH, "\"b\"", None);
        check(header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:00 GMT", unchanged);
        check(header::IF_MODIFIED_SINCE, "Wed, 31 Dec 1969 23:59:59 GMT", None);
        check(header::IF_MATCH, "\"b\"", Some(StatusCode::PRECONDITION_FAILED));
        check(header::IF_MATCH, "\"a\"", None);
    }
}
