//! `/v1/links/domains`: list, make, change, delete.

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
pub struct Domain {
    id: Uuid,
    user_id: Uuid,
    organization_id: Option<Uuid>,
    host: String,
    root_url: Option<String>,
    not_found_url: Option<String>,
    expired_url: Option<String>,
    case_sensitive: bool,
}

#[derive(Serialize, ToSchema)]
pub struct Domains {
    domains: Vec<Domain>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    organization_id: Option<Uuid>,
    host: String,
    root_url: Option<String>,
    not_found_url: Option<String>,
    expired_url: Option<String>,
    case_sensitive: Option<bool>,
}

/// `null` takes back
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainChanges {
    host: Option<String>,
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    root_url: Option<Option<String>>,
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    not_found_url: Option<Option<String>>,
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    expired_url: Option<Option<String>>,
    case_sensitive: Option<bool>,
}

const DOMAIN_COLUMNS: &str =
    "t.id, t.user_id, t.organization_id, t.host, t.root_url, t.not_found_url, t.expired_url, t.case_sensitive";

fn from_row(row: &Row) -> Domain {
    Domain {
        id: row.get(0),
        user_id: row.get(1),
        organization_id: row.get(2),
        host: row.get(3),
        root_url: row.get(4),
        not_found_url: row.get(5),
        expired_url: row.get(6),
        case_sensitive: row.get(7),
    }
}

fn refused(error: tokio_postgres::Error) -> foundation::Error {
    match constraint(&error) {
        Some("domains_host_key") => error::invalid("host", "is taken"),
        Some(name) if name.ends_with("_fkey") => error::invalid("id", "is in use by links; change those first"),
        Some(_) => error::invalid("host", "is no host name in lower case, or its form is wrong"),
        None => translate("writing domain", error),
    }
}

/// Lists yours and those of your organisations.
#[utoipa::path(get, path = "/v1/links/domains", tag = "domains", responses((status = 200, body = Domains), (status = 401)))]
pub async fn list(State(links): State<Links>, who: Caller) -> Result<Json<Domains>, Failure> {
    let statement = format!("select {DOMAIN_COLUMNS} from links.domains t where {SEEN} order by t.host");
    let rows = links.pool.client().await?.query(&statement, &[&caller(&who)]).await;
    let rows = rows.map_err(|error| translate("listing domains", error))?;
    Ok(Json(Domains {
        domains: rows.iter().map(from_row).collect(),
    }))
}

/// Makes one.
#[utoipa::path(post, path = "/v1/links/domains", tag = "domains", request_body = NewDomain,
    responses((status = 201, body = Domain), (status = 401), (status = 403), (status = 422)))]
pub async fn create(
    State(links): State<Links>,
    who: Caller,
    Json(new): Json<NewDomain>,
) -> Result<(StatusCode, Json<Domain>), Failure> {
    let mut new = new;
    new.host = new.host.to_ascii_lowercase();
    for (name, url) in [
        ("root_url", &mut new.root_url),
        ("not_found_url", &mut new.not_found_url),
        ("expired_url", &mut new.expired_url),
    ] {
        *url = url.as_deref().map(|url| super::draft::address(name, url)).transpose()?;
    }
    let client = links.pool.client().await?;
    may_give_to(&client, &who, new.organization_id).await?;
    let statement = format!(
        "insert into links.domains as t (id, user_id, organization_id, host, root_url, not_found_url, expired_url, case_sensitive) values ($1, $2, $3, $4, $5, $6, $7, coalesce($8, true)) returning {DOMAIN_COLUMNS}"
    );
    let row = client
        .query_one(
            &statement,
            &[
                &new_id(),
                &who.user_id,
                &new.organization_id,
                &new.host,
                &new.root_url,
                &new.not_found_url,
                &new.expired_url,
                &new.case_sensitive,
            ],
        )
        .await
        .map_err(refused)?;
    Ok((StatusCode::CREATED, Json(from_row(&row))))
}

/// Changes what is sent.
#[utoipa::path(patch, path = "/v1/links/domains/{id}", tag = "domains", params(("id" = Uuid, Path)), request_body = DomainChanges,
    responses((status = 200, body = Domain), (status = 401), (status = 404), (status = 422)))]
pub async fn update(
    State(links): State<Links>,
    who: Caller,
    Path(id): Path<Uuid>,
    Json(changes): Json<DomainChanges>,
) -> Result<Json<Domain>, Failure> {
    for (name, url) in [
        ("root_url", &changes.root_url),
        ("not_found_url", &changes.not_found_url),
        ("expired_url", &changes.expired_url),
    ] {
        url.iter()
            .flatten()
            .try_for_each(|url| super::draft::address(name, url).map(drop))?;
    }
    let statement = format!(
        "update links.domains t set host = coalesce($3, t.host), root_url = case when $4 then $5 else t.root_url end, not_found_url = case when $6 then $7 else t.not_found_url end, expired_url = case when $8 then $9 else t.expired_url end, case_sensitive = coalesce($10, t.case_sensitive)
         where {EDITED} and t.id = $2 returning {DOMAIN_COLUMNS}"
    );
    let client = links.pool.client().await?;
    let row = client
        .query_opt(
            &statement,
            &[
                &caller(&who),
                &id,
                &changes.host,
                &changes.root_url.is_some(),
                &changes.root_url.clone().flatten(),
                &changes.not_found_url.is_some(),
                &changes.not_found_url.clone().flatten(),
                &changes.expired_url.is_some(),
                &changes.expired_url.clone().flatten(),
                &changes.case_sensitive,
            ],
        )
        .await
        .map_err(refused)?;
    Ok(Json(from_row(&row.ok_or_else(|| error::not_found("domain"))?)))
}

/// Deletes one; links stay.
#[utoipa::path(delete, path = "/v1/links/domains/{id}", tag = "domains", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404), (status = 422)))]
pub async fn delete(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let statement = format!("delete from links.domains t where {EDITED} and t.id = $2");
    let gone = links
        .pool
        .client()
        .await?
        .execute(&statement, &[&caller(&who), &id])
        .await
        .map_err(refused)?;
    if gone == 0 {
        return Err(error::not_found("domain").into());
    }
    Ok(StatusCode::NO_CONTENT)
}
