//! A service as the gateway of the same process calls it.

use axum::{Router, body::Body, extract::Request, response::Response};
use std::sync::Arc;

/// Answers what needs no waiting, or declines: then the request goes the whole way. It must do by itself what the envelope does
/// for the others: count the answer.
pub type AtOnce = Arc<dyn Fn(&Request<Body>) -> Option<Response> + Send + Sync>;

#[derive(Clone)]
pub struct InProcess {
    pub router: Router,
    /// For a service whose commonest answer is in memory, where the way through the router would cost more than the answer.
    pub at_once: Option<AtOnce>,
}

impl From<Router> for InProcess {
    fn from(router: Router) -> Self {
        Self { router, at_once: None }
    }
}
