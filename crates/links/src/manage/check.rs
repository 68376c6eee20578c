//! `POST /v1/links/links/{id}/check` and `/v1/links/page`: whether a target still answers, and what its page calls itself.

use super::store;
use crate::{
    Links, error,
    fetch::{Page, read_page},
};
use axum::extract::State;
use foundation::{Result, Uuid};
use http::header;
use http_chassis::{
    auth::Caller,
    extract::{Json, Path},
    problem::Failure,
};
use postgres_chassis::translate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Checked {
    /// Whether the target answered below 400
    alive: bool,
    status: Option<i32>,
    error: Option<String>,
}

/// Asks the target once, and keeps what it said on the link.
#[utoipa::path(post, path = "/v1/links/links/{id}/check", tag = "links", params(("id" = Uuid, Path)),
    responses((status = 200, body = Checked), (status = 401), (status = 404)))]
pub async fn check(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<Json<Checked>, Failure> {
    let link = store::find(&links.pool.client().await?, &who, id, &links.public_url).await?;
    // No connection is held while a stranger takes its time.
    let fetched = links.fetch.get(&link.target_url).await;
    let status = fetched.as_ref().ok().map(|fetched| i32::from(fetched.status.as_u16()));
    let error = fetched.err();
    links
        .pool
        .client()
        .await?
        .execute(
            "update links.links set checked_at = now(), check_status = $2, check_error = $3 where id = $1",
            &[&id, &status, &error],
        )
        .await
        .map_err(|error| translate("keeping a check", error))?;
    let alive = status.is_some_and(|status| status < 400);
    Ok(Json(Checked { alive, status, error }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    url: String,
}

/// Title, description and picture of a page, to name a link by.
#[utoipa::path(post, path = "/v1/links/page", tag = "links", request_body = Address,
    responses((status = 200, body = Page), (status = 401), (status = 422)))]
pub async fn page(
    State(links): State<Links>,
    _who: Caller,
    Json(address): Json<Address>,
) -> Result<Json<Page>, Failure> {
    let fetched = links.fetch.get(&address.url).await;
    let fetched = fetched.map_err(|why| error::invalid("url", format!("cannot be fetched: {why}")))?;
    let kind = fetched
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if !kind.to_ascii_lowercase().contains("html") {
        return Err(error::invalid("url", format!("is no page: {} answered '{kind}'", fetched.url)).into());
    }
    Ok(Json(read_page(&String::from_utf8_lossy(&fetched.body))))
}
