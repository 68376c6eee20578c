//! `POST /v1/media/upload`: parse, row, sniff, store, row again; the bytes only pass through.

use crate::{
    Media,
    assets::{
        Asset, Visibility,
        store::{self, Arrived, AssetRow, NewAsset},
    },
    content_type, error, filename, sweep,
};
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use foundation::{Error, Principal, Result, Uuid, new_id};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use http_chassis::{auth::Caller, extract::Json, problem::Failure};
use multer::{Constraints, Field, Multipart, SizeLimit};
use objects::{Attributes, ByteStream, ObjectKey};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use utoipa::ToSchema;

/// The form around the file: boundaries, part headers, the other fields.
const FORM_OVERHEAD: u64 = 64 * 1024;

/// A `multipart/form-data` form.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct UploadForm {
    /// The file
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Default `public`
    visibility: Option<Visibility>,
}

/// Uploads one file.
#[utoipa::path(post, path = "/v1/media/upload", tag = "uploads",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Asset), (status = 400), (status = 401), (status = 413), (status = 415), (status = 422)))]
pub async fn upload(State(media): State<Media>, caller: Caller, request: Request) -> Result<Response, Failure> {
    let mut form = open_form(&media, request)?;
    let mut visibility = Visibility::default();
    let mut stored: Option<Stored> = None;
    let read = read_form(&media, &caller, &mut form, &mut visibility, &mut stored).await;
    let Some(stored) = stored else {
        read?;
        return Err(error::file_missing().into());
    };
    if let Err(error) = read {
        give_up(&media, stored.id, &stored.key).await;
        return Err(error.into());
    }
    let row = make_ready(&media, &stored, visibility).await?;
    let asset = Asset::of(&media, row);
    let location = format!("/v1/media/assets/{}", asset.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(asset)).into_response())
}

/// What is in the store, its row still pending.
struct Stored {
    id: Uuid,
    key: String,
    mime_type: String,
    size: u64,
    etag: String,
}

fn open_form(media: &Media, request: Request) -> Result<Multipart<'static>> {
    let (parts, body) = request.into_parts();
    let limit = media.settings.max_upload;
    if content_length(&parts.headers).is_some_and(|length| length > limit.saturating_add(FORM_OVERHEAD)) {
        return Err(error::too_large(limit));
    }
    let given = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(given.unwrap_or_default()).map_err(|_| error::not_multipart())?;
    let limits = SizeLimit::new().for_field("visibility", 64);
    let constraints = Constraints::new().size_limit(limits);
    Ok(Multipart::with_constraints(
        body.into_data_stream(),
        boundary,
        constraints,
    ))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_form(
    media: &Media,
    caller: &Principal,
    form: &mut Multipart<'static>,
    visibility: &mut Visibility,
    stored: &mut Option<Stored>,
) -> Result<()> {
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("file") if stored.is_some() => return Err(error::file_twice()),
            Some("file") => *stored = Some(store_file(media, caller, field).await?),
            Some("visibility") => {
                let text = field.text().await.map_err(broken)?;
                *visibility = Visibility::parse(text.trim())
                    .ok_or_else(|| error::invalid("visibility", "must be 'public' or 'private'"))?;
            }
            other => return Err(error::unknown_field(other.unwrap_or_default())),
        }
    }
    Ok(())
}

fn broken(cause: multer::Error) -> Error {
    error::malformed_multipart().caused_by(cause)
}

async fn store_file(media: &Media, caller: &Principal, mut field: Field<'static>) -> Result<Stored> {
    let name = filename::clean(field.file_name().unwrap_or_default());
    let declared = field.content_type().map(ToString::to_string);
    let head = read_head(&mut field).await?;
    if head.is_empty() {
        return Err(error::file_empty());
    }
    let mime_type = content_type::sniff(&head, declared.as_deref(), &name);
    let id = new_id();
    let key = ObjectKey::parse(&format!("{id}/{}", filename::for_key(&name)))?;
    let new = NewAsset {
        id,
        user_id: caller.user_id,
        filename: &name,
        key: key.as_str(),
        mime_type: Some(&mime_type),
        announced: None,
        visibility: Visibility::Private,
        expires_at: None,
    };
    let client = media.pool.client().await?;
    store::insert(&client, &new).await?;
    drop(client);
    let limit = media.settings.max_upload;
    let too_large = Arc::new(AtomicBool::new(false));
    let body = limited(head, field, limit, too_large.clone());
    let attributes = Attributes {
        content_type: Some(mime_type.clone()),
        ..Attributes::default()
    };
    match media.store.put(&key, &attributes, body).await {
        Ok(put) => Ok(Stored {
            id,
            key: key.as_str().to_owned(),
            mime_type,
            size: put.size,
            etag: put.etag,
        }),
        Err(cause) => {
            give_up(media, id, key.as_str()).await;
            Err(match cause.code {
                "BODY_INCOMPLETE" if too_large.load(Ordering::Relaxed) => error::too_large(limit),
                "BODY_INCOMPLETE" => error::malformed_multipart().caused_by(cause),
                _ => cause,
            })
        }
    }
}

/// As much as the type needs, or all there is.
async fn read_head(field: &mut Field<'static>) -> Result<Bytes> {
    let mut head = BytesMut::new();
    while head.len() < content_type::SNIFFED {
        match field.chunk().await.map_err(broken)? {
            Some(chunk) => head.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(head.freeze())
}

/// Ends in an error, and says so in `too_large`, as soon as there are more bytes than `limit`.
fn limited(head: Bytes, field: Field<'static>, limit: u64, too_large: Arc<AtomicBool>) -> ByteStream {
    let rest = field.map(|chunk| chunk.map_err(io::Error::other));
    let mut room = limit;
    stream::once(async move { Ok(head) })
        .chain(rest)
        .map(move |chunk| {
            let chunk = chunk?;
            match room.checked_sub(chunk.len() as u64) {
                Some(left) => room = left,
                None => {
                    too_large.store(true, Ordering::Relaxed);
                    return Err(io::Error::other("the file is larger than the limit"));
                }
            }
            Ok(chunk)
        })
        .boxed()
}

async fn make_ready(media: &Media, stored: &Stored, visibility: Visibility) -> Result<AssetRow> {
    let url = media.object_url(&stored.key);
    let arrived = Arrived {
        mime_type: &stored.mime_type,
        size: stored.size,
        etag: &stored.etag,
        visibility,
        public_url: (visibility == Visibility::Public).then_some(url.as_str()),
    };
    let client = media.pool.client().await?;
    let Some(row) = store::make_ready(&client, stored.id, &arrived).await? else {
        store::remove_object(&client, &stored.key, 0.0).await?;
        return Err(error::upload_took_too_long());
    };
    media.uploads.inc();
    media.uploaded_bytes.inc_by(stored.size);
    Ok(row)
}

/// What fails here, the sweeper does later.
async fn give_up(media: &Media, id: Uuid, key: &str) {
    let Ok(client) = media.pool.client().await else { return };
    if let Err(error) = store::remove(&client, id, None).await {
        tracing::warn!(cause = %error.chain(), "a failed upload is left to the sweeper");
        return;
    }
    drop(client);
    sweep::remove_object(media, key).await;
}
