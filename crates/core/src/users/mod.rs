//! `/v1/core/users`: the accounts themselves. A file is an endpoint.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod me;
pub mod store;
pub mod update;

use foundation::{Role, Uuid, rfc3339};
use serde::Serialize;
use tokio_postgres::Row;
use utoipa::ToSchema;

/// An account, as its owner and administrators see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct User {
    pub id: Uuid,
    pub email: String,
    pub name: Option<String>,
    #[schema(value_type = String, example = "user")]
    pub role: Role,
    /// RFC 3339
    pub created_at: String,
    /// RFC 3339
    pub updated_at: String,
}

#[derive(Serialize, ToSchema)]
pub struct UserBody {
    pub user: User,
}

impl User {
    /// The columns [`User::from_row`] reads, in order. Older tables keep times without a zone; they are UTC.
    const COLUMNS: &'static str = "id, email, name, role, created_at::timestamptz, updated_at::timestamptz";

    fn from_row(row: &Row) -> Self {
        Self {
            id: row.get(0),
            email: row.get(1),
            name: row.get(2),
            // The column has a check constraint; an unknown role would be one we are too old for, and gets no rights.
            role: row.get::<_, &str>(3).parse().unwrap_or(Role::User),
            created_at: rfc3339(row.get(4)),
            updated_at: rfc3339(row.get(5)),
        }
    }
}
