//! `/v1/links/folders`: list, make, change, delete.

use super::access::{EDITED, SEEN, caller, may_give_to};
use crate::{Links, error};
use axum::extract::State;
use foundation::{Result, Uuid, new_id};
use http::StatusCode;
use http_chassis::{
    auth::Caller,
    extract::{Json, Path},
    problem::Failure,
};
use postgres_chassis::{Row, constraint, translate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Folder {
    id: Uuid,
    user_id: Uuid,
    organization_id: Option<Uuid>,
    name: String,
}

#[derive(Serialize, ToSchema)]
pub struct Folders {
    folders: Vec<Folder>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFolder {
    organization_id: Option<Uuid>,
    name: String,
}

/// `null` takes back
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderChanges {
    name: Option<String>,
}

const FOLDER_COLUMNS: &str = "t.id, t.user_id, t.organization_id, t.name";

fn from_row(row: &Row) -> Folder {
    Folder {
        id: row.get(0),
        user_id: row.get(1),
        organization_id: row.get(2),
        name: row.get(3),
    }
}

fn refused(error: tokio_postgres::Error) -> foundation::Error {
    match constraint(&error) {
        Some(name) if name.ends_with("_fkey") => error::invalid("id", "is in use by links; change those first"),
        Some(_) => error::invalid("name", "must have 1 to 200 characters"),
        None => translate("writing folder", error),
    }
}

/// Lists yours and those of your organisations.
#[utoipa::path(get, path = "/v1/links/folders", tag = "folders", responses((status = 200, body = Folders), (status = 401)))]
pub async fn list(State(links): State<Links>, who: Caller) -> Result<Json<Folders>, Failure> {
    let statement = format!("select {FOLDER_COLUMNS} from links.folders t where {SEEN} order by t.name, t.id");
    let rows = links.pool.client().await?.query(&statement, &[&caller(&who)]).await;
    let rows = rows.map_err(|error| translate("listing folders", error))?;
    Ok(Json(Folders {
        folders: rows.iter().map(from_row).collect(),
    }))
}

/// Makes one.
#[utoipa::path(post, path = "/v1/links/folders", tag = "folders", request_body = NewFolder,
    responses((status = 201, body = Folder), (status = 401), (status = 403), (status = 422)))]
pub async fn create(
    State(links): State<Links>,
    who: Caller,
    Json(new): Json<NewFolder>,
) -> Result<(StatusCode, Json<Folder>), Failure> {
    let client = links.pool.client().await?;
    may_give_to(&client, &who, new.organization_id).await?;
    let statement = format!(
        "insert into links.folders as t (id, user_id, organization_id, name) values ($1, $2, $3, $4) returning {FOLDER_COLUMNS}"
    );
    let row = client
        .query_one(&statement, &[&new_id(), &who.user_id, &new.organization_id, &new.name])
        .await
        .map_err(refused)?;
    Ok((StatusCode::CREATED, Json(from_row(&row))))
}

/// Changes what is sent.
#[utoipa::path(patch, path = "/v1/links/folders/{id}", tag = "folders", params(("id" = Uuid, Path)), request_body = FolderChanges,
    responses((status = 200, body = Folder), (status = 401), (status = 404), (status = 422)))]
pub async fn update(
    State(links): State<Links>,
    who: Caller,
    Path(id): Path<Uuid>,
    Json(changes): Json<FolderChanges>,
) -> Result<Json<Folder>, Failure> {
    let statement = format!(
        "update links.folders t set name = coalesce($3, t.name)
         where {EDITED} and t.id = $2 returning {FOLDER_COLUMNS}"
    );
    let client = links.pool.client().await?;
    let row = client
        .query_opt(&statement, &[&caller(&who), &id, &changes.name])
        .await
        .map_err(refused)?;
    Ok(Json(from_row(&row.ok_or_else(|| error::not_found("folder"))?)))
}

/// Deletes one; links stay.
#[utoipa::path(delete, path = "/v1/links/folders/{id}", tag = "folders", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404), (status = 422)))]
pub async fn delete(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let statement = format!("delete from links.folders t where {EDITED} and t.id = $2");
    let gone = links
        .pool
        .client()
        .await?
        .execute(&statement, &[&caller(&who), &id])
        .await
        .map_err(refused)?;
    if gone == 0 {
        return Err(error::not_found("folder").into());
    }
    Ok(StatusCode::NO_CONTENT)
}
