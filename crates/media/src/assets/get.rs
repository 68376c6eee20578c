//! `GET /v1/media/assets/{id}`

use super::{Asset, store};
use crate::Media;
use axum::extract::State;
use foundation::Uuid;
use http_chassis::{
    auth::Caller,
    extract::{Json, Path},
    problem::Failure,
};

/// What is known of an asset.
#[utoipa::path(get, path = "/v1/media/assets/{id}", tag = "assets", params(("id" = Uuid, Path)),
    responses((status = 200, body = Asset), (status = 401), (status = 404)))]
pub async fn get(State(media): State<Media>, caller: Caller, Path(id): Path<Uuid>) -> Result<Json<Asset>, Failure> {
    let client = media.pool.client().await?;
    let row = store::find_ready(&client, id, &caller).await?;
    Ok(Json(Asset::of(&media, row)))
}
