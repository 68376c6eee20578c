//! `POST /v1/media/assets/{id}/complete`

use super::{Asset, store};
use crate::{Media, error, presign};
use axum::extract::State;
use foundation::{Result, Uuid};
use http_chassis::{
    auth::Caller,
    extract::{Json, Path},
    problem::Failure,
};

/// Makes a presigned upload an asset now, instead of within ten seconds.
#[utoipa::path(post, path = "/v1/media/assets/{id}/complete", tag = "uploads", params(("id" = Uuid, Path)),
    responses((status = 200, body = Asset), (status = 401), (status = 404),
              (status = 409, description = "The file has not arrived"), (status = 413), (status = 422)))]
pub async fn complete(
    State(media): State<Media>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Asset>, Failure> {
    let mut row = find(&media, id, &caller).await?;
    if !row.ready {
        row = match presign::finish(&media, id).await? {
            Some(finished) => finished,
            // The watcher, or another copy, may have finished it in this very moment.
            None => find(&media, id, &caller).await?,
        };
    }
    if !row.ready {
        return Err(error::not_uploaded().into());
    }
    Ok(Json(Asset::of(&media, row)))
}

async fn find(media: &Media, id: Uuid, caller: &Caller) -> Result<store::AssetRow> {
    store::find(&media.pool.client().await?, id, caller).await
}
