//! `/v1/links/links/export` and `/v1/links/links/import`: links as CSV, ours out and in, others' in.

use super::{
    bulk::{self, Outcomes},
    import::{self, Format},
    store::{self, Narrow},
};
use crate::Links;
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use foundation::{Cursor, Error, PageRequest, Result};
use http::header;
use http_chassis::{
    auth::Caller,
    extract::{Json, Query, read},
    problem::Failure,
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::IntoParams;

const BODY_LIMIT: usize = 16 * 1024 * 1024;
const ROWS: usize = 10_000;
const PAGE: u32 = 200;

const CSV_COLUMNS: [&str; 12] = [
    "slug",
    "target_url",
    "title",
    "description",
    "tags",
    "status",
    "is_active",
    "starts_at",
    "expires_at",
    "click_limit",
    "clicks",
    "created_at",
];

/// All your links, with a header line.
#[utoipa::path(get, path = "/v1/links/links/export", tag = "links",
    responses((status = 200, description = "text/csv"), (status = 401)))]
pub async fn export(State(links): State<Links>, who: Caller) -> Result<Response, Failure> {
    let told = |error: csv::Error| Error::internal("writing CSV", error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(CSV_COLUMNS).map_err(told)?;
    let client = links.pool.client().await?;
    let mut page = PageRequest {
        limit: PAGE,
        after: None,
    };
    loop {
        let rows = store::list(&client, &who, &Narrow::default(), &page, &links.public_url).await?;
        for link in rows.iter().take(PAGE as usize) {
            let time = |at: Option<OffsetDateTime>| at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default();
            let cells = [
                link.slug.clone(),
                link.target_url.clone(),
                harmless(link.title.as_deref()),
                harmless(link.description.as_deref()),
                link.tags.join(","),
                link.status.to_string(),
                link.is_active.to_string(),
                time(link.starts_at),
                time(link.expires_at),
                link.click_limit.map(|limit| limit.to_string()).unwrap_or_default(),
                link.clicks.to_string(),
                time(Some(link.created_at)),
            ];
            writer.write_record(cells).map_err(told)?;
        }
        match rows.get(PAGE as usize - 1) {
            Some(last) if rows.len() > PAGE as usize => page.after = Some(Cursor(last.id)),
            _ => break,
        }
    }
    let body = writer
        .into_inner()
        .map_err(|error| Error::internal("writing CSV", error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"links.csv\""),
    ];
    Ok((headers, body).into_response())
}

/// Spreadsheets run what begins like a formula.
pub fn harmless(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Params {
    /// `portico` (our own export), `bitly`, `yourls`, `kutt`, `shlink` or `dub`
    format: Format,
}

/// Makes links of an export, CSV or JSON, up to ten thousand rows; each with its outcome.
#[utoipa::path(post, path = "/v1/links/links/import", tag = "links", params(Params), request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Outcomes), (status = 401), (status = 413), (status = 422)))]
pub async fn import(
    State(links): State<Links>,
    who: Caller,
    Query(params): Query<Params>,
    request: Request,
) -> Result<Json<Outcomes>, Failure> {
    let body = read(request.into_body(), BODY_LIMIT).await?;
    let rows = import::read(params.format, &body, ROWS)?;
    Ok(Json(bulk::make_all(&links, &who, rows).await?))
}
