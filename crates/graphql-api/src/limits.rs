//! API limits in force: an operation that is too large, or one too many of its caller's, is refused before it is planned.

use crate::{engine::Engine, refusal::Refusal};
use graphql::{GraphqlError, Request, Session};
use http::HeaderMap;
use metadata::{ApiLimits, Rate, UniqueParams};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_secs(60);
/// Operations in one request, where metadata says nothing.
const MOST_IN_BATCH: u64 = 1_000;

/// When each caller asked in the last minute.
#[derive(Default)]
pub struct Rates(Mutex<Callers>);

#[derive(Default)]
struct Callers {
    asked: HashMap<String, VecDeque<Instant>>,
    /// When those who ask no more were last forgotten.
    swept: Option<Instant>,
}

impl Rates {
    /// Counts one, if there is room for it.
    fn admit(&self, caller: String, most: u64, now: Instant) -> bool {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Instant| now.duration_since(*at) < MINUTE;
        let swept = *callers.swept.get_or_insert(now);
        if !recent(&swept) {
            callers.asked.retain(|_, asked| asked.back().is_some_and(recent));
            callers.swept = Some(now);
        }
        let asked = callers.asked.entry(caller).or_default();
        while asked.front().is_some_and(|at| !recent(at)) {
            asked.pop_front();
        }
        let room = (asked.len() as u64) < most;
        if room {
            asked.push_back(now);
        }
        room
    }
}

impl Engine {
    /// Whether a caller may ask this now.
    ///
    /// # Errors
    /// Names the limit that is exceeded.
    pub fn admit(&self, request: &Request, session: &Session, headers: &HeaderMap) -> Result<(), GraphqlError> {
        let state = self.state();
        let limits = &state.limits;
        if limits.disabled || session.role == "admin" {
            return Ok(());
        }
        let role = session.role.as_str();
        if let Some(limit) = &limits.rate_limit {
            let rate = limit.of(role);
            if !self
                .rates
                .admit(caller(rate, session, headers), rate.max_reqs_per_min, Instant::now())
            {
                let message = format!(
                    "rate limit exceeded: {} operations per minute are allowed for the role \"{role}\"",
                    rate.max_reqs_per_min
                );
                return Err(exceeded("rate-limit-exceeded", message));
            }
        }
        if limits.depth_limit.is_none() && limits.node_limit.is_none() {
            return Ok(());
        }
        let measured = state.schema.measure(request)?;
        let bounds = [
            ("depth", "depth-limit-exceeded", &limits.depth_limit, measured.depth),
            ("node", "node-limit-exceeded", &limits.node_limit, measured.nodes),
        ];
        for (what, code, limit, found) in bounds {
            if let Some(most) = limit.as_ref().map(|limit| *limit.of(role)).filter(|most| found > *most) {
                let message = format!("{what} limit exceeded: the operation has {found}, {most} are allowed");
                return Err(exceeded(code, message));
            }
        }
        Ok(())
    }

    /// Whether so many operations may come in one request.
    ///
    /// # Errors
    /// The limit is exceeded.
    pub fn admit_batch(&self, operations: usize, role: &str) -> Result<(), Refusal> {
        let state = self.state();
        let set = state
            .limits
            .batch_limit
            .as_ref()
            .filter(|_| !state.limits.disabled && role != "admin");
        let most = set.map_or(MOST_IN_BATCH, |limit| *limit.of(role));
        if operations as u64 <= most {
            return Ok(());
        }
        let message = format!("batch limit exceeded: the request has {operations} operations, {most} are allowed");
        Err(Refusal::from(exceeded("batch-limit-exceeded", message)))
    }
}

/// How long an operation of the role may take.
pub fn time_limit(limits: &ApiLimits, role: &str) -> Option<Duration> {
    let limit = limits.time_limit.as_ref();
    let limit = limit.filter(|_| !limits.disabled && role != "admin")?;
    Some(Duration::from_secs(*limit.of(role)))
}

pub fn too_long(most: Duration) -> GraphqlError {
    let message = format!(
        "time limit exceeded: the operation took longer than {} s",
        most.as_secs()
    );
    exceeded("time-limit-exceeded", message)
}

fn exceeded(code: &'static str, message: String) -> GraphqlError {
    GraphqlError::new(code, "$", message)
}

/// Who is counted: the role, and what the limit counts apart.
fn caller(rate: &Rate, session: &Session, headers: &HeaderMap) -> String {
    let mut caller = session.role.clone();
    let mut apart = |text: &str| {
        caller.push('\n');
        caller.push_str(text);
    };
    match &rate.unique_params {
        None => {}
        Some(UniqueParams::Address(_)) => apart(address(headers)),
        Some(UniqueParams::Variables(names)) => {
            for name in names {
                let value = session.variables.get(&name.to_lowercase());
                apart(value.map_or("", String::as_str));
            }
        }
    }
    caller
}

/// As the proxy in front of us told it: `X-Real-IP`, else the first of `X-Forwarded-For`.
fn address(headers: &HeaderMap) -> &str {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = || text("x-forwarded-for").and_then(|list| list.split(',').next());
    text("x-real-ip").or_else(forwarded).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_holds_so_many_and_slides() {
        let rates = Rates::default();
        let start = Instant::now();
        let ask = |caller: &str, seconds: u64| rates.admit(caller.to_owned(), 2, start + Duration::from_secs(seconds));
        assert!(ask("a", 0) && ask("a", 30));
        assert!(!ask("a", 59), "the third within a minute");
        assert!(ask("b", 59), "somebody else's");
        assert!(ask("a", 61), "the first is a minute ago");
        assert!(!ask("a", 62), "the second is not");
    }
}
