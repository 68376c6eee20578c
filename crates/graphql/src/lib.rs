//! GraphQL in Hasura's dialect, pure: query text, metadata and a catalogue in, SQL text and parameters out. No I/O.

mod catalog;
mod errors;
mod introspect;
mod metadata;
mod model;
mod plan;
mod schema;
mod sql {
    pub mod quote;
}
mod syntax;
mod validate;

pub use catalog::{Catalog, INTROSPECTION_SQL};
pub use errors::{GraphqlError, PostgresFailure, from_postgres};
pub use metadata::Metadata;
pub use model::Inconsistency;
pub use plan::{Plan, Source, Statement};

use model::Model;
use schema::RoleSchema;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Who asks: a role and the `x-hasura-*` variables, names in lower case.
#[derive(Debug, Clone, Default)]
pub struct Session {
    pub role: String,
    pub variables: HashMap<String, String>,
    /// May use what is `backend_only`.
    pub backend: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Request {
    pub query: String,
    pub operation_name: Option<String>,
    pub variables: Map<String, Value>,
}

/// Tables and permissions of one database; roles' types are made when first asked for.
pub struct Schema {
    model: Model,
    roles: RwLock<HashMap<(String, bool), Arc<RoleSchema>>>,
}

impl Schema {
    pub fn build(catalog: &Catalog, metadata: &Metadata) -> (Self, Vec<Inconsistency>) {
        let (model, wrong) = Model::resolve(catalog, metadata);
        (
            Schema {
                model,
                roles: RwLock::default(),
            },
            wrong,
        )
    }

    /// # Errors
    /// The request does not fit the role's schema, or a permission needs a session variable that is not there.
    pub fn plan(&self, request: &Request, session: &Session) -> Result<Plan, GraphqlError> {
        let document = syntax::parse_document(&request.query)
            .map_err(|_| GraphqlError::new("validation-failed", "$.query", "not a valid graphql query"))?;
        let schema = self.role(&session.role, session.backend);
        let (kind, selected) = validate::resolve(
            &schema,
            &document,
            request.operation_name.as_deref(),
            &request.variables,
        )?;
        plan::plan(&self.model, &schema, session, kind, &selected)
    }

    fn role(&self, role: &str, backend: bool) -> Arc<RoleSchema> {
        let key = (role.to_owned(), backend);
        if let Some(known) = self.roles.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let made = Arc::new(RoleSchema::build(&self.model, role, backend));
        // A role nobody wrote down is not remembered: callers could name any number of them.
        if role == "admin"
            || self
                .model
                .tables
                .iter()
                .any(|table| table.permissions.contains_key(role))
        {
            self.roles
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, made.clone());
        }
        made
    }
}
