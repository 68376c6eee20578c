//! ipAllowList: only these addresses.

use super::Flow;
use crate::{
    address::{Net, Strategy},
    answer,
    exchange::Exchange,
};
use axum::body::Body;
use foundation::{Error, Kind};
use http::Request;

pub struct IpAllow {
    pub ranges: Vec<Net>,
    pub strategy: Strategy,
    pub status: u16,
}

impl IpAllow {
    pub fn request(&self, request: &Request<Body>, exchange: &Exchange) -> Flow {
        let client = self.strategy.client(exchange.ip(), request.headers());
        let allowed = client
            .parse()
            .is_ok_and(|address| self.ranges.iter().any(|net| net.contains(address)));
        if allowed {
            return Flow::On;
        }
        let error = Error::new(
            Kind::Forbidden,
            "ADDRESS_NOT_ALLOWED",
            "Your address is not allowed here",
        );
        Flow::Answer(answer::problem_as(self.status, &error, exchange))
    }
}
