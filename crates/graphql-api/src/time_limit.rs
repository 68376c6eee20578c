//! The time an operation may take: past it, its statement is ended in the database.

use crate::limits::too_long;
use graphql::GraphqlError;
use postgres_chassis::{Client, Pool};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::CancelToken;

#[derive(Clone, Copy)]
pub struct TimeLimit {
    most: Duration,
    until: Instant,
}

impl TimeLimit {
    pub fn from_now(most: Duration) -> Self {
        TimeLimit {
            most,
            until: Instant::now() + most,
        }
    }

    /// On one connection.
    pub fn of<'p>(self, pool: &'p Pool, client: &Client) -> Bound<'p> {
        Bound {
            limit: self,
            pool,
            token: client.cancel_token(),
        }
    }
}

/// What ends the statement of a connection that takes too long.
pub struct Bound<'p> {
    limit: TimeLimit,
    pool: &'p Pool,
    token: CancelToken,
}

/// The work, or its end where it takes too long.
pub async fn within<T>(
    bound: Option<&Bound<'_>>,
    work: impl Future<Output = Result<T, GraphqlError>>,
) -> Result<T, GraphqlError> {
    let Some(bound) = bound else { return work.await };
    let mut work = std::pin::pin!(work);
    if let Ok(done) = timeout_at(bound.limit.until, &mut work).await {
        return done;
    }
    if let Err(error) = bound.pool.cancel(&bound.token).await {
        tracing::warn!(cause = %error.chain(), "a statement over its time limit could not be ended");
    }
    // The connection is free for others when the statement has ended.
    let _ended = work.await;
    Err(too_long(bound.limit.most))
}
