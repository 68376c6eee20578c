//! Rates counted in Redis, so that several gateways count together. The decision is one script, atomic there, by Redis's own clock. While
//! Redis does not answer, each gateway counts for itself: a limit must not become an outage.

use super::limit::Standing;
use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Slower than this is no answer: a request waits for it.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often it is said that Redis does not answer.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Level and moment of a bucket; answers whether a token was had, and the wait in seconds.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] + time[2] / 1000000
         local rate, burst, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
         local kept = redis.call('HMGET', KEYS[1], 'level', 'since')
         local level = math.min(burst, (tonumber(kept[1]) or burst) + (now - (tonumber(kept[2]) or now)) * rate)
         local wait = math.max(0, (1 - level) / rate)
         local had = 0
         if wait <= longest then had = 1; level = level - 1 end
         redis.call('HSET', KEYS[1], 'level', tostring(level), 'since', string.format('%.6f', now))
         redis.call('PEXPIRE', KEYS[1], math.ceil((burst - level) / rate * 1000) + 1000)
         return {had, tostring(wait)}",
    )
});

/// Requests of the running period; answers whether this one counts, how many are left, and the period's rest in milliseconds.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local limit, period = tonumber(ARGV[1]), tonumber(ARGV[2])
         local used = tonumber(redis.call('GET', KEYS[1]) or '0')
         local rest = redis.call('PTTL', KEYS[1])
         if used >= limit and rest > 0 then return {0, 0, rest} end
         used = redis.call('INCR', KEYS[1])
         if used == 1 or rest < 0 then redis.call('PEXPIRE', KEYS[1], period); rest = period end
         return {1, limit - used, rest}",
    )
});

pub struct Shared {
    connection: ConnectionManager,
    said: Mutex<Option<Instant>>,
}

impl Shared {
    /// The connection comes about with the first request.
    ///
    /// # Errors
    /// The URL is none of Redis.
    pub fn open(url: &str) -> Result<Self, String> {
        let told = |error: RedisError| format!("redis: '{}': {error}", without_password(url));
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let client = Client::open(url).map_err(told)?;
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config).map_err(told)?,
            said: Mutex::default(),
        })
    }

    /// Takes a token, or says how long it would take; `None` when Redis does not answer.
    pub async fn take(
        &self,
        key: &str,
        rate: f64,
        burst: f64,
        longest_wait: Duration,
    ) -> Option<Result<Duration, Duration>> {
        let mut invocation = TAKE.prepare_invoke();
        invocation.key(key).arg(rate).arg(burst).arg(longest_wait.as_secs_f64());
        let answered = invocation
            .invoke_async::<(bool, String)>(&mut self.connection.clone())
            .await;
        let (had, wait) = self.heard(answered)?;
        let wait = wait
            .parse()
            .ok()
            .and_then(|wait| Duration::try_from_secs_f64(wait).ok());
        let wait = wait.unwrap_or(Duration::MAX);
        Some(if had { Ok(wait) } else { Err(wait) })
    }

    /// Counts a request, unless the limit is reached; `None` when Redis does not answer.
    pub async fn count(&self, key: &str, limit: u64, period: Duration) -> Option<Result<Standing, Standing>> {
        let period = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let mut invocation = COUNT.prepare_invoke();
        invocation.key(key).arg(limit).arg(period);
        let answered = invocation
            .invoke_async::<(bool, u64, u64)>(&mut self.connection.clone())
            .await;
        let (counts, remaining, rest) = self.heard(answered)?;
        let standing = Standing {
            limit,
            remaining,
            reset: rest.div_ceil(1000).max(1),
        };
        Some(if counts { Ok(standing) } else { Err(standing) })
    }

    fn heard<T>(&self, answered: Result<T, RedisError>) -> Option<T> {
        let error = match answered {
            Ok(answer) => return Some(answer),
            Err(error) => error,
        };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() > SAY_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(%error, "Redis does not answer; rates are counted by each gateway for itself");
        }
        None
    }
}

fn without_password(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, place)| place)
}
