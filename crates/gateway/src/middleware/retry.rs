//! retry: how often, and what for, a request may be sent again; the balancer does it. A body that is to be sent again is read first.

use super::Flow;
use crate::{
    answer,
    exchange::{Exchange, Retry},
    model::{self, Period},
};
use axum::body::{Body, to_bytes};
use http::{Request, header};
use http_body::Body as _;

/// # Errors
/// What is missing or wrong.
pub fn compile(config: &model::middleware::Retry) -> Result<Retry, String> {
    let attempts = config
        .attempts
        .filter(|attempts| *attempts > 0)
        .ok_or("the attempts are missing")?;
    let statuses = config.status.iter().flatten().map(|text| super::errors::range(text));
    let most_body = match config.max_request_body_bytes {
        Some(most) if most >= 0 => usize::try_from(most).ok(),
        _ => None,
    };
    Ok(Retry {
        attempts,
        any_method: config.retry_non_idempotent_method == Some(true),
        pause: config.initial_interval.unwrap_or(Period(std::time::Duration::ZERO)).0,
        statuses: statuses.collect::<Result<Vec<_>, _>>()?.into(),
        within: config
            .timeout
            .map(|timeout| timeout.0)
            .filter(|timeout| !timeout.is_zero()),
        not_on_network_error: config.disable_retry_on_network_error == Some(true),
        most_body,
        body: None,
    })
}

pub async fn request(retry: &Retry, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
    exchange.retry = retry.clone();
    let Some(most) = retry.most_body else { return Flow::On };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    // Only a body whose length is known to be small; others stream, and are sent once.
    if request.body().is_end_stream() || length.is_none_or(|length| length > most) {
        return Flow::On;
    }
    let body = std::mem::take(request.body_mut());
    let Ok(bytes) = to_bytes(body, most).await else {
        let error = answer::bad_request("the body broke off before the length it was announced with");
        return Flow::Answer(answer::problem(&error, exchange));
    };
    exchange.retry.body = Some(bytes.clone());
    *request.body_mut() = Body::from(bytes);
    Flow::On
}
