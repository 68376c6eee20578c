//! Runs a plan: a query is one statement, a mutation its statements in one transaction. Answers are spliced together
//! as PostgreSQL wrote them.

use crate::{
    actions::{Asking, Done},
    engine::Engine,
    limits::time_limit,
    remotes::Texts,
    session,
    state::State,
    time_limit::{TimeLimit, within},
};
use axum::response::{IntoResponse, Response};
use foundation::Error;
use futures_util::future::try_join_all;
use graphql::{GraphqlError, Kind, Plan, PostgresFailure, Request, Session, Source, Statement};
use http::{HeaderMap, HeaderValue, header};
use postgres_chassis::{Client, Pool, translate};
use tokio_postgres::{
    GenericClient, Row,
    types::{ToSql, Type},
};

impl Engine {
    /// # Errors
    /// With what is for administrators only where the caller is one.
    pub async fn answer(
        &self,
        request: &Request,
        session: &Session,
        headers: &HeaderMap,
        writes: bool,
    ) -> Result<Answered, GraphqlError> {
        let answer = self.answer_in_full(request, session, headers, writes).await;
        answer.map_err(|error| shown_to(&session.role, error))
    }

    async fn answer_in_full(
        &self,
        request: &Request,
        session: &Session,
        headers: &HeaderMap,
        writes: bool,
    ) -> Result<Answered, GraphqlError> {
        let state = self.state();
        if self.settings.allow_list && session.role != "admin" && !state.allowed.allows(&request.query, &session.role) {
            return Err(GraphqlError::new("validation-failed", "$", "query is not allowed"));
        }
        let plan = state.schema.plan(request, session)?;
        if plan.kind == Kind::Mutation && !writes {
            let message = "mutations must be sent with POST";
            return Err(GraphqlError::new("validation-failed", "$", message));
        }
        let limit = time_limit(&state.limits, &session.role).map(TimeLimit::from_now);
        let asking = Asking {
            session,
            headers,
            query: &request.query,
        };
        self.run(&state, &plan, asking, limit).await
    }

    /// What webhooks answer and what the databases do.
    pub async fn run(
        &self,
        state: &State,
        plan: &Plan,
        asking: Asking<'_>,
        limit: Option<TimeLimit>,
    ) -> Result<Answered, GraphqlError> {
        let mut called = Vec::with_capacity(plan.calls.len());
        let mut told = Vec::with_capacity(plan.forwards.len());
        if plan.kind == Kind::Mutation {
            for validation in &plan.validations {
                self.validate(validation, asking).await?;
            }
            let (before, after) = plan.calls.split_at(plan.calls.partition_point(|call| call.after == 0));
            for call in before {
                called.push(self.call(state, call, asking).await?);
            }
            let (first, last) = plan
                .forwards
                .split_at(plan.forwards.partition_point(|one| one.after == 0));
            for forward in first {
                told.push(self.forward(state, forward, asking).await?);
            }
            let cells = run(state, plan, asking.session, limit).await?;
            for call in after {
                called.push(self.call(state, call, asking).await?);
            }
            for forward in last {
                told.push(self.forward(state, forward, asking).await?);
            }
            return Ok(answered(plan, &cells, called, &told));
        }
        let calls = plan.calls.iter().map(|call| self.call(state, call, asking));
        called.extend(try_join_all(calls).await?);
        if plan.forwards.is_empty() {
            let cells = run(state, plan, asking.session, limit).await?;
            return Ok(answered(plan, &cells, called, &told));
        }
        let forwards = plan.forwards.iter().map(|one| self.forward(state, one, asking));
        let (told, cells) = tokio::try_join!(try_join_all(forwards), run(state, plan, asking.session, limit))?;
        Ok(answered(plan, &cells, called, &told))
    }
}

/// What the database or a webhook said in full is for administrators.
pub fn shown_to(role: &str, error: GraphqlError) -> GraphqlError {
    match role {
        "admin" => error,
        _ => GraphqlError {
            internal: None,
            ..error
        },
    }
}

/// An operation's answer.
#[derive(Debug, Default)]
pub struct Answered {
    /// The text of `data`.
    pub data: String,
    /// What webhooks want set.
    pub cookies: Vec<HeaderValue>,
}

impl Answered {
    pub fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
        let mut response = (kind, self.data).into_response();
        let cookies = self.cookies.into_iter().map(|cookie| (header::SET_COOKIE, cookie));
        response.headers_mut().extend(cookies);
        response
    }
}

fn answered(plan: &Plan, cells: &Cells, called: Vec<Done>, told: &[Texts]) -> Answered {
    let texts: Vec<&str> = called.iter().map(|done| done.text.as_str()).collect();
    let answers = Answers {
        cell: &|statement, column| shown(cells, statement, column),
        called: &texts,
        told,
    };
    Answered {
        data: spliced(plan, &answers),
        cookies: called.iter().flat_map(|done| done.cookies.clone()).collect(),
    }
}

async fn run(state: &State, plan: &Plan, session: &Session, limit: Option<TimeLimit>) -> Result<Cells, GraphqlError> {
    let mut cells: Cells = Vec::with_capacity(plan.statements.len());
    if plan.kind == Kind::Mutation {
        change(state, plan, session, limit, &mut cells).await?;
    } else {
        for statement in &plan.statements {
            let (pool, client) = reader(state, &statement.source).await?;
            let bound = limit.map(|limit| limit.of(pool, &client));
            // A pooler between us and the database may not keep them apart.
            cells.push(match state.prepares(&statement.source) {
                true => within(bound.as_ref(), read_prepared(&client, statement)).await?,
                false => within(bound.as_ref(), read(&**client, statement)).await?,
            });
        }
    }
    Ok(cells)
}

/// The text of each statement's columns.
type Cells = Vec<Vec<Option<String>>>;

fn shown(cells: &Cells, statement: usize, column: usize) -> String {
    cells[statement][column].clone().unwrap_or_else(|| "null".to_owned())
}

fn texts(row: &Row) -> Vec<Option<String>> {
    (0..row.len()).map(|column| row.get(column)).collect()
}

/// One transaction for each source, committed when all statements are done.
async fn change(
    state: &State,
    plan: &Plan,
    session: &Session,
    limit: Option<TimeLimit>,
    cells: &mut Cells,
) -> Result<(), GraphqlError> {
    let mut open: Vec<(&str, Client)> = Vec::new();
    for statement in &plan.statements {
        if !open.iter().any(|(source, _)| *source == statement.source) {
            let client = pool(state, &statement.source)?.client().await;
            open.push((&statement.source, client.map_err(|error| unavailable(&error))?));
        }
    }
    let failed = |error| unavailable(&translate("a mutation", error));
    let mut transactions = Vec::with_capacity(open.len());
    for (source, client) in &mut open {
        let pool = pool(state, source)?;
        let bound = limit.map(|limit| limit.of(pool, client));
        transactions.push((*source, client.transaction().await.map_err(failed)?, bound, false));
    }
    for statement in &plan.statements {
        let found = transactions.iter_mut().find(|(source, ..)| *source == statement.source);
        let Some((_, transaction, bound, told_who)) = found else {
            continue;
        };
        let tell = !std::mem::replace(told_who, true);
        let work = async {
            // Both are on their way before the first is answered.
            let telling = async {
                match tell {
                    true => session::said(&**transaction, session).await,
                    false => Ok(()),
                }
            };
            let (said, done) = tokio::join!(telling, write(&**transaction, statement, cells));
            said.map_err(|error| told(&error, "$", true))?;
            done
        };
        let done = within(bound.as_ref(), work).await?;
        cells.push(done);
    }
    for (_, transaction, ..) in transactions {
        transaction.commit().await.map_err(|error| told(&error, "$", true))?;
    }
    Ok(())
}

/// Where a mutation belongs to a transaction that is already there.
pub async fn run_in(client: &impl GenericClient, plan: &Plan) -> Result<String, GraphqlError> {
    let mut cells: Cells = Vec::with_capacity(plan.statements.len());
    for statement in &plan.statements {
        let row = match plan.kind {
            Kind::Mutation => write(client, statement, &cells).await?,
            _ => read(client, statement).await?,
        };
        cells.push(row);
    }
    let cell = |statement, column| shown(&cells, statement, column);
    Ok(spliced(plan, &Answers::of(&cell)))
}

pub fn pool<'s>(state: &'s State, source: &str) -> Result<&'s Pool, GraphqlError> {
    let found = state.sources.get(source).map(|connected| &connected.pool);
    found.ok_or_else(|| {
        GraphqlError::new(
            "unexpected",
            "$",
            format!("there is no database of the source \"{source}\""),
        )
    })
}

/// A connection for a query: of a copy that can be reached, else of the database itself.
async fn reader<'s>(state: &'s State, source: &str) -> Result<(&'s Pool, Client), GraphqlError> {
    if let Some(connected) = state.sources.get(source) {
        for replica in connected.replicas.in_turn() {
            match replica.pool.client().await {
                Ok(client) => return Ok((&replica.pool, client)),
                Err(error) => {
                    replica.rest();
                    tracing::warn!(source, cause = %error.chain(), "a read replica cannot be reached");
                }
            }
        }
    }
    let pool = pool(state, source)?;
    let client = pool.client().await.map_err(|error| unavailable(&error))?;
    Ok((pool, client))
}

async fn read(client: &impl GenericClient, statement: &Statement) -> Result<Vec<Option<String>>, GraphqlError> {
    let row = client.query_typed_one(&statement.sql, &typed(&statement.params)).await;
    row.map(|row| texts(&row))
        .map_err(|error| told(&error, &statement.path, false))
}

/// Statements of a connection that are kept prepared; past it all are forgotten, so that odd ones do not pile up.
const MOST_PREPARED: usize = 256;

/// The database plans a statement once per connection instead of once per request.
async fn read_prepared(client: &Client, statement: &Statement) -> Result<Vec<Option<String>>, GraphqlError> {
    let failed = |error: &tokio_postgres::Error| told(error, &statement.path, false);
    if client.statement_cache.size() >= MOST_PREPARED {
        client.statement_cache.clear();
    }
    let types = vec![Type::TEXT; statement.params.len()];
    let prepared = client.prepare_typed_cached(&statement.sql, &types).await;
    let prepared = prepared.map_err(|error| failed(&error))?;
    let params: Vec<&(dyn ToSql + Sync)> = statement
        .params
        .iter()
        .map(|param| param as &(dyn ToSql + Sync))
        .collect();
    let row = client.query_one(&prepared, &params).await;
    row.map(|row| texts(&row)).map_err(|error| failed(&error))
}

async fn write(
    client: &impl GenericClient,
    statement: &Statement,
    earlier: &Cells,
) -> Result<Vec<Option<String>>, GraphqlError> {
    let mut params = statement.params.clone();
    for feed in &statement.feeds {
        params[feed.param].clone_from(&earlier[feed.statement][feed.column]);
    }
    let row = client.query_typed_one(&statement.sql, &typed(&params)).await;
    let row = row.map_err(|error| told(&error, &statement.path, true))?;
    match row.get::<_, Option<&str>>(1) {
        Some("true") => Ok(texts(&row)),
        Some(wrong) if wrong.starts_with('{') => Err(refused(wrong, &statement.path)),
        _ => {
            let message = "check constraint of an insert/update permission has failed";
            let path = statement.check_path.as_ref().unwrap_or(&statement.path);
            Err(GraphqlError::new("permission-error", path.as_str(), message))
        }
    }
}

/// A statement's own words for what is wrong: `{"message", "path"}`.
fn refused(wrong: &str, path: &str) -> GraphqlError {
    let told: serde_json::Value = serde_json::from_str(wrong).unwrap_or_default();
    let text = |key: &str| told[key].as_str().map(str::to_owned);
    GraphqlError::new(
        "unexpected",
        text("path").unwrap_or_else(|| path.to_owned()),
        text("message").unwrap_or_default(),
    )
}

fn typed(params: &[Option<String>]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    params
        .iter()
        .map(|param| (param as &(dyn ToSql + Sync), Type::TEXT))
        .collect()
}

/// What the answer is put together from.
pub struct Answers<'a> {
    pub cell: &'a dyn Fn(usize, usize) -> String,
    pub called: &'a [&'a str],
    pub told: &'a [Texts],
}

impl<'a> Answers<'a> {
    /// Where only the database answers.
    pub fn of(cell: &'a dyn Fn(usize, usize) -> String) -> Self {
        Answers {
            cell,
            called: &[],
            told: &[],
        }
    }
}

/// The cells' text, and what webhooks answered, under the keys of the roots.
pub fn spliced(plan: &Plan, answers: &Answers<'_>) -> String {
    let mut text = String::new();
    splice(&plan.roots, answers, &mut text);
    text
}

fn splice(roots: &[(String, Source)], answers: &Answers<'_>, text: &mut String) {
    text.push('{');
    for (place, (key, source)) in roots.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(key.as_str()).to_string());
        text.push(':');
        match source {
            Source::Ready(value) => text.push_str(&value.to_string()),
            Source::Cell(statement, column) => text.push_str(&(answers.cell)(*statement, *column)),
            Source::Cells(statements) => {
                let cells: Vec<String> = statements
                    .iter()
                    .map(|statement| (answers.cell)(*statement, 0))
                    .collect();
                text.push_str(&format!("[{}]", cells.join(",")));
            }
            Source::Call(at) => text.push_str(answers.called.get(*at).copied().unwrap_or("null")),
            Source::Remote(at, key) => {
                let found = answers.told.get(*at).and_then(|texts| texts.get(key));
                text.push_str(found.map_or("null", String::as_str));
            }
            Source::Object(inner) => splice(inner, answers, text),
        }
    }
    text.push('}');
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
