//! Runs a plan: a query is one statement, a mutation its statements in one transaction. Answers are spliced together
//! as PostgreSQL wrote them.

use crate::{engine::Engine, state::State};
use foundation::Error;
use graphql::{GraphqlError, Kind, Plan, PostgresFailure, Request, Session, Source, Statement};
use postgres_chassis::{Pool, translate};
use tokio_postgres::{
    GenericClient, Row,
    types::{ToSql, Type},
};

impl Engine {
    /// The text of `data`.
    pub async fn answer(&self, request: &Request, session: &Session, writes: bool) -> Result<String, GraphqlError> {
        let state = self.state();
        let plan = state.schema.plan(request, session)?;
        if plan.kind == Kind::Mutation && !writes {
            let message = "mutations must be sent with POST";
            return Err(GraphqlError::new("validation-failed", "$", message));
        }
        run(&state, &plan).await
    }
}

pub async fn run(state: &State, plan: &Plan) -> Result<String, GraphqlError> {
    if plan.statements.is_empty() {
        return Ok(spliced(plan, &|_, _| "null".to_owned()));
    }
    let mut client = pool(state)?.client().await.map_err(|error| unavailable(&error))?;
    if plan.kind != Kind::Mutation {
        return run_in(&**client, plan).await;
    }
    let failed = |error| unavailable(&translate("a mutation", error));
    let transaction = client.transaction().await.map_err(failed)?;
    let text = run_in(&*transaction, plan).await?;
    transaction.commit().await.map_err(|error| told(&error, "$", true))?;
    Ok(text)
}

/// Where a mutation belongs to a transaction that is already there.
pub async fn run_in(client: &impl GenericClient, plan: &Plan) -> Result<String, GraphqlError> {
    let mut rows = Vec::with_capacity(plan.statements.len());
    for statement in &plan.statements {
        rows.push(match plan.kind {
            Kind::Mutation => changed(client, statement).await?,
            _ => {
                let row = client.query_typed_one(&statement.sql, &typed(statement)).await;
                row.map_err(|error| told(&error, &statement.path, false))?
            }
        });
    }
    let cell = |statement: usize, column: usize| {
        rows[statement]
            .get::<_, Option<&str>>(column)
            .unwrap_or("null")
            .to_owned()
    };
    Ok(spliced(plan, &cell))
}

fn pool(state: &State) -> Result<&Pool, GraphqlError> {
    let found = state.sources.get("default").map(|connected| &connected.pool);
    found.ok_or_else(|| GraphqlError::new("unexpected", "$", "there is no database of the source \"default\""))
}

async fn changed(client: &impl GenericClient, statement: &Statement) -> Result<Row, GraphqlError> {
    let row = client.query_typed_one(&statement.sql, &typed(statement)).await;
    let row = row.map_err(|error| told(&error, &statement.path, true))?;
    if row.get::<_, Option<&str>>(1) != Some("true") {
        let message = "check constraint of an insert/update permission has failed";
        return Err(GraphqlError::new("permission-error", statement.path.as_str(), message));
    }
    Ok(row)
}

fn typed(statement: &Statement) -> Vec<(&(dyn ToSql + Sync), Type)> {
    let params = statement.params.iter();
    params.map(|param| (param as &(dyn ToSql + Sync), Type::TEXT)).collect()
}

/// The cells' text under the keys of the roots.
pub fn spliced(plan: &Plan, cell: &dyn Fn(usize, usize) -> String) -> String {
    let mut text = String::from("{");
    for (place, (key, source)) in plan.roots.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(key.as_str()).to_string());
        text.push(':');
        match source {
            Source::Ready(value) => text.push_str(&value.to_string()),
            Source::Cell(statement, column) => text.push_str(&cell(*statement, *column)),
            Source::Cells(statements) => {
                let cells: Vec<String> = statements.iter().map(|statement| cell(*statement, 0)).collect();
                text.push_str(&format!("[{}]", cells.join(",")));
            }
        }
    }
    text.push('}');
    text
}

pub fn told(error: &tokio_postgres::Error, path: &str, in_mutation: bool) -> GraphqlError {
    let Some(database) = error.as_db_error() else {
        tracing::error!(cause = %error, "a GraphQL statement got no answer");
        return GraphqlError::new("postgres-error", path, "database query error");
    };
    let failure = PostgresFailure {
        sqlstate: database.code().code(),
        message: database.message(),
        detail: database.detail(),
        hint: database.hint(),
        constraint: database.constraint(),
        statement: None,
    };
    graphql::from_postgres(&failure, path, in_mutation)
}

pub fn unavailable(error: &Error) -> GraphqlError {
    tracing::error!(code = error.code, cause = %error.chain(), "GraphQL has no database");
    GraphqlError::new("unexpected", "$", error.message.to_string())
}
