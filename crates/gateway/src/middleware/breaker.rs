//! circuitBreaker: when the expression holds, requests are refused for a while; then more and more of them are let through.

use super::{Flow, Note};
use crate::{answer, exchange::Exchange};
use axum::response::Response;
use foundation::Error;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

pub struct Breaker {
    condition: Condition,
    check_period: Duration,
    fallback: Duration,
    recovery: Duration,
    status: u16,
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    checked: Instant,
    seconds: VecDeque<(Instant, Vec<Sample>)>,
}

#[derive(Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Instant },
    Recovering { since: Instant },
}

#[derive(Clone, Copy)]
struct Sample {
    status: u16,
    network_error: bool,
    latency: Duration,
}

/// How far back samples count.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples kept of one second; more say nothing new.
const SAMPLES: usize = 2000;

impl Breaker {
    /// # Errors
    /// The expression is none.
    pub fn new(
        expression: &str,
        check_period: Duration,
        fallback: Duration,
        recovery: Duration,
        status: u16,
    ) -> Result<Self, String> {
        Ok(Self {
            condition: Condition::parse(expression)?,
            check_period,
            fallback,
            recovery,
            status,
            inner: Mutex::new(Inner {
                phase: Phase::Closed,
                checked: Instant::now(),
                seconds: VecDeque::new(),
            }),
        })
    }

    pub fn request(&self, place: usize, exchange: &mut Exchange) -> Flow {
        let now = Instant::now();
        if self.admits(now) {
            exchange.notes.push((place, Note::Started(now)));
            return Flow::On;
        }
        let error = Error::unavailable(
            "CIRCUIT_OPEN",
            "The service behind this route is failing; it gets a rest",
        );
        Flow::Answer(answer::problem_as(self.status, &error, exchange))
    }

    pub fn response(&self, place: usize, response: Response, exchange: &mut Exchange) -> Response {
        if let Some(Note::Started(started)) = exchange.take_note(place) {
            let sample = Sample {
                status: response.status().as_u16(),
                network_error: exchange.network_error,
                latency: started.elapsed(),
            };
            self.record(sample, Instant::now());
        }
        response
    }

    fn admits(&self, now: Instant) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.phase {
            Phase::Closed => true,
            Phase::Open { until } if now < until => false,
            Phase::Open { .. } => {
                inner.phase = Phase::Recovering { since: now };
                inner.seconds.clear();
                true
            }
            Phase::Recovering { since } => {
                let share = now.duration_since(since).as_secs_f64() / self.recovery.as_secs_f64().max(1e-3);
                if share >= 1.0 {
                    inner.phase = Phase::Closed;
                }
                rand::random::<f64>() < share
            }
        }
    }

    fn record(&self, sample: Sample, now: Instant) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        while inner
            .seconds
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            inner.seconds.pop_front();
        }
        match inner.seconds.back_mut() {
            Some((at, samples)) if now.duration_since(*at) < Duration::from_secs(1) => {
                if samples.len() < SAMPLES {
                    samples.push(sample);
                }
            }
            _ => inner.seconds.push_back((now, vec![sample])),
        }
        if matches!(inner.phase, Phase::Open { .. }) || now.duration_since(inner.checked) < self.check_period {
            return;
        }
        inner.checked = now;
        let samples: Vec<Sample> = inner.seconds.iter().flat_map(|(_, samples)| samples).copied().collect();
        if self.condition.holds(&samples) {
            inner.phase = Phase::Open {
                until: now + self.fallback,
            };
            inner.seconds.clear();
        }
    }
}

enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare(Measure, Comparison, f64),
}

enum Measure {
    NetworkErrorRatio,
    ResponseCodeRatio(u16, u16, u16, u16),
    LatencyAtQuantileMs(f64),
}

#[derive(Clone, Copy)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Different,
}

impl Condition {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the expression is empty".into());
        }
        let any = text.split("||").map(|part| {
            part.split("&&")
                .map(Self::comparison)
                .collect::<Result<_, _>>()
                .map(Self::All)
        });
        any.collect::<Result<_, String>>().map(Self::Any)
    }

    fn comparison(text: &str) -> Result<Self, String> {
        let operators = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("==", Comparison::Equal),
            ("!=", Comparison::Different),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let found = operators.iter().find_map(|(sign, operator)| {
            text.split_once(sign)
                .map(|(left, right)| (left.trim(), *operator, right.trim()))
        });
        let (left, operator, right) = found.ok_or_else(|| format!("'{text}' compares nothing"))?;
        let number = right.parse().map_err(|_| format!("'{right}' is no number"))?;
        Ok(Self::Compare(Measure::parse(left)?, operator, number))
    }

    fn holds(&self, samples: &[Sample]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(samples)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(samples)),
            Self::Compare(measure, operator, number) => {
                let value = measure.of(samples);
                match operator {
                    Comparison::Less => value < *number,
                    Comparison::LessOrEqual => value <= *number,
                    Comparison::Greater => value > *number,
                    Comparison::GreaterOrEqual => value >= *number,
                    Comparison::Equal => (value - number).abs() < f64::EPSILON,
                    Comparison::Different => (value - number).abs() >= f64::EPSILON,
                }
            }
        }
    }
}

impl Measure {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('(').ok_or_else(|| format!("'{text}' is no measure"))?;
        let inside = rest
            .strip_suffix(')')
            .ok_or_else(|| format!("'{text}' is never closed"))?;
        let arguments: Vec<f64> = inside
            .split(',')
            .map(str::trim)
            .filter(|argument| !argument.is_empty())
            .map(|argument| argument.parse().map_err(|_| format!("'{argument}' is no number")))
            .collect::<Result<_, _>>()?;
        match (name.trim(), arguments.as_slice()) {
            ("NetworkErrorRatio", []) => Ok(Self::NetworkErrorRatio),
            ("ResponseCodeRatio", [a, b, c, d]) => {
                Ok(Self::ResponseCodeRatio(*a as u16, *b as u16, *c as u16, *d as u16))
            }
            ("LatencyAtQuantileMS", [quantile]) => Ok(Self::LatencyAtQuantileMs(*quantile)),
            (name, _) => Err(format!("there is no measure {name} with {} arguments", arguments.len())),
        }
    }

    fn of(&self, samples: &[Sample]) -> f64 {
        let count = |test: &dyn Fn(&Sample) -> bool| samples.iter().filter(|sample| test(sample)).count() as f64;
        let ratio = |part: f64, whole: f64| if whole == 0.0 { 0.0 } else { part / whole };
        match self {
            Self::NetworkErrorRatio => ratio(count(&|sample| sample.network_error), samples.len() as f64),
            Self::ResponseCodeRatio(from, to, whole_from, whole_to) => ratio(
                count(&|sample| (*from..*to).contains(&sample.status)),
                count(&|sample| (*whole_from..*whole_to).contains(&sample.status)),
            ),
            Self::LatencyAtQuantileMs(quantile) => {
                let mut latencies: Vec<Duration> = samples.iter().map(|sample| sample.latency).collect();
                latencies.sort_unstable();
                let index = (latencies.len() as f64 * quantile / 100.0) as usize;
                latencies
                    .get(index.min(latencies.len().saturating_sub(1)))
                    .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_on_failures_rests_and_recovers() {
        let second = Duration::from_secs(1);
        let breaker = Breaker::new(
            "ResponseCodeRatio(500, 600, 0, 600) > 0.25",
            Duration::ZERO,
            second,
            second,
            503,
        )
        .expect("expression");
        let start = Instant::now();
        assert!(breaker.admits(start));
        breaker.record(
            Sample {
                status: 500,
                network_error: false,
                latency: second,
            },
            start,
        );
        assert!(!breaker.admits(start + second / 2));
        assert!(breaker.admits(start + second));
        assert!(breaker.admits(start + second * 3));
        assert!((0..50).all(|_| breaker.admits(start + second * 3)));
    }

    #[test]
    fn expressions_that_are_none_are_refused() {
        for text in [
            "",
            "Nonsense() > 1",
            "NetworkErrorRatio()",
            "NetworkErrorRatio() > x",
            "ResponseCodeRatio(1) > 1",
        ] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}
