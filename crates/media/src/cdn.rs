//! `GET /cdn/{key}`, and `/{key}` on the CDN host: public objects, for everybody and for ever.

use crate::{
    Media,
    assets::store,
    deliver::{self, Audience},
    error,
};
use axum::{extract::State, response::Response};
use http::{HeaderMap, Method, Uri, header};
use http_chassis::{extract::Path, problem::Failure};

/// A public object.
#[utoipa::path(get, path = "/cdn/{*key}", tag = "cdn", params(("key" = String, Path)),
    responses((status = 200), (status = 206), (status = 304), (status = 404), (status = 416)))]
pub async fn fetch(
    State(media): State<Media>,
    Path(key): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    serve(&media, &key, &method, &headers).await
}

/// Everything else on the CDN host is a key.
pub async fn fetch_on_domain(
    State(media): State<Media>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let key = match &media.settings.cdn_domain {
        Some(domain) if host(&uri, &headers).eq_ignore_ascii_case(domain) => uri.path().trim_start_matches('/'),
        _ => return Err(error::nothing_here().into()),
    };
    if !matches!(method, Method::GET | Method::HEAD) {
        return Err(error::method_not_allowed().into());
    }
    let key = percent_encoding::percent_decode_str(key)
        .decode_utf8_lossy()
        .into_owned();
    serve(&media, &key, &method, &headers).await
}

fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    let header = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let given = uri.host().or(header).unwrap_or("");
    given.rsplit_once(':').map_or(given, |(host, _)| host)
}

async fn serve(media: &Media, key: &str, method: &Method, headers: &HeaderMap) -> Result<Response, Failure> {
    let client = media.pool.client().await?;
    let row = store::find_public(&client, key)
        .await?
        .ok_or_else(error::object_not_found)?;
    drop(client);
    deliver::deliver(media, row, method, headers, Audience::Everybody).await
}
