//! `GET /v1/media/assets/{id}/content`

use super::store;
use crate::{
    Media,
    deliver::{self, Audience},
};
use axum::{extract::State, response::Response};
use foundation::Uuid;
use http::{HeaderMap, Method};
use http_chassis::{auth::Caller, extract::Path, problem::Failure};

/// Streams an asset; ranges and conditional requests as in RFC 9110.
#[utoipa::path(get, path = "/v1/media/assets/{id}/content", tag = "assets", params(("id" = Uuid, Path)),
    responses((status = 200), (status = 206), (status = 304), (status = 401), (status = 404), (status = 416)))]
pub async fn content(
    State(media): State<Media>,
    caller: Caller,
    Path(id): Path<Uuid>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let client = media.pool.client().await?;
    let row = store::find_ready(&client, id, &caller).await?;
    drop(client);
    deliver::deliver(&media, row, &method, &headers, Audience::Owner).await
}
