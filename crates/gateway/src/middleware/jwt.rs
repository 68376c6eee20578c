//! jwt: a token that is there must hold. Without one the request passes, unless one is required; the service decides then.

use super::Flow;
use crate::{
    answer,
    exchange::{Exchange, Token},
};
use axum::body::Body;
use foundation::{Error, Kind};
use http::Request;
use http_chassis::auth::Verifier;
use std::sync::Arc;

pub struct Jwt {
    pub verifier: Arc<Verifier>,
    pub required: bool,
}

impl Jwt {
    pub fn request(&self, request: &Request<Body>, exchange: &mut Exchange) -> Flow {
        let error = match exchange.token(request.headers(), Some(&self.verifier)) {
            Token::Valid(_) => return Flow::On,
            Token::Invalid(error) => error.clone(),
            Token::Absent | Token::Unread if !self.required => return Flow::On,
            Token::Absent | Token::Unread => Arc::new(Error::new(
                Kind::Unauthenticated,
                "TOKEN_MISSING",
                "This needs an access token: Authorization: Bearer <token>",
            )),
        };
        Flow::Answer(answer::problem(&error, exchange))
    }
}
