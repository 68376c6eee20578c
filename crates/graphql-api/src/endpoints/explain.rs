//! `/v1/graphql/explain`: the SQL of a request and how the database would run it, for administrators.

use crate::{engine::Engine, live::multiplexed, refusal::Refusal};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use graphql::{Kind, Plan, Request, Session};
use http::HeaderMap;
use postgres_chassis::translate;
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::Arc};
use tokio_postgres::types::{ToSql, Type};

pub async fn posted(State(engine): State<Arc<Engine>>, headers: HeaderMap, body: Bytes) -> Response {
    match answer(&engine, &headers, &body).await {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => refusal.into_query_response(),
    }
}

async fn answer(engine: &Engine, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let caller = engine.auth.session(headers, None).await?;
    if caller.session.role != "admin" {
        return Err(Refusal::new("access-denied", "$", "restricted access : admin only"));
    }
    let body: Value =
        serde_json::from_slice(body).map_err(|error| Refusal::new("invalid-json", "$", error.to_string()))?;
    let asked = &body["query"];
    let Some(query) = asked["query"].as_str() else {
        return Err(Refusal::new("parse-failed", "$.query", "key \"query\" not found"));
    };
    let request = Request {
        query: query.to_owned(),
        operation_name: asked["operationName"].as_str().map(str::to_owned),
        variables: asked["variables"].as_object().cloned().unwrap_or_default(),
        relay: false,
    };
    let session = session(&body["user"]);
    let state = engine.state();
    if state.schema.kind(&request, &session)? == Kind::Mutation {
        return Err(Refusal::new(
            "invalid-params",
            "$",
            "only queries and subscriptions can be explained",
        ));
    }
    if state.schema.kind(&request, &session)? == Kind::Subscription {
        let plan = state.schema.plan(&request, &session)?;
        return subscription(engine, &plan, &request, &session).await;
    }
    let mut told = Vec::new();
    for (field, plan) in state.schema.explain(&request, &session)? {
        let (sql, plan) = match plan.statements.first() {
            Some(statement) => {
                let params = typed(&statement.params);
                (
                    json!(statement.sql),
                    explained(engine, &statement.source, &statement.sql, &params).await?,
                )
            }
            None => (Value::Null, Value::Null),
        };
        told.push(json!({"field": field, "sql": sql, "plan": plan}));
    }
    Ok(Value::Array(told))
}

/// Whose request is explained.
fn session(user: &Value) -> Session {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let given = user.as_object().into_iter().flatten();
    let variables: HashMap<String, String> = given.map(|(name, value)| (name.to_lowercase(), text(value))).collect();
    let role = variables
        .get("x-hasura-role")
        .cloned()
        .unwrap_or_else(|| "admin".to_owned());
    Session {
        backend: role == "admin",
        role,
        variables,
    }
}

/// As it runs for many subscribers at once, and the session variables that make them differ.
async fn subscription(engine: &Engine, plan: &Plan, request: &Request, session: &Session) -> Result<Value, Refusal> {
    let Some(statement) = plan.statements.first() else {
        return Ok(json!({"sql": null, "plan": null, "variables": {}}));
    };
    let sql = multiplexed(&statement.sql, statement.params.len());
    let mut columns: Vec<Vec<Option<String>>> = statement.params.iter().map(|param| vec![param.clone()]).collect();
    columns.push(vec![Some("1".to_owned())]);
    let params: Vec<(&(dyn ToSql + Sync), Type)> = columns
        .iter()
        .map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY))
        .collect();
    let plan = explained(engine, &statement.source, &sql, &params).await?;
    let used: Map<String, Value> = session
        .variables
        .iter()
        .filter(|(name, value)| {
            *name != "x-hasura-role" && statement.params.iter().flatten().any(|param| param == *value)
        })
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let variables = json!({"session": used, "query": request.variables, "synthetic": [], "cursor": {}});
    Ok(json!({"sql": sql, "plan": plan, "variables": variables}))
}

fn typed(params: &[Option<String>]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    params
        .iter()
        .map(|param| (param as &(dyn ToSql + Sync), Type::TEXT))
        .collect()
}

async fn explained(
    engine: &Engine,
    source: &str,
    sql: &str,
    params: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Value, Refusal> {
    let state = engine.state();
    let Some(connected) = state.sources.get(source) else {
        return Err(Refusal::new(
            "unexpected",
            "$",
            format!("the source \"{source}\" is not connected"),
        ));
    };
    let client = connected.pool.client().await?;
    let rows = client.query_typed(&format!("explain {sql}"), params).await;
    let rows = rows.map_err(|error| translate("explaining a statement", error))?;
    Ok(rows.iter().map(|row| Value::from(row.get::<_, &str>(0))).collect())
}
