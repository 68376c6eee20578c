//! `GET /v1/core/users`

use super::{User, store};
use crate::Core;
use axum::extract::State;
use foundation::{Page, PageRequest};
use http_chassis::{
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
}

#[derive(Serialize, ToSchema)]
pub struct Users {
    /// Newest first
    users: Vec<User>,
    /// Null on the last page
    next_cursor: Option<String>,
}

/// Lists all accounts.
#[utoipa::path(get, path = "/v1/core/users", tag = "users", params(Params),
    responses((status = 200, body = Users), (status = 401), (status = 403)))]
pub async fn list(State(core): State<Core>, Query(params): Query<Params>) -> Result<Json<Users>, Failure> {
    let request = PageRequest::parse(params.limit, params.cursor.as_deref())?;
    let client = core.pool.client().await?;
    let rows = store::list(&client, &request).await?;
    let page = Page::from_rows(rows, &request, |user| user.id);
    Ok(Json(Users {
        users: page.items,
        next_cursor: page.next_cursor,
    }))
}
