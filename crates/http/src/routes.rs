//! The route table: a path, its handler, and who may call it, in one line; OpenAPI comes from the same table.

use crate::{
    auth::{Caller, Verifier, bearer},
    problem::Failure,
};
use axum::{
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use foundation::{Error, Kind};
use std::sync::Arc;
use utoipa::openapi::{
    OpenApi, RefOr,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Who may call a route. A bad token is refused on every one of them, `Public` included, but not `Door`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Tokens are not looked at: a stale one must keep nobody from getting a fresh one.
    Door,
    Public,
    User,
    Admin,
}

/// The name of the security scheme in OpenAPI.
const SCHEME: &str = "bearer";

pub struct Routes<S> {
    router: OpenApiRouter<S>,
    verifier: Arc<Verifier>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self {
            router: OpenApiRouter::new(),
            verifier,
        }
    }

    /// One line of the table; `methods` is what `utoipa_axum::routes!` gives.
    pub fn add(mut self, access: Access, methods: UtoipaMethodRouter<S>) -> Self {
        let (schemas, mut paths, methods) = methods;
        if !matches!(access, Access::Door | Access::Public) {
            for item in paths.paths.values_mut() {
                require_bearer(item, access);
            }
        }
        let methods = methods.layer(from_fn_with_state((self.verifier.clone(), access), admit));
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    /// The router with its state still open, and the document of all its routes.
    pub fn split(self, title: &str) -> (axum::Router<S>, OpenApi) {
        let (router, mut document) = self.router.split_for_parts();
        document.info.title = title.to_owned();
        document.info.version = env!("CARGO_PKG_VERSION").to_owned();
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components
            .security_schemes
            .insert(SCHEME.to_owned(), RefOr::T(SecurityScheme::Http(scheme)));
        (router, document)
    }
}

fn require_bearer(item: &mut utoipa::openapi::PathItem, access: Access) {
    let scopes: &[&str] = if access == Access::Admin { &["admin"] } else { &[] };
    let operations = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
        &mut item.head,
        &mut item.options,
    ];
    for operation in operations.into_iter().flatten() {
        operation.security = Some(vec![SecurityRequirement::new(SCHEME, scopes.iter().copied())]);
    }
}

async fn admit(
    State((verifier, access)): State<(Arc<Verifier>, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&verifier, access, &request) {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(error) => Failure(error).into_response(),
    }
}

fn caller(verifier: &Verifier, access: Access, request: &Request) -> Result<Option<Caller>, Error> {
    if access == Access::Door {
        return Ok(None);
    }
    let caller = match bearer(request.headers())? {
        Some(token) => Some(Caller(verifier.verify(token)?)),
        None => None,
    };
    match (&caller, access) {
        (_, Access::Door | Access::Public) | (Some(_), Access::User) => Ok(caller),
        (Some(known), Access::Admin) if known.is_admin() => Ok(caller),
        (Some(_), Access::Admin) => Err(Error::new(
            Kind::Forbidden,
            "ADMIN_ONLY",
            "Only administrators may do this",
        )),
        (None, _) => {
            let message = "This needs an access token: Authorization: Bearer <token>";
            Err(Error::new(Kind::Unauthenticated, "TOKEN_MISSING", message))
        }
    }
}
