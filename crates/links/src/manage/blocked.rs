//! `/v1/links/blocked-hosts`: hosts no link may lead to, with all below them. Links that lead there already stop at once.

use crate::{Links, error};
use axum::extract::State;
use foundation::Result;
use http::StatusCode;
use http_chassis::{
    extract::{Json, Path},
    problem::Failure,
};
use postgres_chassis::{constraint, translate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockedHost {
    host: String,
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct BlockedHosts {
    blocked_hosts: Vec<BlockedHost>,
}

#[utoipa::path(get, path = "/v1/links/blocked-hosts", tag = "blocked hosts",
    responses((status = 200, body = BlockedHosts), (status = 401), (status = 403)))]
pub async fn list(State(links): State<Links>) -> Result<Json<BlockedHosts>, Failure> {
    let rows = links
        .pool
        .client()
        .await?
        .query("select host, reason from links.blocked_hosts order by host", &[])
        .await;
    let rows = rows.map_err(|error| translate("listing blocked hosts", error))?;
    let blocked_hosts = rows.iter().map(|row| BlockedHost {
        host: row.get(0),
        reason: row.get(1),
    });
    Ok(Json(BlockedHosts {
        blocked_hosts: blocked_hosts.collect(),
    }))
}

#[utoipa::path(post, path = "/v1/links/blocked-hosts", tag = "blocked hosts", request_body = BlockedHost,
    responses((status = 204), (status = 401), (status = 403), (status = 422)))]
pub async fn block(State(links): State<Links>, Json(new): Json<BlockedHost>) -> Result<StatusCode, Failure> {
    let host = new.host.trim_end_matches('.').to_ascii_lowercase();
    let client = links.pool.client().await?;
    let statement = "insert into links.blocked_hosts (host, reason) values ($1, $2) on conflict (host) do update set reason = excluded.reason";
    client
        .execute(statement, &[&host, &new.reason])
        .await
        .map_err(|error| match constraint(&error) {
            Some(_) => error::invalid("host", "is no host name"),
            None => translate("blocking a host", error),
        })?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(delete, path = "/v1/links/blocked-hosts/{host}", tag = "blocked hosts", params(("host" = String, Path)),
    responses((status = 204), (status = 401), (status = 403), (status = 404)))]
pub async fn unblock(State(links): State<Links>, Path(host): Path<String>) -> Result<StatusCode, Failure> {
    let gone = links
        .pool
        .client()
        .await?
        .execute("delete from links.blocked_hosts where host = $1", &[&host])
        .await;
    match gone.map_err(|error| translate("unblocking a host", error))? {
        0 => Err(error::not_found("blocked host").into()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
