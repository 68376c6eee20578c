//! `POST /v1/links/links/bulk`: up to a thousand links, each with its own outcome.

use super::{fields::Fields, links::make};
use crate::{Links, error};
use axum::extract::State;
use foundation::{Kind, Principal, Result, Uuid};
use http_chassis::{auth::Caller, extract::Json, problem::Failure};
use postgres_chassis::translate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const MOST: usize = 1_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    links: Vec<Fields>,
}

/// What became of one row: an id, or why not.
#[derive(Debug, Serialize, ToSchema)]
pub struct Outcome {
    /// From 0
    pub row: usize,
    pub id: Option<Uuid>,
    pub code: Option<String>,
    pub error: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Outcomes {
    pub created: usize,
    pub failed: usize,
    pub outcomes: Vec<Outcome>,
}

/// Makes many links; those that cannot be made do not keep the others.
#[utoipa::path(post, path = "/v1/links/links/bulk", tag = "links", request_body = Bulk,
    responses((status = 200, body = Outcomes), (status = 401), (status = 422)))]
pub async fn create(
    State(links): State<Links>,
    who: Caller,
    Json(bulk): Json<Bulk>,
) -> Result<Json<Outcomes>, Failure> {
    if bulk.links.is_empty() || bulk.links.len() > MOST {
        return Err(error::invalid("links", format!("must have 1 to {MOST} links")).into());
    }
    let rows = bulk.links.into_iter().map(|fields| (fields, None)).collect();
    Ok(Json(make_all(&links, &who, rows).await?))
}

/// Of each row its fields and, of imports, when it was made there.
pub type Row = (Fields, Option<time::OffsetDateTime>);

/// One transaction with a savepoint a row, so that a thousand links are one commit.
pub async fn make_all(links: &Links, who: &Principal, rows: Vec<Row>) -> Result<Outcomes> {
    let told = |error| translate("making many links", error);
    let mut client = links.pool.client().await?;
    let mut transaction = client.transaction().await.map_err(told)?;
    let mut outcomes = Vec::with_capacity(rows.len());
    for (row, (fields, made_at)) in rows.into_iter().enumerate() {
        let savepoint = transaction.transaction().await.map_err(told)?;
        match make(links, &savepoint, who, &fields).await {
            Ok(id) => {
                if let Some(made_at) = made_at {
                    let statement = "update links.links set created_at = $2 where id = $1";
                    savepoint.execute(statement, &[&id, &made_at]).await.map_err(told)?;
                }
                savepoint.commit().await.map_err(told)?;
                outcomes.push(Outcome {
                    row,
                    id: Some(id),
                    code: None,
                    error: None,
                });
            }
            // What is our fault or passes is the whole request's.
            Err(error) if matches!(error.kind, Kind::Internal | Kind::Unavailable) => return Err(error),
            Err(error) => {
                savepoint.rollback().await.map_err(told)?;
                outcomes.push(Outcome {
                    row,
                    id: None,
                    code: Some(error.code.to_owned()),
                    error: Some(error.message),
                });
            }
        }
    }
    transaction.commit().await.map_err(told)?;
    let created = outcomes.iter().filter(|outcome| outcome.id.is_some()).count();
    Ok(Outcomes {
        created,
        failed: outcomes.len() - created,
        outcomes,
    })
}
