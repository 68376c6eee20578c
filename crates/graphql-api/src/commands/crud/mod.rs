//! `select`, `insert`, `update`, `delete` and `count` of `/v1/query`: the JSON way to ask from before GraphQL. Each is
//! said in GraphQL, against a schema in which everything has its name in the database, and planned by the same engine.

mod access;
mod condition;
mod read;
mod tables;
mod write;

use crate::{actions::Asking, answer, draft::Draft, refusal::Refusal};
use graphql::{Request, Session};
use http::HeaderMap;
use serde_json::{Map, Value};
use tables::Tables;
pub use tables::plain;

/// A request in GraphQL and where in its answer the caller's answer is.
struct Said {
    query: String,
    variables: Map<String, Value>,
    answer: Answer,
}

enum Answer {
    /// Under `rows`, as it is.
    Rows,
    /// Under `rows.aggregate.count`.
    Count,
}

/// `None`: another command.
pub async fn apply(
    draft: &mut Draft<'_>,
    session: &Session,
    name: &str,
    args: &Value,
) -> Option<Result<Value, Refusal>> {
    let translate = match name {
        "select" => read::select,
        "count" => read::count,
        "insert" => write::insert,
        "update" => write::update,
        "delete" => write::delete,
        _ => return None,
    };
    let source = args["source"].as_str().unwrap_or("default").to_owned();
    let said = Tables::of(draft, &source, session).and_then(|tables| translate(&tables, args));
    Some(match said {
        Ok(said) => ask(draft, session, &source, said).await,
        Err(refusal) => Err(refusal),
    })
}

async fn ask(draft: &mut Draft<'_>, session: &Session, source: &str, said: Said) -> Result<Value, Refusal> {
    let request = Request {
        query: said.query,
        operation_name: None,
        variables: said.variables,
        relay: false,
    };
    let schema = draft.plain_schema();
    let plan = schema.plan(&request, session).map_err(shown)?;
    let asking = Asking {
        session,
        headers: &HeaderMap::new(),
        query: &request.query,
    };
    for validation in &plan.validations {
        draft.engine.validate(validation, asking).await.map_err(shown)?;
    }
    let client = draft.transaction(source).await?;
    let text = answer::run_in(&**client, &plan).await.map_err(shown)?;
    let mut data: Value =
        serde_json::from_str(&text).map_err(|error| Refusal::new("unexpected", "$.args", error.to_string()))?;
    let rows = data["rows"].take();
    Ok(match said.answer {
        Answer::Rows => rows,
        Answer::Count => serde_json::json!({"count": rows["aggregate"]["count"]}),
    })
}

/// Paths of the GraphQL request mean nothing to the caller.
fn shown(error: graphql::GraphqlError) -> Refusal {
    error.at("$.args").into()
}
