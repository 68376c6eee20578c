//! Runs a plan: a query is one statement, a mutation its statements in one transaction. Answers are spliced together
//! as PostgreSQL wrote them.

use super::{Endpoint, shipped};
use ::graphql::{
    Catalog, GraphqlError, INTROSPECTION_SQL, Plan, PostgresFailure, Request, Schema, Session, Source, Statement,
};
use foundation::{Error, Result};
use postgres_chassis::translate;
use std::sync::Arc;
use tokio_postgres::{
    Row,
    error::SqlState,
    types::{ToSql, Type},
};

/// Why there is no answer.
enum Failure {
    Told(GraphqlError),
    /// The database has other tables than we thought.
    Outdated(GraphqlError),
}

impl From<GraphqlError> for Failure {
    fn from(error: GraphqlError) -> Self {
        Failure::Told(error)
    }
}

impl Endpoint {
    /// The text of `data`.
    pub(super) async fn answer(
        &self,
        request: &Request,
        session: &Session,
        writes: bool,
    ) -> Result<String, GraphqlError> {
        for last in [false, true] {
            let schema = self.schema(last).await.map_err(|error| unavailable(&error))?;
            let plan = schema.plan(request, session)?;
            if plan.kind == ::graphql::Kind::Mutation && !writes {
                return Err(GraphqlError::new(
                    "validation-failed",
                    "$",
                    "mutations must be sent with POST",
                ));
            }
            match self.run(&plan).await {
                Ok(text) => return Ok(text),
                Err(Failure::Outdated(_)) if !last => {}
                Err(Failure::Told(error) | Failure::Outdated(error)) => return Err(error),
            }
        }
        Err(GraphqlError::new(
            "unexpected",
            "$",
            "the database's tables are changing; try again",
        ))
    }

    async fn schema(&self, again: bool) -> Result<Arc<Schema>> {
        if let (false, Some(known)) = (again, self.schema.read().await.as_ref()) {
            return Ok(known.clone());
        }
        let mut slot = self.schema.write().await;
        if let (false, Some(known)) = (again, slot.as_ref()) {
            return Ok(known.clone());
        }
        let client = self.pool.client().await?;
        let row = client.query_one(INTROSPECTION_SQL, &[]).await;
        let row = row.map_err(|error| translate("reading the catalogue", error))?;
        let catalog = Catalog::from_json(row.get::<_, &str>(0).as_bytes())
            .map_err(|error| Error::internal("reading the catalogue", error))?;
        let (schema, wrong) = Schema::build(&catalog, &shipped::metadata()?);
        for one in wrong {
            tracing::warn!(object = one.name, "{}", one.reason);
        }
        let schema = Arc::new(schema);
        *slot = Some(schema.clone());
        Ok(schema)
    }

    async fn run(&self, plan: &Plan) -> Result<String, Failure> {
        let mut rows = Vec::with_capacity(plan.statements.len());
        if !plan.statements.is_empty() {
            let mut client = self.pool.client().await.map_err(|error| unavailable(&error))?;
            if plan.kind == ::graphql::Kind::Mutation {
                let failed = |error| unavailable(&translate("a mutation", error));
                let transaction = client.transaction().await.map_err(failed)?;
                for statement in &plan.statements {
                    let params = typed(statement);
                    let row = transaction.query_typed_one(&statement.sql, &params).await;
                    let row = row.map_err(|error| told(&error, &statement.path, true))?;
                    if row.get::<_, Option<&str>>(1) != Some("true") {
                        let message = "check constraint of an insert/update permission has failed";
                        return Err(GraphqlError::new("permission-error", statement.path.as_str(), message).into());
                    }
                    rows.push(row);
                }
                transaction.commit().await.map_err(|error| told(&error, "$", true))?;
            } else {
                for statement in &plan.statements {
                    let row = client.query_typed_one(&statement.sql, &typed(statement)).await;
                    rows.push(row.map_err(|error| told(&error, &statement.path, false))?);
                }
            }
        }
        Ok(spliced(plan, &rows))
    }
}

fn typed(statement: &Statement) -> Vec<(&(dyn ToSql + Sync), Type)> {
    statement
        .params
        .iter()
        .map(|param| (param as &(dyn ToSql + Sync), Type::TEXT))
        .collect()
}

fn spliced(plan: &Plan, rows: &[Row]) -> String {
    let cell = |statement: usize, column: usize| rows[statement].get::<_, Option<&str>>(column).unwrap_or("null");
    let mut text = String::from("{");
    for (place, (key, source)) in plan.roots.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(key.as_str()).to_string());
        text.push(':');
        match source {
            Source::Ready(value) => text.push_str(&value.to_string()),
            Source::Cell(statement, column) => text.push_str(cell(*statement, *column)),
            Source::Cells(statements) => {
                let cells: Vec<&str> = statements.iter().map(|statement| cell(*statement, 0)).collect();
                text.push_str(&format!("[{}]", cells.join(",")));
            }
        }
    }
    text.push('}');
    text
}

fn told(error: &tokio_postgres::Error, path: &str, in_mutation: bool) -> Failure {
    let Some(database) = error.as_db_error() else {
        tracing::error!(cause = %error, "a GraphQL statement got no answer");
        return GraphqlError::new("postgres-error", path, "database query error").into();
    };
    let failure = PostgresFailure {
        sqlstate: database.code().code(),
        message: database.message(),
        detail: database.detail(),
        hint: database.hint(),
        constraint: database.constraint(),
        statement: None,
    };
    let told = ::graphql::from_postgres(&failure, path, in_mutation);
    match *database.code() {
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN => Failure::Outdated(told),
        _ => Failure::Told(told),
    }
}

fn unavailable(error: &Error) -> GraphqlError {
    tracing::error!(code = error.code, cause = %error.chain(), "GraphQL has no database");
    GraphqlError::new("unexpected", "$", error.message.to_string())
}
