//! The route table of links: its own REST paths. GraphQL and Hasura's paths are in the crate `graphql-api`.

use crate::{
    Links,
    analytics::{routes as analytics, shares},
    manage::{blocked, bulk, check, domains, folders, links as own, organizations, qr, tags, transfer, utm_templates},
    redirect,
};
use axum::{Router, extract::State, routing::get};
use foundation::{Error, Result};
use http_chassis::{
    auth::Verifier,
    docs,
    health::{Health, check},
    routes::{Access, Routes},
};
use std::sync::Arc;
use utoipa_axum::routes;

pub fn router(links: Links, verifier: Arc<Verifier>) -> Result<Router> {
    use Access::{Admin, Public, User};
    let (routes, document) = Routes::new(verifier)
        .add(Public, routes!(redirect::follow, redirect::unlock))
        .add(User, routes!(own::list, own::create))
        .add(User, routes!(own::count))
        .add(User, routes!(bulk::create))
        .add(User, routes!(transfer::export))
        .add(User, routes!(transfer::import))
        .add(User, routes!(own::get, own::update, own::delete))
        .add(User, routes!(own::restore))
        .add(User, routes!(qr::qr))
        .add(User, routes!(check::check))
        .add(User, routes!(check::page))
        .add(User, routes!(domains::list, domains::create))
        .add(User, routes!(domains::update, domains::delete))
        .add(User, routes!(folders::list, folders::create))
        .add(User, routes!(folders::update, folders::delete))
        .add(User, routes!(tags::list, tags::create))
        .add(User, routes!(tags::update, tags::delete))
        .add(User, routes!(utm_templates::list, utm_templates::create))
        .add(User, routes!(utm_templates::update, utm_templates::delete))
        .add(User, routes!(organizations::list, organizations::create))
        .add(User, routes!(organizations::delete))
        .add(User, routes!(organizations::members, organizations::add))
        .add(User, routes!(organizations::remove))
        .add(Admin, routes!(blocked::list, blocked::block))
        .add(Admin, routes!(blocked::unblock))
        .add(User, routes!(analytics::ask))
        .add(User, routes!(analytics::export))
        .add(User, routes!(analytics::live))
        .add(User, routes!(shares::create))
        .add(User, routes!(shares::end))
        .add(Public, routes!(shares::page))
        .add(Public, routes!(shares::ask))
        .add(User, routes!(shares::hook))
        .add(User, routes!(shares::unhook))
        .split("Portico links");
    let documents = docs::router("/v1/links", &document).map_err(|error| Error::internal("writing OpenAPI", error))?;
    let routes = routes
        .route("/v1/links/health", get(health))
        .route("/", get(redirect::root))
        .route(
            "/{slug}",
            get(redirect::follow_on_short_domain).post(redirect::unlock_on_short_domain),
        );
    let graphql = graphql_api::router(links.graphql.clone()).merge(graphql_api::short_path(links.graphql.clone()));
    let routes = routes.with_state(links).merge(documents);
    Ok(routes.nest("/v1/links", graphql))
}

async fn health(State(links): State<Links>) -> Health {
    Health::of("links", vec![check("database", links.pool.ping()).await])
}
