//! `/v1/links/tags`: list, make, change, delete.

use super::{
    access::{EDITED, SEEN, caller, may_give_to},
    fields::told,
};
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
pub struct Tag {
    id: Uuid,
    user_id: Uuid,
    organization_id: Option<Uuid>,
    name: String,
    color: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Tags {
    tags: Vec<Tag>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTag {
    organization_id: Option<Uuid>,
    name: String,
    color: Option<String>,
}

/// `null` takes back
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagChanges {
    name: Option<String>,
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    color: Option<Option<String>>,
}

const TAG_COLUMNS: &str = "t.id, t.user_id, t.organization_id, t.name, t.color";

fn from_row(row: &Row) -> Tag {
    Tag {
        id: row.get(0),
        user_id: row.get(1),
        organization_id: row.get(2),
        name: row.get(3),
        color: row.get(4),
    }
}

fn refused(error: tokio_postgres::Error) -> foundation::Error {
    match constraint(&error) {
        Some("tags_name_key") => error::invalid("name", "is taken"),
        Some(name) if name.ends_with("_fkey") => error::invalid("id", "is in use by links; change those first"),
        Some(_) => error::invalid("name", "must have 1 to 100 characters, and a color the form #1a2b3c"),
        None => translate("writing tag", error),
    }
}

/// Lists yours and those of your organisations.
#[utoipa::path(get, path = "/v1/links/tags", tag = "tags", responses((status = 200, body = Tags), (status = 401)))]
pub async fn list(State(links): State<Links>, who: Caller) -> Result<Json<Tags>, Failure> {
    let statement = format!("select {TAG_COLUMNS} from links.tags t where {SEEN} order by t.name, t.id");
    let rows = links.pool.client().await?.query(&statement, &[&caller(&who)]).await;
    let rows = rows.map_err(|error| translate("listing tags", error))?;
    Ok(Json(Tags {
        tags: rows.iter().map(from_row).collect(),
    }))
}

/// Makes one.
#[utoipa::path(post, path = "/v1/links/tags", tag = "tags", request_body = NewTag,
    responses((status = 201, body = Tag), (status = 401), (status = 403), (status = 422)))]
pub async fn create(
    State(links): State<Links>,
    who: Caller,
    Json(new): Json<NewTag>,
) -> Result<(StatusCode, Json<Tag>), Failure> {
    let client = links.pool.client().await?;
    may_give_to(&client, &who, new.organization_id).await?;
    let statement = format!(
        "insert into links.tags as t (id, user_id, organization_id, name, color) values ($1, $2, $3, $4, $5) returning {TAG_COLUMNS}"
    );
    let row = client
        .query_one(
            &statement,
            &[&new_id(), &who.user_id, &new.organization_id, &new.name, &new.color],
        )
        .await
        .map_err(refused)?;
    Ok((StatusCode::CREATED, Json(from_row(&row))))
}

/// Changes what is sent.
#[utoipa::path(patch, path = "/v1/links/tags/{id}", tag = "tags", params(("id" = Uuid, Path)), request_body = TagChanges,
    responses((status = 200, body = Tag), (status = 401), (status = 404), (status = 422)))]
pub async fn update(
    State(links): State<Links>,
    who: Caller,
    Path(id): Path<Uuid>,
    Json(changes): Json<TagChanges>,
) -> Result<Json<Tag>, Failure> {
    let statement = format!(
        "update links.tags t set name = coalesce($3, t.name), color = case when $4 then $5 else t.color end
         where {EDITED} and t.id = $2 returning {TAG_COLUMNS}"
    );
    let client = links.pool.client().await?;
    let row = client
        .query_opt(
            &statement,
            &[
                &caller(&who),
                &id,
                &changes.name,
                &changes.color.is_some(),
                &changes.color.clone().flatten(),
            ],
        )
        .await
        .map_err(refused)?;
    Ok(Json(from_row(&row.ok_or_else(|| error::not_found("tag"))?)))
}

/// Deletes one; links stay.
#[utoipa::path(delete, path = "/v1/links/tags/{id}", tag = "tags", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404), (status = 422)))]
pub async fn delete(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let statement = format!("delete from links.tags t where {EDITED} and t.id = $2");
    let gone = links
        .pool
        .client()
        .await?
        .execute(&statement, &[&caller(&who), &id])
        .await
        .map_err(refused)?;
    if gone == 0 {
        return Err(error::not_found("tag").into());
    }
    Ok(StatusCode::NO_CONTENT)
}
