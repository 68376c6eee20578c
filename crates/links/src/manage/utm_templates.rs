//! `/v1/links/utm-templates`: list, make, change, delete.

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
use serde_json::Value;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct UtmTemplate {
    id: Uuid,
    user_id: Uuid,
    organization_id: Option<Uuid>,
    name: String,
    utm: Value,
}

#[derive(Serialize, ToSchema)]
pub struct UtmTemplates {
    utm_templates: Vec<UtmTemplate>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUtmTemplate {
    organization_id: Option<Uuid>,
    name: String,
    utm: Value,
}

/// `null` takes back
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UtmTemplateChanges {
    name: Option<String>,
    utm: Option<Value>,
}

const UTM_TEMPLATE_COLUMNS: &str = "t.id, t.user_id, t.organization_id, t.name, t.utm";

fn from_row(row: &Row) -> UtmTemplate {
    UtmTemplate {
        id: row.get(0),
        user_id: row.get(1),
        organization_id: row.get(2),
        name: row.get(3),
        utm: row.get(4),
    }
}

fn refused(error: tokio_postgres::Error) -> foundation::Error {
    match constraint(&error) {
        Some(name) if name.ends_with("_fkey") => error::invalid("id", "is in use by links; change those first"),
        Some(_) => error::invalid("name", "must have 1 to 200 characters"),
        None => translate("writing UTM template", error),
    }
}

/// Lists yours and those of your organisations.
#[utoipa::path(get, path = "/v1/links/utm-templates", tag = "utm-templates", responses((status = 200, body = UtmTemplates), (status = 401)))]
pub async fn list(State(links): State<Links>, who: Caller) -> Result<Json<UtmTemplates>, Failure> {
    let statement =
        format!("select {UTM_TEMPLATE_COLUMNS} from links.utm_templates t where {SEEN} order by t.name, t.id");
    let rows = links.pool.client().await?.query(&statement, &[&caller(&who)]).await;
    let rows = rows.map_err(|error| translate("listing UTM templates", error))?;
    Ok(Json(UtmTemplates {
        utm_templates: rows.iter().map(from_row).collect(),
    }))
}

/// Makes one.
#[utoipa::path(post, path = "/v1/links/utm-templates", tag = "utm-templates", request_body = NewUtmTemplate,
    responses((status = 201, body = UtmTemplate), (status = 401), (status = 403), (status = 422)))]
pub async fn create(
    State(links): State<Links>,
    who: Caller,
    Json(new): Json<NewUtmTemplate>,
) -> Result<(StatusCode, Json<UtmTemplate>), Failure> {
    super::draft::check_utm(&new.utm)?;
    let client = links.pool.client().await?;
    may_give_to(&client, &who, new.organization_id).await?;
    let statement = format!(
        "insert into links.utm_templates as t (id, user_id, organization_id, name, utm) values ($1, $2, $3, $4, $5) returning {UTM_TEMPLATE_COLUMNS}"
    );
    let row = client
        .query_one(
            &statement,
            &[&new_id(), &who.user_id, &new.organization_id, &new.name, &new.utm],
        )
        .await
        .map_err(refused)?;
    Ok((StatusCode::CREATED, Json(from_row(&row))))
}

/// Changes what is sent.
#[utoipa::path(patch, path = "/v1/links/utm-templates/{id}", tag = "utm-templates", params(("id" = Uuid, Path)), request_body = UtmTemplateChanges,
    responses((status = 200, body = UtmTemplate), (status = 401), (status = 404), (status = 422)))]
pub async fn update(
    State(links): State<Links>,
    who: Caller,
    Path(id): Path<Uuid>,
    Json(changes): Json<UtmTemplateChanges>,
) -> Result<Json<UtmTemplate>, Failure> {
    changes.utm.as_ref().map(super::draft::check_utm).transpose()?;
    let statement = format!(
        "update links.utm_templates t set name = coalesce($3, t.name), utm = coalesce($4, t.utm)
         where {EDITED} and t.id = $2 returning {UTM_TEMPLATE_COLUMNS}"
    );
    let client = links.pool.client().await?;
    let row = client
        .query_opt(&statement, &[&caller(&who), &id, &changes.name, &changes.utm])
        .await
        .map_err(refused)?;
    Ok(Json(from_row(&row.ok_or_else(|| error::not_found("UTM template"))?)))
}

/// Deletes one; links stay.
#[utoipa::path(delete, path = "/v1/links/utm-templates/{id}", tag = "utm-templates", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404), (status = 422)))]
pub async fn delete(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let statement = format!("delete from links.utm_templates t where {EDITED} and t.id = $2");
    let gone = links
        .pool
        .client()
        .await?
        .execute(&statement, &[&caller(&who), &id])
        .await
        .map_err(refused)?;
    if gone == 0 {
        return Err(error::not_found("UTM template").into());
    }
    Ok(StatusCode::NO_CONTENT)
}
