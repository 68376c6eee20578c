//! Middlewares: a request half that lets the request on or answers it, and a response half. A chain runs the first halves down
//! and the second halves up, in one loop.

pub mod api_key;
pub mod basic_auth;
pub mod breaker;
pub mod buffering;
pub mod cache;
pub mod compress;
pub mod content_type;
pub mod digest_auth;
pub mod errors;
pub mod forward_auth;
pub mod grpc_web;
pub mod headers;
pub mod htpasswd;
pub mod in_flight;
pub mod ip_allow;
pub mod jwt;
pub mod limit;
pub mod limit_redis;
pub mod pass_client_cert;
pub mod path;
pub mod redirect;
pub mod retry;
pub mod verdicts;

use crate::exchange::{Exchange, Retry};
use axum::{body::Body, response::Response};
use http::Request;
use std::{sync::Arc, time::Instant};

pub enum Middleware {
    Path(path::Change),
    Redirect(redirect::Redirect),
    Headers(Box<headers::Headers>),
    Limit(limit::Limit),
    InFlight(in_flight::InFlight),
    IpAllow(ip_allow::IpAllow),
    Jwt(jwt::Jwt),
    ApiKey(Box<api_key::ApiKey>),
    Breaker(Arc<breaker::Breaker>),
    Retry(Retry),
    BasicAuth(Box<basic_auth::BasicAuth>),
    DigestAuth(Box<digest_auth::DigestAuth>),
    ForwardAuth(Box<forward_auth::ForwardAuth>),
    Errors(Box<errors::Errors>),
    Buffering(buffering::Buffering),
    Compress(Box<compress::Compress>),
    Cache(cache::Cache),
    GrpcWeb(grpc_web::GrpcWeb),
    PassClientCert(crate::model::middleware::PassTlsClientCert),
    ContentType,
    Idle,
}

/// What the request half tells the response half.
pub enum Note {
    Limit(limit::Standing),
    InFlight(in_flight::Held),
    Started(Instant),
    Cors(headers::Cors),
    Errors(Box<errors::Asked>),
    Cookies(Vec<http::HeaderValue>),
    Compress(compress::Wish),
    Cache(Box<cache::Asked>),
    GrpcWeb(Box<grpc_web::Spoken>),
}

/// The request goes on, or is answered here.
pub enum Flow {
    On,
    Answer(Response),
}

/// What waits for somebody else is boxed, so that a request has no room for what its route does not have.
impl Middleware {
    pub async fn request(&self, place: usize, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
        match self {
            Self::Path(change) => change.request(request, exchange),
            Self::Redirect(redirect) => redirect.request(request, exchange),
            Self::Headers(headers) => headers.request(place, request, exchange),
            Self::Limit(limit) => limit.request(place, request, exchange).await,
            Self::InFlight(in_flight) => in_flight.request(place, request, exchange),
            Self::IpAllow(allow) => allow.request(request, exchange),
            Self::Jwt(jwt) => Box::pin(jwt.request(request, exchange)).await,
            Self::ApiKey(key) => Box::pin(key.request(request, exchange)).await,
            Self::Breaker(breaker) => breaker.request(place, exchange),
            Self::Retry(retry) => Box::pin(retry::request(retry, request, exchange)).await,
            Self::BasicAuth(auth) => Box::pin(auth.request(request, exchange)).await,
            Self::DigestAuth(auth) => auth.request(request, exchange),
            Self::ForwardAuth(auth) => Box::pin(auth.request(place, request, exchange)).await,
            Self::Errors(errors) => {
                errors.request(place, request, exchange);
                Flow::On
            }
            Self::Buffering(buffering) => Box::pin(buffering.request(request, exchange)).await,
            Self::Compress(compress) => compress.request(place, request, exchange),
            Self::Cache(cache) => Box::pin(cache.request(place, request, exchange)).await,
            Self::GrpcWeb(web) => web.request(place, request, exchange),
            Self::PassClientCert(options) => pass_client_cert::request(options, request, exchange),
            Self::ContentType | Self::Idle => Flow::On,
        }
    }

    pub async fn response(&self, place: usize, response: Response, exchange: &mut Exchange) -> Response {
        match self {
            Self::Headers(headers) => headers.response(place, response, exchange),
            Self::Limit(_) => limit::response(place, response, exchange),
            Self::InFlight(_) => in_flight::response(place, response, exchange),
            Self::Breaker(breaker) => breaker.response(place, response, exchange),
            Self::ForwardAuth(_) => forward_auth::response(place, response, exchange),
            Self::Errors(errors) => Box::pin(errors.response(place, response, exchange)).await,
            Self::Buffering(buffering) => Box::pin(buffering.response(response, exchange)).await,
            Self::Compress(compress) => Box::pin(compress.response(place, response, exchange)).await,
            Self::Cache(cache) => cache.response(place, response, exchange),
            Self::GrpcWeb(_) => grpc_web::response(place, response, exchange),
            Self::ContentType => Box::pin(content_type::response(response)).await,
            _ => response,
        }
    }
}
