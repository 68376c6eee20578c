//! `DELETE /v1/media/assets/{id}`

use super::store;
use crate::{Media, presign, sweep};
use axum::extract::State;
use foundation::Uuid;
use http::StatusCode;
use http_chassis::{auth::Caller, extract::Path, problem::Failure};

/// Deletes an asset: the row now, the object right after it.
#[utoipa::path(delete, path = "/v1/media/assets/{id}", tag = "assets", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404)))]
pub async fn delete(State(media): State<Media>, caller: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let client = media.pool.client().await?;
    let row = store::find(&client, id, &caller).await?;
    let staged = presign::staging_key(id);
    if !store::remove(&client, id, (!row.ready).then_some(staged.as_str())).await? {
        return Err(crate::error::asset_not_found().into());
    }
    drop(client);
    // What fails here is tried again by the sweeper.
    sweep::remove_object(&media, &row.key).await;
    Ok(StatusCode::NO_CONTENT)
}
