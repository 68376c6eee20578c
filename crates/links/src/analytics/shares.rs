//! `/v1/links/shares`: a link's statistics for anybody who has the token, as data and as a page; and `/v1/links/hooks`.

use super::{
    answer::{Answer, answer, shared},
    question::Params,
};
use crate::{
    Links, error,
    manage::access::{EDITED, caller},
    manage::draft::address,
    manage::store,
    redirect::pages::escape,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use foundation::{Result, Uuid, new_id};
use http::{StatusCode, header};
use http_chassis::{
    auth::Caller,
    extract::{Json, Path, Query},
    problem::Failure,
};
use postgres_chassis::translate;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use time::OffsetDateTime;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShare {
    link_id: Uuid,
    #[serde(with = "time::serde::rfc3339::option", default)]
    expires_at: Option<OffsetDateTime>,
}

#[derive(Serialize, ToSchema)]
pub struct Share {
    id: Uuid,
    link_id: Uuid,
    token: String,
    url: String,
}

/// Shares a link's statistics; the token is shown this once.
#[utoipa::path(post, path = "/v1/links/shares", tag = "analytics", request_body = NewShare,
    responses((status = 201, body = Share), (status = 401), (status = 404)))]
pub async fn create(
    State(links): State<Links>,
    who: Caller,
    Json(new): Json<NewShare>,
) -> Result<(StatusCode, Json<Share>), Failure> {
    use base64::Engine;
    let mut client = links.pool.client().await?;
    let told = |error| translate("sharing statistics", error);
    let transaction = client.transaction().await.map_err(told)?;
    store::lock(&transaction, &who, new.link_id, &links.public_url).await?;
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
    let id = new_id();
    transaction
        .execute(
            "insert into links.shares (id, link_id, token, created_by, expires_at) values ($1, $2, $3, $4, $5)",
            &[&id, &new.link_id, &token, &who.user_id, &new.expires_at],
        )
        .await
        .map_err(told)?;
    transaction.commit().await.map_err(told)?;
    let url = format!("{}/v1/links/shared/{token}", links.public_url);
    Ok((
        StatusCode::CREATED,
        Json(Share {
            id,
            link_id: new.link_id,
            token,
            url,
        }),
    ))
}

/// Ends a share.
#[utoipa::path(delete, path = "/v1/links/shares/{id}", tag = "analytics", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404)))]
pub async fn end(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let statement =
        format!("delete from links.shares s using links.links t where s.id = $2 and t.id = s.link_id and {EDITED}");
    remove(&links, &who, &statement, id).await
}

async fn remove(links: &Links, who: &Caller, statement: &str, id: Uuid) -> Result<StatusCode, Failure> {
    let told = |error| translate("removing a share or hook", error);
    let client = links.pool.client().await?;
    match client.execute(statement, &[&caller(who), &id]).await.map_err(told)? {
        0 => Err(error::not_found("share or hook").into()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Asks about a shared link; `link_id` is the share's.
#[utoipa::path(get, path = "/v1/links/shared/{token}/analytics", tag = "analytics", params(("token" = String, Path), Params),
    responses((status = 200, body = Answer), (status = 404), (status = 422)))]
pub async fn ask(
    State(links): State<Links>,
    Path(token): Path<String>,
    Query(params): Query<Params>,
) -> Result<Json<Answer>, Failure> {
    let client = links.pool.client().await?;
    let (link, _) = shared(&client, &token).await?;
    drop(client);
    let params = Params {
        link_id: Some(link),
        organization_id: None,
        ..params
    };
    Ok(Json(answer(&links, None, &params.parse()?).await?))
}

/// A page of a shared link's last thirty days, which works without scripts.
#[utoipa::path(get, path = "/v1/links/shared/{token}", tag = "analytics", params(("token" = String, Path)),
    responses((status = 200, description = "text/html"), (status = 404)))]
pub async fn page(State(links): State<Links>, Path(token): Path<String>) -> Result<Response, Failure> {
    let client = links.pool.client().await?;
    let (link, name) = shared(&client, &token).await?;
    drop(client);
    let mut body = format!("<h1>Clicks of {}</h1>", escape(&name));
    for (title, query) in [
        ("By day", serde_json::json!({ "interval": "day" })),
        ("By country", serde_json::json!({ "group_by": "country" })),
        ("By referrer", serde_json::json!({ "group_by": "referrer_host" })),
        ("By browser", serde_json::json!({ "group_by": "browser" })),
    ] {
        let params: Params =
            serde_json::from_value(query).map_err(|error| foundation::Error::internal("a share's question", error))?;
        let params = Params {
            link_id: Some(link),
            limit: Some(50),
            ..params
        };
        let answer = answer(&links, None, &params.parse()?).await?;
        let _ = write!(
            body,
            "<h2>{title}</h2><table><tr><th></th><th>Clicks</th><th>of these machines</th></tr>"
        );
        for point in answer.points {
            let at = point.at.map(|at| at.date().to_string());
            let label = at
                .or(point.value)
                .filter(|label| !label.is_empty())
                .unwrap_or_else(|| "unknown".into());
            let _ = write!(
                body,
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&label),
                point.count,
                point.bots
            );
        }
        body.push_str("</table>");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ];
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"robots\" content=\"noindex\"><title>Clicks of {}</title>\
         <style>body{{font:1rem/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem}}td,th{{padding:0 1rem 0 0;text-align:left}}</style>{body}</html>",
        escape(&name)
    );
    Ok((headers, text).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHook {
    link_id: Uuid,
    url: String,
    /// Told once, when so many people have clicked; without it, of every click
    threshold: Option<i32>,
}

#[derive(Serialize, ToSchema)]
pub struct Hook {
    id: Uuid,
}

/// Tells an address of a link's clicks.
#[utoipa::path(post, path = "/v1/links/hooks", tag = "analytics", request_body = NewHook,
    responses((status = 201, body = Hook), (status = 401), (status = 404), (status = 422)))]
pub async fn hook(
    State(links): State<Links>,
    who: Caller,
    Json(new): Json<NewHook>,
) -> Result<(StatusCode, Json<Hook>), Failure> {
    let url = address("url", &new.url)?;
    if new.threshold.is_some_and(|threshold| threshold < 1) {
        return Err(error::invalid("threshold", "must be at least 1").into());
    }
    let mut client = links.pool.client().await?;
    let told = |error| translate("making a hook", error);
    let transaction = client.transaction().await.map_err(told)?;
    store::lock(&transaction, &who, new.link_id, &links.public_url).await?;
    let id = new_id();
    transaction
        .execute(
            "insert into links.click_hooks (id, link_id, url, threshold, created_by) values ($1, $2, $3, $4, $5)",
            &[&id, &new.link_id, &url, &new.threshold, &who.user_id],
        )
        .await
        .map_err(told)?;
    transaction.commit().await.map_err(told)?;
    Ok((StatusCode::CREATED, Json(Hook { id })))
}

/// Ends a hook.
#[utoipa::path(delete, path = "/v1/links/hooks/{id}", tag = "analytics", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404)))]
pub async fn unhook(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let statement = format!(
        "delete from links.click_hooks s using links.links t where s.id = $2 and t.id = s.link_id and {EDITED}"
    );
    remove(&links, &who, &statement, id).await
}
