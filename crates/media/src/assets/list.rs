//! `GET /v1/media/assets`

use super::{Asset, store};
use crate::Media;
use axum::extract::State;
use foundation::{Page, PageRequest, Uuid};
use http_chassis::{
    auth::Caller,
    extract::{Json, Query},
    problem::Failure,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Params {
    /// 1 to 200, default 50
    limit: Option<u32>,
    /// `next_cursor` of the page before
    cursor: Option<String>,
    /// Administrators: the assets of this user; without it, of all
    user_id: Option<Uuid>,
}

#[derive(Serialize, ToSchema)]
pub struct Assets {
    assets: Vec<Asset>,
    /// Null on the last page
    next_cursor: Option<String>,
}

/// Lists your assets, newest first.
#[utoipa::path(get, path = "/v1/media/assets", tag = "assets", params(Params),
    responses((status = 200, body = Assets), (status = 400), (status = 401)))]
pub async fn list(
    State(media): State<Media>,
    caller: Caller,
    Query(params): Query<Params>,
) -> Result<Json<Assets>, Failure> {
    let request = PageRequest::parse(params.limit, params.cursor.as_deref())?;
    let owner = if caller.is_admin() {
        params.user_id
    } else {
        Some(caller.user_id)
    };
    let client = media.pool.client().await?;
    let rows = store::list(&client, owner, &request).await?;
    let page = Page::from_rows(rows, &request, |row| row.id);
    let assets = page.items.into_iter().map(|row| Asset::of(&media, row)).collect();
    Ok(Json(Assets {
        assets,
        next_cursor: page.next_cursor,
    }))
}
