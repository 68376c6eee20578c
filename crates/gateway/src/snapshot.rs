//! The compiled configuration: per entrypoint its routers in priority order with their chains, for plain text and for TLS.

use crate::{
    acme::names::Wanted,
    canonical,
    cloudflare::Cloudflare,
    exchange::Exchange,
    forwarded,
    index::Index,
    listener::tls,
    meter::Scope,
    middleware::{Flow, Middleware},
    rule::{Rule, Target},
    service::{Service, health::Checks},
    settings::Forwarded,
};
use axum::{body::Body, response::Response};
use http::Request;
use std::sync::Arc;

pub struct Snapshot {
    /// In the order of the settings.
    pub entries: Vec<Entry>,
    pub checks: Vec<Checks>,
    /// The certificates routers ask resolvers for.
    pub wanted: Vec<Wanted>,
    pub certificates: Arc<tls::Certificates>,
}

pub struct Entry {
    pub plain: Routes,
    pub secure: Routes,
    pub tls: tls::Table,
    pub forwarded: Forwarded,
    pub cloudflare: Option<Cloudflare>,
    pub keep_semicolons: bool,
    pub is_admin: bool,
    /// Where requests are counted that find no router.
    pub scope: Scope,
}

#[derive(Default)]
pub struct Routes {
    index: Index,
    routes: Vec<Arc<Route>>,
}

pub struct Route {
    pub service: Arc<Service>,
    pub chain: Vec<Middleware>,
    pub scope: Scope,
}

/// A router on its way into a table.
pub struct Placed {
    pub priority: i64,
    pub name: Arc<str>,
    pub rule: Rule,
    pub route: Arc<Route>,
}

impl Routes {
    /// Higher priorities first; equal ones by name.
    pub fn new(mut placed: Vec<Placed>) -> Self {
        placed.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
        let mut rules = Vec::with_capacity(placed.len());
        let mut routes = Vec::with_capacity(placed.len());
        for router in placed {
            rules.push(router.rule);
            routes.push(router.route);
        }
        Self {
            index: Index::new(rules),
            routes,
        }
    }

    pub fn find(&self, request: &Request<Body>, exchange: &Exchange) -> Option<&Arc<Route>> {
        let path = canonical::for_matching(request.uri().path());
        let target = Target {
            host: &exchange.host,
            path: &path,
            query: request.uri().query(),
            method: request.method().as_str(),
            headers: request.headers(),
            peer: exchange.ip(),
        };
        self.index.find(&target).map(|rank| &self.routes[rank])
    }
}

impl Route {
    /// Down the chain, to the service, and up again.
    pub async fn run(&self, mut request: Request<Body>, exchange: &mut Exchange) -> Response {
        let mut entered = 0;
        let mut response = loop {
            let Some(middleware) = self.chain.get(entered) else {
                forwarded::append_peer(request.headers_mut(), exchange.ip_text());
                break match self.service.at_once(&request) {
                    Some(response) => response,
                    None => self.service.call(request, exchange).await,
                };
            };
            match middleware.request(entered, &mut request, exchange).await {
                Flow::On => entered += 1,
                Flow::Answer(response) => break response,
            }
        };
        for (place, middleware) in self.chain[..entered].iter().enumerate().rev() {
            response = middleware.response(place, response, exchange).await;
        }
        response
    }
}
