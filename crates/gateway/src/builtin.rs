//! Our own routes, as an instance of the one model: where core, media and links are, which paths and hosts lead to them, and the
//! limits in front of them.

use crate::model::{
    self, Dynamic, Middleware, Period, Router,
    middleware::{Jwt, RateLimit, Redis, Retry, SourceCriterion},
    service::{LoadBalancer, Server, Service},
};
use std::time::Duration;

/// A service of the platform: in this process, or at these URLs.
#[derive(Clone, Debug)]
pub enum At {
    InProcess,
    Urls(Vec<String>),
}

/// So many requests per period; `None` is no limit.
pub type Rate = Option<(u64, Duration)>;

#[derive(Clone, Debug)]
pub struct Builtin {
    pub core: Option<At>,
    pub media: Option<At>,
    pub links: Option<At>,
    pub core_rate: Rate,
    pub media_rate: Rate,
    pub links_rate: Rate,
    /// What clients without a valid token get of links, in the period of `links_rate`.
    pub links_anonymous: Rate,
    /// Where several gateways count together: `host:port` of a Redis.
    pub redis: Option<String>,
    pub short_domains: Vec<String>,
    pub cdn_domain: Option<String>,
    /// Whether there are keys to verify tokens with.
    pub verifies: bool,
}

impl Default for Builtin {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            core: None,
            media: None,
            links: None,
            core_rate: Some((100, minute)),
            media_rate: Some((50, minute)),
            links_rate: Some((100, minute)),
            links_anonymous: Some((10, minute)),
            redis: None,
            short_domains: Vec::new(),
            cdn_domain: None,
            verifies: true,
        }
    }
}

/// The provider of everything the gateway brings itself.
pub const PROVIDER: &str = "internal";

/// Below every rule an operator writes, above nothing.
const LAST: i64 = 1;
/// A host that is wholly ours beats every path.
const HOSTS: i64 = 1000;

pub fn dynamic(builtin: &Builtin) -> Dynamic {
    let mut http = model::Http::default();
    for (name, at) in [
        ("core", &builtin.core),
        ("media", &builtin.media),
        ("links", &builtin.links),
    ] {
        if let Some(At::Urls(urls)) = at {
            http.services.get_or_insert_default().insert(name.into(), remote(urls));
        }
    }
    let limits = [
        (CORE_LIMIT, builtin.core_rate, builtin.core_rate),
        (MEDIA_LIMIT, builtin.media_rate, builtin.media_rate),
        (LINKS_LIMIT, builtin.links_rate, builtin.links_anonymous),
    ];
    let middlewares = http.middlewares.get_or_insert_default();
    for (name, rate, anonymous) in limits {
        if rate.is_some() || anonymous.is_some() {
            middlewares.insert(name.into(), limit(rate, anonymous, builtin.redis.as_ref()));
        }
    }
    if builtin.verifies {
        middlewares.insert(TOKEN.into(), token());
    }
    middlewares.insert(AGAIN.into(), again());
    let known: Vec<String> = middlewares.keys().cloned().collect();
    let routers = http.routers.get_or_insert_default();
    for route in routes(builtin) {
        // A limit that is off, or a check without keys, is simply not in the chain.
        let chain = route
            .chain
            .iter()
            .filter(|name| known.iter().any(|known| known == *name));
        let router = Router {
            rule: Some(route.rule),
            service: Some(route.service.into()),
            middlewares: Some(chain.map(|name| (*name).to_owned()).chain([AGAIN.to_owned()]).collect()),
            priority: route.priority,
            ..Router::default()
        };
        routers.insert(route.name.into(), router);
    }
    Dynamic {
        http: Some(http),
        tls: None,
    }
}

const CORE_LIMIT: &str = "core-limit";
const MEDIA_LIMIT: &str = "media-limit";
const LINKS_LIMIT: &str = "links-limit";
const TOKEN: &str = "token";
const AGAIN: &str = "again";

struct BuiltinRoute {
    name: &'static str,
    rule: String,
    service: &'static str,
    chain: &'static [&'static str],
    priority: Option<i64>,
}

fn routes(builtin: &Builtin) -> Vec<BuiltinRoute> {
    // A gateway that serves only what its operator configured answers nothing of its own accord.
    if builtin.core.is_none() && builtin.media.is_none() && builtin.links.is_none() {
        return Vec::new();
    }
    let route = |name, rule: &str, service, chain, priority| BuiltinRoute {
        name,
        rule: rule.to_owned(),
        service,
        chain,
        priority,
    };
    let mut routes = vec![
        route("health", "Path(`/health`)", "health", &[][..], Some(LAST)),
        route("index", "Path(`/`)", "index", &[], Some(LAST)),
    ];
    if builtin.core.is_some() {
        routes.push(route(
            "core",
            "PathPrefix(`/v1/core/`)",
            "core",
            &[CORE_LIMIT, TOKEN],
            None,
        ));
        // A stale token in the header must not keep anybody from logging in or refreshing it.
        routes.push(route(
            "core-auth",
            "PathPrefix(`/v1/core/auth/`)",
            "core",
            &[CORE_LIMIT],
            None,
        ));
        routes.push(route("core-health", "Path(`/v1/core/health`)", "core", &[], None));
        routes.push(route("well-known", "PathPrefix(`/.well-known/`)", "core", &[], None));
    }
    if builtin.media.is_some() {
        routes.push(route(
            "media",
            "PathPrefix(`/v1/media/`)",
            "media",
            &[MEDIA_LIMIT, TOKEN],
            None,
        ));
        routes.push(route("media-health", "Path(`/v1/media/health`)", "media", &[], None));
        routes.push(route("cdn", "PathPrefix(`/cdn/`)", "media", &[], None));
        if let Some(host) = builtin.cdn_domain.as_deref().filter(|host| !host.is_empty()) {
            routes.push(route("cdn-host", &format!("Host(`{host}`)"), "media", &[], Some(HOSTS)));
        }
    }
    if builtin.links.is_some() {
        // GraphQL answers bad tokens in its own shape, so it verifies them itself.
        routes.push(route(
            "links",
            "PathPrefix(`/v1/links/`)",
            "links",
            &[LINKS_LIMIT],
            None,
        ));
        let health = "Path(`/v1/links/health`) || Path(`/v1/links/healthz`)";
        routes.push(route("links-health", health, "links", &[], None));
        routes.push(route("redirect", "PathPrefix(`/l/`)", "links", &[], None));
        // A page and its parts are many requests of one reader.
        routes.push(route("console", "PathPrefix(`/v1/links/console`)", "links", &[], None));
        let hosts: Vec<String> = builtin
            .short_domains
            .iter()
            .map(|host| format!("Host(`{host}`)"))
            .collect();
        if !hosts.is_empty() {
            routes.push(route("short-hosts", &hosts.join(" || "), "links", &[], Some(HOSTS)));
        }
    }
    routes
}

fn token() -> Middleware {
    Middleware {
        jwt: Some(Jwt {
            required: Some(false),
            ..Jwt::default()
        }),
        ..Middleware::default()
    }
}

fn again() -> Middleware {
    Middleware {
        retry: Some(Retry {
            attempts: Some(3),
            initial_interval: Some(Period(Duration::from_millis(50))),
            ..Retry::default()
        }),
        ..Middleware::default()
    }
}

fn remote(urls: &[String]) -> Service {
    let server = |url: &String| Server {
        url: Some(url.clone()),
        ..Server::default()
    };
    Service {
        load_balancer: Some(LoadBalancer {
            servers: Some(urls.iter().map(server).collect()),
            ..LoadBalancer::default()
        }),
        ..Service::default()
    }
}

/// A side without a limit gets the largest number there is, which the middleware takes for none.
fn limit(rate: Rate, anonymous: Rate, redis: Option<&String>) -> Middleware {
    let whole = |rate: Rate| rate.map_or(i64::MAX, |(count, _)| i64::try_from(count).unwrap_or(i64::MAX));
    let period = rate.or(anonymous).map_or(Duration::from_secs(60), |(_, period)| period);
    Middleware {
        rate_limit: Some(RateLimit {
            average: Some(whole(rate)),
            period: Some(Period(period)),
            source_criterion: Some(SourceCriterion {
                token_subject: Some(true),
                ..SourceCriterion::default()
            }),
            headers: Some(true),
            anonymous: Some(whole(anonymous)),
            redis: redis.map(|endpoint| Redis {
                endpoints: Some(vec![endpoint.clone()]),
                ..Redis::default()
            }),
            ..RateLimit::default()
        }),
        ..Middleware::default()
    }
}

/// The routers of the admin entrypoint.
pub fn admin(admin: &crate::settings::Admin) -> Vec<(String, Router)> {
    let route = |rule: &str, service: &str, rank: i64| Router {
        entry_points: Some(vec![admin.entry_point.clone()]),
        rule: Some(rule.into()),
        service: Some(service.into()),
        priority: Some(i64::MAX - rank),
        ..Router::default()
    };
    let mut routers = Vec::new();
    if admin.api {
        routers.push(("api".into(), route("PathPrefix(`/api`)", "api", 1)));
        routers.push((
            "dashboard".into(),
            route("Path(`/`) || PathPrefix(`/dashboard`)", "dashboard", 2),
        ));
    }
    if admin.ping {
        routers.push(("ping".into(), route("PathPrefix(`/ping`)", "ping", 1)));
    }
    if admin.metrics {
        routers.push(("prometheus".into(), route("PathPrefix(`/metrics`)", "prometheus", 1)));
    }
    routers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_service_nothing_is_routed_and_with_one_health_and_index_are() {
        let names = |builtin: &Builtin| -> Vec<String> {
            let routers = dynamic(builtin).http.and_then(|http| http.routers);
            routers.into_iter().flatten().map(|(name, _)| name).collect()
        };
        assert!(names(&Builtin::default()).is_empty());
        let links = Builtin {
            links: Some(At::InProcess),
            short_domains: vec!["s.test".into()],
            ..Builtin::default()
        };
        let expected = [
            "health",
            "index",
            "links",
            "links-health",
            "redirect",
            "console",
            "short-hosts",
        ];
        assert_eq!(names(&links), expected);
    }

    #[test]
    fn a_limit_that_is_off_is_in_no_chain() {
        let builtin = Builtin {
            core: Some(At::InProcess),
            core_rate: None,
            verifies: false,
            ..Builtin::default()
        };
        let routers = dynamic(&builtin).http.and_then(|http| http.routers).expect("routers");
        assert_eq!(routers["core"].middlewares.as_deref(), Some(&["again".to_owned()][..]));
    }
}
