//! `/v1/links/analytics`: questions, their answers as CSV, and the clicks as they come.

use super::{
    answer::{Answer, answer},
    hooks,
    question::Params,
};
use crate::{
    Links,
    manage::{
        access::{SEEN, caller},
        transfer::harmless,
    },
};
use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use foundation::{Error, Result, Uuid};
use futures_util::stream;
use http::header;
use http_chassis::{
    auth::Caller,
    extract::{Json, Query},
    problem::Failure,
};
use postgres_chassis::translate;
use serde::Deserialize;
use std::{collections::HashMap, convert::Infallible};
use time::format_description::well_known::Rfc3339;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;

/// Clicks or visitors of your links, in time, by value, filtered.
#[utoipa::path(get, path = "/v1/links/analytics", tag = "analytics", params(Params),
    responses((status = 200, body = Answer), (status = 401), (status = 422)))]
pub async fn ask(
    State(links): State<Links>,
    who: Caller,
    Query(params): Query<Params>,
) -> Result<Json<Answer>, Failure> {
    let question = params.parse()?;
    Ok(Json(answer(&links, Some(&who), &question).await?))
}

/// The same as CSV.
#[utoipa::path(get, path = "/v1/links/analytics/export", tag = "analytics", params(Params),
    responses((status = 200, description = "text/csv"), (status = 401), (status = 422)))]
pub async fn export(
    State(links): State<Links>,
    who: Caller,
    Query(params): Query<Params>,
) -> Result<Response, Failure> {
    let question = params.parse()?;
    let answer = answer(&links, Some(&who), &question).await?;
    let told = |error: csv::Error| Error::internal("writing CSV", error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["at", "value", "count", "bots"]).map_err(told)?;
    for point in answer.points {
        let at = point.at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default();
        let value = harmless(point.value.as_deref());
        writer
            .write_record([at, value, point.count.to_string(), point.bots.to_string()])
            .map_err(told)?;
    }
    let body = writer
        .into_inner()
        .map_err(|error| Error::internal("writing CSV", error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"analytics.csv\""),
    ];
    Ok((headers, body).into_response())
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamParams {
    /// Without it: all your links
    link_id: Option<Uuid>,
}

/// The clicks as this copy writes them, as server-sent events: `click`, and `missed` with a number when you are too slow.
#[utoipa::path(get, path = "/v1/links/analytics/stream", tag = "analytics", params(StreamParams),
    responses((status = 200, description = "text/event-stream"), (status = 401)))]
pub async fn live(
    State(links): State<Links>,
    who: Caller,
    Query(params): Query<StreamParams>,
) -> Result<Response, Failure> {
    let heard = links.clicks.live.subscribe();
    let state = (links.clone(), heard, who, HashMap::<Uuid, bool>::new());
    let events = stream::unfold(state, move |(links, mut heard, who, mut seen)| async move {
        loop {
            let event = match heard.recv().await {
                Ok(known) => {
                    let link = known.click.link_id;
                    if params.link_id.is_some_and(|wanted| wanted != link)
                        || !may_see(&links, &who, link, &mut seen).await
                    {
                        continue;
                    }
                    Event::default()
                        .event("click")
                        .id(known.click.id.to_string())
                        .data(hooks::body(&known).to_string())
                }
                Err(RecvError::Lagged(missed)) => Event::default().event("missed").data(missed.to_string()),
                Err(RecvError::Closed) => return None,
            };
            return Some((Ok::<_, Infallible>(event), (links, heard, who, seen)));
        }
    });
    Ok(Sse::new(Box::pin(events))
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// Remembered for a while only: members come and go.
const REMEMBERED: usize = 1_000;

async fn may_see(links: &Links, who: &Caller, link: Uuid, seen: &mut HashMap<Uuid, bool>) -> bool {
    if let Some(may) = seen.get(&link) {
        return *may;
    }
    let asked = async {
        let statement = format!("select from links.links t where {SEEN} and t.id = $2");
        let client = links.pool.client().await?;
        let row = client.query_opt(&statement, &[&caller(who), &link]).await;
        row.map_err(|error| translate("asking whose a click is", error))
    };
    // What cannot be asked now is not shown.
    let Ok(row) = asked.await else { return false };
    if seen.len() >= REMEMBERED {
        seen.clear();
    }
    seen.insert(link, row.is_some());
    row.is_some()
}
