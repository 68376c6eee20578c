//! `POST /v1/media/presign`, and how what was PUT becomes an asset.
//!
//! The client writes to a staging key. Finishing copies it to the asset's own key, which no presigned URL can write: what was
//! measured and sniffed is what is served.

use crate::{
    Media,
    assets::{
        Visibility,
        store::{self, Arrived, AssetRow, NewAsset},
    },
    content_type, error, filename,
};
use axum::extract::State;
use foundation::{Result, Uuid, new_id};
use futures_util::StreamExt;
use http_chassis::{auth::Caller, extract::Json, problem::Failure};
use objects::{Meta, ObjectKey};
use postgres_chassis::translate;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

const VALID_S: u64 = 15 * 60;
const POLL: Duration = Duration::from_secs(2);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresignRequest {
    filename: String,
    /// Signed: the PUT must carry it
    content_type: Option<String>,
    /// Bytes; signed as Content-Length
    size: Option<i64>,
    #[serde(default)]
    visibility: Visibility,
}

#[derive(Serialize, ToSchema)]
pub struct Presigned {
    /// The asset it will be
    id: Uuid,
    url: String,
    key: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: OffsetDateTime,
    method: &'static str,
    /// To be sent as they are
    headers: BTreeMap<String, String>,
}

/// A URL to PUT one file to, straight into the store, for 15 minutes.
#[utoipa::path(post, path = "/v1/media/presign", tag = "uploads", request_body = PresignRequest,
    responses((status = 200, body = Presigned), (status = 401), (status = 413), (status = 422)))]
pub async fn presign(
    State(media): State<Media>,
    caller: Caller,
    Json(request): Json<PresignRequest>,
) -> Result<Json<Presigned>, Failure> {
    check(&media, &request)?;
    let id = new_id();
    let name = filename::clean(&request.filename);
    let key = ObjectKey::parse(&format!("{id}/{}", filename::for_key(&name)))?;
    let expires_at = OffsetDateTime::now_utc() + Duration::from_secs(VALID_S);
    let new = NewAsset {
        id,
        user_id: caller.user_id,
        filename: &name,
        key: key.as_str(),
        mime_type: request.content_type.as_deref(),
        announced: request.size,
        visibility: request.visibility,
        expires_at: Some(expires_at),
    };
    let client = media.pool.client().await?;
    store::insert(&client, &new).await?;
    let signed = [
        request.content_type.map(|given| ("content-type".to_owned(), given)),
        request
            .size
            .map(|given| ("content-length".to_owned(), given.to_string())),
    ];
    let staged = ObjectKey::parse(&staging_key(id))?;
    let presigned = media
        .store
        .presign_put(&staged, signed.into_iter().flatten().collect(), VALID_S);
    Ok(Json(Presigned {
        id,
        url: presigned.url,
        key: key.as_str().to_owned(),
        expires_at,
        method: "PUT",
        headers: presigned.headers.into_iter().collect(),
    }))
}

fn check(media: &Media, request: &PresignRequest) -> Result<()> {
    if request.filename.trim().is_empty() {
        return Err(error::invalid("filename", "must not be empty"));
    }
    let printable =
        |text: &str| !text.is_empty() && text.len() <= 255 && text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
    if request
        .content_type
        .as_deref()
        .is_some_and(|given| !printable(given) || !given.contains('/'))
    {
        return Err(error::invalid("content_type", "must be a media type"));
    }
    match request.size.map(u64::try_from) {
        Some(Err(_) | Ok(0)) => Err(error::invalid("size", "must be a positive number of bytes")),
        Some(Ok(size)) if size > media.settings.max_upload => Err(error::too_large(media.settings.max_upload)),
        _ => Ok(()),
    }
}

/// Where the client writes.
pub fn staging_key(id: Uuid) -> String {
    format!("incoming/{id}")
}

/// Makes it ready if the object is there; `None` if it is not, or somebody else has just done it and it went again.
///
/// # Errors
/// `UPLOAD_TOO_LARGE`, `SIZE_DIFFERS`, `FILE_EMPTY`: the upload is refused and gone.
pub async fn finish(media: &Media, id: Uuid) -> Result<Option<AssetRow>> {
    let staged = ObjectKey::parse(&staging_key(id))?;
    if media.store.head(&staged).await?.is_none() {
        return Ok(None);
    }
    let told = |error| translate("finishing an upload", error);
    let mut client = media.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    let Some(row) = store::lock_presigned(&transaction, id).await? else {
        return Ok(None);
    };
    let key = ObjectKey::parse(&row.key)?;
    media.store.copy(&staged, &key).await?;
    let Some(meta) = media.store.head(&key).await? else {
        return Ok(None);
    };
    if let Some(refused) = refusal(media, &row, &meta) {
        store::remove(&transaction, id, Some(staged.as_str())).await?;
        transaction.commit().await.map_err(told)?;
        return Err(refused);
    }
    let mime_type = sniff(media, &key, &row, &meta).await?;
    let url = media.object_url(key.as_str());
    let arrived = Arrived {
        mime_type: &mime_type,
        size: meta.size,
        etag: &meta.etag,
        visibility: row.visibility,
        public_url: (row.visibility == Visibility::Public).then_some(url.as_str()),
    };
    let ready = store::make_ready(&transaction, id, &arrived).await?;
    // The URL may be used again until it expires.
    store::remove_object(&transaction, staged.as_str(), (VALID_S + 300) as f64).await?;
    transaction.commit().await.map_err(told)?;
    media.uploads.inc();
    media.uploaded_bytes.inc_by(meta.size);
    Ok(ready)
}

fn refusal(media: &Media, row: &AssetRow, meta: &Meta) -> Option<foundation::Error> {
    if meta.size == 0 {
        return Some(error::file_empty());
    }
    if meta.size > media.settings.max_upload {
        return Some(error::too_large(media.settings.max_upload));
    }
    let announced = row
        .announced
        .filter(|announced| u64::try_from(*announced) != Ok(meta.size))?;
    Some(error::size_differs(announced, meta.size))
}

async fn sniff(media: &Media, key: &ObjectKey, row: &AssetRow, meta: &Meta) -> Result<String> {
    let part = 0..meta.size.min(content_type::SNIFFED as u64);
    let (_, mut stream) = media
        .store
        .get(key, Some(part))
        .await?
        .ok_or_else(error::not_uploaded)?;
    let mut head = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| foundation::Error::internal("reading an upload", error))?;
        head.extend_from_slice(&chunk);
    }
    Ok(content_type::sniff(
        &head,
        meta.attributes.content_type.as_deref(),
        &row.filename,
    ))
}

/// Finishes what arrived without a word; several copies share the work.
pub async fn watch(media: Media, stop: CancellationToken) {
    let landed = media.store.landed();
    loop {
        if let Err(error) = poll(&media).await {
            tracing::warn!(cause = %error.chain(), "presigned uploads could not be looked at");
        }
        let told = async {
            match &landed {
                Some(landed) => landed.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = told => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn poll(media: &Media) -> Result<()> {
    let client = media.pool.client().await?;
    let ids = store::claim_presigned(&client).await?;
    drop(client);
    for id in ids {
        match finish(media, id).await {
            Ok(Some(_)) => tracing::info!(asset = %id, "a presigned upload became an asset"),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(asset = %id, code = error.code, cause = %error.chain(), "a presigned upload was not accepted")
            }
        }
    }
    Ok(())
}
