//! `/v1/links/links`: list, make, get, change, delete.

use super::{
    access::{caller, may_give_to},
    draft::Draft,
    fields::Fields,
    store::{self, Link, Narrow},
};
use crate::Links;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use deadpool_postgres::GenericClient;
use foundation::{Page, PageRequest, Principal, Result, Uuid, new_id};
use http::{HeaderValue, StatusCode, header};
use http_chassis::{
    auth::Caller,
    extract::{Json, Path, Query},
    problem::Failure,
};
use postgres_chassis::translate;
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
    folder_id: Option<Uuid>,
    domain_id: Option<Uuid>,
    organization_id: Option<Uuid>,
    tag: Option<String>,
    /// Part of slug, target or title
    search: Option<String>,
    /// The deleted ones instead
    deleted: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub struct LinkPage {
    links: Vec<Link>,
    /// Null on the last page
    next_cursor: Option<String>,
}

/// Lists your links and those of your organisations, newest first.
#[utoipa::path(get, path = "/v1/links/links", tag = "links", params(Params),
    responses((status = 200, body = LinkPage), (status = 400), (status = 401)))]
pub async fn list(
    State(links): State<Links>,
    who: Caller,
    Query(params): Query<Params>,
) -> Result<Json<LinkPage>, Failure> {
    let request = PageRequest::parse(params.limit, params.cursor.as_deref())?;
    let narrow = Narrow {
        folder_id: params.folder_id,
        domain_id: params.domain_id,
        organization_id: params.organization_id,
        tag: params.tag.as_deref(),
        search: params.search.as_deref(),
        deleted: params.deleted.unwrap_or(false),
    };
    let rows = store::list(&links.pool.client().await?, &who, &narrow, &request, &links.public_url).await?;
    let page = Page::from_rows(rows, &request, |link| link.id);
    Ok(Json(LinkPage {
        links: page.items,
        next_cursor: page.next_cursor,
    }))
}

/// Makes a link.
#[utoipa::path(post, path = "/v1/links/links", tag = "links", request_body = Fields,
    responses((status = 201, body = Link), (status = 401), (status = 409, description = "The slug is taken"), (status = 422)))]
pub async fn create(State(links): State<Links>, who: Caller, Json(fields): Json<Fields>) -> Result<Response, Failure> {
    let mut client = links.pool.client().await?;
    let told = |error| translate("making a link", error);
    let transaction = client.transaction().await.map_err(told)?;
    let id = make(&links, &transaction, &who, &fields).await?;
    let link = store::find(&transaction, &who, id, &links.public_url).await?;
    transaction.commit().await.map_err(told)?;
    let location = HeaderValue::from_str(&format!("/v1/links/links/{id}")).ok();
    let mut response = (StatusCode::CREATED, Json(link)).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// One link of a request, inside its transaction.
pub async fn make(links: &Links, client: &impl GenericClient, who: &Principal, fields: &Fields) -> Result<Uuid> {
    let mut draft = Draft::default();
    finish(links, client, who, &mut draft, fields).await?;
    may_give_to(client, who, draft.organization_id).await?;
    let id = new_id();
    store::insert(client, id, who.user_id, &draft).await?;
    if let Some(tags) = &fields.tags {
        store::set_tags(client, id, tags).await?;
    }
    Ok(id)
}

async fn finish(
    links: &Links,
    client: &impl GenericClient,
    who: &Principal,
    draft: &mut Draft,
    fields: &Fields,
) -> Result<()> {
    draft.lay(fields)?;
    if let Some(template) = fields.utm_template_id {
        draft.utm = store::utm_template(client, who, template).await?;
    }
    match &fields.password {
        Some(Some(password)) => draft.password_hash = Some(links.hasher.hash(password.clone()).await?),
        Some(None) => draft.password_hash = None,
        None => {}
    }
    Ok(())
}

/// One link, deleted ones too.
#[utoipa::path(get, path = "/v1/links/links/{id}", tag = "links", params(("id" = Uuid, Path)),
    responses((status = 200, body = Link), (status = 401), (status = 404)))]
pub async fn get(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<Json<Link>, Failure> {
    Ok(Json(
        store::find(&links.pool.client().await?, &who, id, &links.public_url).await?,
    ))
}

/// Changes what is sent; `null` takes back.
#[utoipa::path(patch, path = "/v1/links/links/{id}", tag = "links", params(("id" = Uuid, Path)), request_body = Fields,
    responses((status = 200, body = Link), (status = 401), (status = 403), (status = 404), (status = 409), (status = 422)))]
pub async fn update(
    State(links): State<Links>,
    who: Caller,
    Path(id): Path<Uuid>,
    Json(fields): Json<Fields>,
) -> Result<Json<Link>, Failure> {
    let told = |error| translate("changing a link", error);
    let mut client = links.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    let (link, hash) = store::lock(&transaction, &who, id, &links.public_url).await?;
    let mut draft = link.draft(hash);
    finish(&links, &transaction, &who, &mut draft, &fields).await?;
    if draft.organization_id != link.organization_id {
        may_give_to(&transaction, &who, draft.organization_id).await?;
    }
    store::update(&transaction, id, &draft).await?;
    if let Some(tags) = &fields.tags {
        store::set_tags(&transaction, id, tags).await?;
    }
    let link = store::find(&transaction, &who, id, &links.public_url).await?;
    transaction.commit().await.map_err(told)?;
    Ok(Json(link))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteParams {
    /// Its row, its slug and its statistics go too
    purge: Option<bool>,
}

/// Deletes a link: it leads nowhere any more, its slug stays taken, its statistics stay.
#[utoipa::path(delete, path = "/v1/links/links/{id}", tag = "links", params(("id" = Uuid, Path), DeleteParams),
    responses((status = 204), (status = 401), (status = 403), (status = 404)))]
pub async fn delete(
    State(links): State<Links>,
    who: Caller,
    Path(id): Path<Uuid>,
    Query(params): Query<DeleteParams>,
) -> Result<StatusCode, Failure> {
    change(
        &links,
        &who,
        id,
        match params.purge {
            Some(true) => "delete from links.links where id = $1",
            _ => "update links.links set deleted_at = coalesce(deleted_at, now()) where id = $1",
        },
    )
    .await
}

/// Takes a deletion back.
#[utoipa::path(post, path = "/v1/links/links/{id}/restore", tag = "links", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 403), (status = 404)))]
pub async fn restore(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    change(
        &links,
        &who,
        id,
        "update links.links set deleted_at = null where id = $1",
    )
    .await
}

async fn change(links: &Links, who: &Caller, id: Uuid, statement: &str) -> Result<StatusCode, Failure> {
    let told = |error| translate("deleting or restoring a link", error);
    let mut client = links.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    store::lock(&transaction, who, id, &links.public_url).await?;
    transaction.execute(statement, &[&id]).await.map_err(told)?;
    transaction.commit().await.map_err(told)?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many links the caller sees.
#[derive(Serialize, ToSchema)]
pub struct Count {
    count: i64,
}

#[utoipa::path(get, path = "/v1/links/links/count", tag = "links", responses((status = 200, body = Count), (status = 401)))]
pub async fn count(State(links): State<Links>, who: Caller) -> Result<Json<Count>, Failure> {
    let statement = format!(
        "select count(*) from links.links t where {} and t.deleted_at is null",
        super::access::SEEN
    );
    let client = links.pool.client().await?;
    let row = client.query_one(&statement, &[&caller(&who)]).await;
    let row = row.map_err(|error| translate("counting links", error))?;
    Ok(Json(Count { count: row.get(0) }))
}
