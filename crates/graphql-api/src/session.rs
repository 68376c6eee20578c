//! The caller as the database is told of them: in `hasura.user`, which triggers and functions read, and the trace in
//! `hasura.tracecontext`, both until the transaction ends.

use foundation::Result;
use graphql::Session;
use postgres_chassis::translate;
use serde_json::{Map, Value, json};
use tokio_postgres::{GenericClient, types::Type};

const SQL: &str = "select set_config('hasura.user', $1, true), set_config('hasura.tracecontext', $2, true)";

/// All session variables, the role among them.
pub fn variables(session: &Session) -> Value {
    let mut all: Map<String, Value> = Map::from_iter([("x-hasura-role".to_owned(), json!(session.role))]);
    let given = session.variables.iter();
    all.extend(given.map(|(name, value)| (name.clone(), json!(value))));
    Value::Object(all)
}

/// Inside a transaction.
pub async fn tell(client: &impl GenericClient, session: &Session) -> Result<()> {
    let done = said(client, session).await;
    done.map_err(|error| translate("telling the database who asks", error))
}

pub async fn said(client: &impl GenericClient, session: &Session) -> Result<(), tokio_postgres::Error> {
    let trace = telemetry::context::current().map(|current| current.trace.to_traceparent());
    let trace = trace.as_deref().and_then(trace_context).unwrap_or_default();
    let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&variables(session).to_string(), Type::TEXT), (&trace, Type::TEXT)];
    client.query_typed(SQL, &params).await.map(drop)
}

/// As Hasura writes it.
fn trace_context(traceparent: &str) -> Option<String> {
    let mut parts = traceparent.split('-').skip(1);
    let (trace, span) = (parts.next()?, parts.next()?);
    Some(json!({"trace_id": trace, "span_id": span, "sampling_state": null}).to_string())
}
