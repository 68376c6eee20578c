//! GraphQL in Hasura's dialect, pure: query text, metadata and a catalogue in, SQL text and parameters out. No I/O.

mod answer;
mod catalog;
mod document;
mod errors;
mod introspect;
mod measure;
mod misfit;

mod model;
mod open_api;
mod plan;
mod relay_id;
mod schema;
mod sql {
    pub mod quote;
}
mod syntax;
mod validate;

pub use answer::Keys;
pub use catalog::{Catalog, EnumRows, INTROSPECTION_SQL, Key as CatalogKey, Table as CatalogTable};
pub use document::{Normal, OperationInfo, VariableInfo, operation_info};
pub use errors::{GraphqlError, PostgresFailure, from_postgres, parsing_failed};
pub use measure::Measure;
pub use metadata::Metadata;
pub use model::Inconsistency;
pub use open_api::{Components, OperationShape, VariableShape};
pub use plan::{Answer, Call, Feed, Forward, Plan, Source, Statement, Validation, Way};
pub use schema::REMOTE_INTROSPECTION;
pub use syntax::OperationKind as Kind;

use model::Model;
use quick_cache::sync::Cache;
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
    /// Against the schema Relay expects.
    pub relay: bool,
}

/// What another server says its schema is: the `__schema` of its answer to [`REMOTE_INTROSPECTION`].
#[derive(Debug, Clone, Copy)]
pub struct Remote<'r> {
    pub name: &'r str,
    pub introspected: &'r Value,
}

/// Tables and permissions of one database; roles' types are made when first asked for.
pub struct Schema {
    model: Model,
    /// By name, whether `backend_only` is allowed, and whether it is Relay's.
    roles: RwLock<HashMap<(String, bool, bool), Arc<RoleSchema>>>,
    /// Documents by their text.
    documents: Cache<String, Arc<syntax::Document>>,
}

/// Documents that are remembered.
const REMEMBERED: usize = 2_000;
/// Longer ones are not: they are built by programs and come once.
const LONGEST_REMEMBERED: usize = 16 << 10;

/// What is set for the whole engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// `bigint`, `numeric` and `float8` are JSON text.
    pub stringify_numerics: bool,
    /// Who may read a table may call the functions that return its rows.
    pub infer_function_permissions: bool,
    /// Naming conventions other than Hasura's own may be asked for.
    pub conventions: bool,
    /// The one for sources that ask for none.
    pub naming_convention: Option<String>,
    /// Only administrators see remote schemas: no other role has a permission for one.
    pub remote_schema_permissions: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            stringify_numerics: false,
            infer_function_permissions: true,
            conventions: false,
            naming_convention: None,
            remote_schema_permissions: false,
        }
    }
}

impl Schema {
    /// Sources without a catalogue take no part, nor do remote schemas that were not read.
    pub fn build(
        catalogs: &[(String, &Catalog)],
        remotes: &[Remote<'_>],
        metadata: &Metadata,
        options: &Options,
    ) -> (Self, Vec<Inconsistency>) {
        let (mut model, mut wrong) = Model::resolve(catalogs, metadata, options);
        schema::add_remotes(&mut model, remotes, metadata, &mut wrong);
        wrong.extend(schema::contradictions(&model));
        (
            Schema {
                model,
                roles: RwLock::default(),
                documents: Cache::new(REMEMBERED),
            },
            wrong,
        )
    }

    /// # Errors
    /// The request does not fit the role's schema, or a permission needs a session variable that is not there.
    pub fn plan(&self, request: &Request, session: &Session) -> Result<Plan, GraphqlError> {
        let document = self.parsed(request)?;
        let schema = self.role(&session.role, session.backend, request.relay);
        let (kind, selected) = validate::resolve(
            &schema,
            &document,
            request.operation_name.as_deref(),
            &request.variables,
        )?;
        plan::plan(&self.model, &schema, session, kind, &selected)
    }

    fn parsed(&self, request: &Request) -> Result<Arc<syntax::Document>, GraphqlError> {
        if let Some(known) = self.documents.get(&request.query) {
            return Ok(known);
        }
        let document = syntax::parse_document(&request.query)
            .map_err(|_| GraphqlError::new("validation-failed", "$.query", "not a valid graphql query"))?;
        let document = Arc::new(document);
        if request.query.len() <= LONGEST_REMEMBERED {
            self.documents.insert(request.query.clone(), document.clone());
        }
        Ok(document)
    }

    /// How large a request is.
    ///
    /// # Errors
    /// The document does not parse, or it is unclear which operation is meant.
    pub fn measure(&self, request: &Request) -> Result<Measure, GraphqlError> {
        let document = self.parsed(request)?;
        let operation = validate::choose(&document, request.operation_name.as_deref())?;
        Ok(measure::measure(&document, operation))
    }

    /// What of a listed operation is not in the administrator's schema any more.
    pub fn misfits(&self, query: &str) -> Vec<String> {
        match syntax::parse_document(query) {
            Ok(document) => misfit::misfits(&self.role("admin", true, false), &document),
            Err(_) => vec!["$: not a valid graphql query".to_owned()],
        }
    }

    /// A listed operation as OpenAPI describes it, in the administrator's schema. `None` where it does not fit.
    pub fn open_api(&self, query: &str, components: &mut Components) -> Option<OperationShape> {
        let document = syntax::parse_document(query).ok()?;
        let schema = self.role("admin", true, false);
        let fits = misfit::misfits(&schema, &document).is_empty();
        fits.then(|| open_api::describe(&schema, &document, components))?
    }

    /// How many documents are remembered.
    pub fn remembered(&self) -> usize {
        self.documents.len()
    }

    /// Why these tables cannot be shown together: root fields that would mean two things.
    pub fn conflict(&self) -> Option<String> {
        self.model.conflict()
    }

    /// What kind of operation a request asks for.
    ///
    /// # Errors
    /// The document does not parse, or it is unclear which operation is meant.
    pub fn kind(&self, request: &Request, _session: &Session) -> Result<Kind, GraphqlError> {
        let document = self.parsed(request)?;
        validate::choose(&document, request.operation_name.as_deref()).map(|operation| operation.kind)
    }

    /// Each root field as a plan of its own, under its key.
    ///
    /// # Errors
    /// As [`Schema::plan`].
    pub fn explain(&self, request: &Request, session: &Session) -> Result<Vec<(String, Plan)>, GraphqlError> {
        let document = self.parsed(request)?;
        let schema = self.role(&session.role, session.backend, request.relay);
        let name = request.operation_name.as_deref();
        let (kind, selected) = validate::resolve(&schema, &document, name, &request.variables)?;
        let one = |one: validate::Selected| {
            let key = one.key.clone();
            Ok((key, plan::plan(&self.model, &schema, session, kind, &[one])?))
        };
        selected.into_iter().map(one).collect()
    }

    /// Puts a webhook's answer to its action's type, as far as it can be without a selection.
    ///
    /// # Errors
    /// It is not of that type.
    pub fn check_action(&self, name: &str, value: &Value) -> Result<(), GraphqlError> {
        match self.model.actions.iter().find(|action| action.name == name) {
            Some(action) => answer::check(&self.model.custom, &action.output, value)
                .map_err(|message| GraphqlError::new("unexpected", "$", message)),
            None => Err(GraphqlError::new(
                "unexpected",
                "$",
                format!("the action \"{name}\" is gone"),
            )),
        }
    }

    fn role(&self, role: &str, backend: bool, relay: bool) -> Arc<RoleSchema> {
        let key = (role.to_owned(), backend, relay);
        if let Some(known) = self.roles.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let made = Arc::new(RoleSchema::build(&self.model, role, backend, relay));
        // A role nobody wrote down is not remembered: callers could name any number of them.
        if self.model.knows_role(role) {
            self.roles
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, made.clone());
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        let column = |name: &str, ty: &str| {
            json!({"name": name, "type": {"name": ty, "is_array": false, "kind": "b", "sql": ty, "table": null},
                "nullable": true, "has_default": false, "generated": false, "comment": null})
        };
        let catalog = json!({"tables": [{
            "schema": "public", "name": "note", "kind": "r", "comment": null,
            "insertable": true, "updatable": true, "deletable": true,
            "columns": [column("id", "int4"), column("owner", "text"), column("parent", "int4")],
            "keys": [{"name": "note_pkey", "primary": true, "columns": ["id"]}],
            "foreign_keys": [{"name": "up", "columns": ["parent"], "to_schema": "public", "to_table": "note",
                "to_columns": ["id"]}],
        }]});
        let metadata = json!({"version": 3, "sources": [{"name": "default", "tables": [{
            "table": "note",
            "object_relationships": [{"name": "up", "using": {"foreign_key_constraint_on": "parent"}}],
            "select_permissions": [{"role": "user", "permission": {
                "columns": ["id"], "filter": {"owner": {"_eq": "X-Hasura-User-Id"}}, "limit": 5}}],
        }]}]});
        let catalog = Catalog::from_json(catalog.to_string().as_bytes()).expect("a catalogue");
        let metadata = serde_json::from_value(metadata).expect("metadata");
        let catalogs = [("default".to_owned(), &catalog)];
        let (schema, wrong) = Schema::build(&catalogs, &[], &metadata, &Options::default());
        assert_eq!(wrong, []);
        schema
    }

    fn plan(query: &str, role: &str, user: Option<&str>) -> Result<Plan, GraphqlError> {
        let variables = user
            .map(|user| ("x-hasura-user-id".to_owned(), user.to_owned()))
            .into_iter()
            .collect();
        let session = Session {
            role: role.to_owned(),
            variables,
            backend: false,
        };
        schema().plan(
            &Request {
                query: query.to_owned(),
                ..Request::default()
            },
            &session,
        )
    }

    #[test]
    fn values_and_session_variables_are_parameters() {
        let plan = plan(
            "{ note(where: {id: {_eq: 7}}, limit: 9) { id } }",
            "user",
            Some("o'ada"),
        )
        .expect("a plan");
        let [statement] = plan.statements.as_slice() else {
            panic!("one statement for all roots")
        };
        assert!(
            !statement.sql.contains("ada") && !statement.sql.contains('7'),
            "{}",
            statement.sql
        );
        let params: Vec<_> = statement.params.iter().flatten().map(String::as_str).collect();
        assert_eq!(params, ["o'ada", "7", "5"], "the permission's limit is the smaller one");
    }

    #[test]
    fn a_permission_without_its_session_variable_refuses() {
        let error = plan("{ note { id } }", "user", None).expect_err("no variable");
        assert_eq!(error.message, "missing session variable: \"x-hasura-user-id\"");
    }

    #[test]
    fn null_never_widens_a_condition() {
        for filter in ["{id: {_eq: null}}", "{id: null}", "{_and: null}", "{_not: null}"] {
            let query = format!("mutation {{ delete_note(where: {filter}) {{ affected_rows }} }}");
            plan(&query, "admin", None).expect_err(filter);
        }
    }

    #[test]
    fn fragments_cannot_nest_past_the_stack() {
        let mut query = String::from("{ note { ...f0 } }");
        for at in 0..2000 {
            query.push_str(&format!(
                " fragment f{at} on note {{ up {{ up {{ ...f{} }} }} }}",
                at + 1
            ));
        }
        let error = plan(&query, "admin", None).expect_err("too deep");
        assert_eq!(error.message, "the query nests too deeply");
        let error = plan("{ note { ...a } } fragment a on note { ...a }", "admin", None).expect_err("a cycle");
        assert_eq!(error.message, "the fragment definition(s) a form a cycle");
    }
}
