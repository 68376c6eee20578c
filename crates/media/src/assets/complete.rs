//! `POST /v1/media/assets/{id}/complete`

use super::{Asset, store};
use crate::{Media, error, presign};
use axum::extract::State;
use foundation::Uuid;
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
    let client = media.pool.client().await?;
    let row = store::find(&client, id, &caller).await?;
    drop(client);
    let row = if row.ready {
        row
    } else {
        presign::finish(&media, id).await?.ok_or_else(error::not_uploaded)?
    };
    Ok(Json(Asset::of(&media, row)))
}
