//! Our own routes, as an instance of the one model: where core, media and links are, which paths and hosts lead to them, and the
//! limits in front of them.

use crate::model::{
    self, Dynamic, Middleware, Period, Router,
    middleware::{Jwt, RateLimit, Retry, SourceCriterion},
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
    let middlewares = http.middlewares.get_or_insert_default();
    let mut limited = |name: &str, rate: Rate, anonymous: Rate| {
        (rate.is_some() || anonymous.is_some()).then(|| {
            let name = format!("{name}-limit");
            middlewares.insert(name.clone(), limit(rate, anonymous));
            name
        })
    };
    let core_limit = limited("core", builtin.core_rate, builtin.core_rate);
    let media_limit = limited("media", builtin.media_rate, builtin.media_rate);
    let links_limit = limited("links", builtin.links_rate, builtin.links_anonymous);
    if builtin.verifies {
        let jwt = Middleware {
            jwt: Some(Jwt { required: Some(false) }),
            ..Middleware::default()
        };
        middlewares.insert("token".into(), jwt);
    }
    let retry = Middleware {
        retry: Some(Retry {
            attempts: Some(3),
            initial_interval: Some(Period(Duration::from_millis(50))),
            ..Retry::default()
        }),
        ..Middleware::default()
    };
    middlewares.insert("again".into(), retry);
    let token = builtin.verifies.then(|| "token".to_owned());
    let routers = http.routers.get_or_insert_default();
    let mut route = |name: &str, rule: String, service: &str, chain: Vec<Option<String>>, priority: Option<i64>| {
        let middlewares = chain.into_iter().flatten().chain(["again".to_owned()]).collect();
        routers.insert(
            name.into(),
            Router {
                rule: Some(rule),
                service: Some(service.into()),
                middlewares: Some(middlewares),
                priority,
                ..Router::default()
            },
        );
    };
    if builtin.core.is_some() {
        let chain = vec![core_limit.clone(), token.clone()];
        route("core", "PathPrefix(`/v1/core/`)".into(), "core", chain, None);
        // A stale token in the header must not keep anybody from logging in or refreshing it.
        route(
            "core-auth",
            "PathPrefix(`/v1/core/auth/`)".into(),
            "core",
            vec![core_limit],
            None,
        );
        route("well-known", "PathPrefix(`/.well-known/`)".into(), "core", vec![], None);
        route("core-health", "Path(`/v1/core/health`)".into(), "core", vec![], None);
    }
    if builtin.media.is_some() {
        route(
            "media",
            "PathPrefix(`/v1/media/`)".into(),
            "media",
            vec![media_limit, token],
            None,
        );
        route("media-health", "Path(`/v1/media/health`)".into(), "media", vec![], None);
        route("cdn", "PathPrefix(`/cdn/`)".into(), "media", vec![], None);
        if let Some(host) = builtin.cdn_domain.as_deref().filter(|host| !host.is_empty()) {
            route("cdn-host", format!("Host(`{host}`)"), "media", vec![], Some(1000));
        }
    }
    if builtin.links.is_some() {
        // GraphQL answers bad tokens in its own shape, so it verifies them itself.
        route(
            "links",
            "PathPrefix(`/v1/links/`)".into(),
            "links",
            vec![links_limit],
            None,
        );
        route(
            "links-health",
            "Path(`/v1/links/health`) || Path(`/v1/links/healthz`)".into(),
            "links",
            vec![],
            None,
        );
        route("redirect", "PathPrefix(`/l/`)".into(), "links", vec![], None);
        let hosts: Vec<String> = builtin
            .short_domains
            .iter()
            .map(|host| format!("Host(`{host}`)"))
            .collect();
        if !hosts.is_empty() {
            route("short-hosts", hosts.join(" || "), "links", vec![], Some(1000));
        }
    }
    route("health", "Path(`/health`)".into(), "health", vec![], Some(LAST));
    route("index", "Path(`/`)".into(), "index", vec![], Some(LAST));
    Dynamic {
        http: Some(http),
        tls: None,
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
fn limit(rate: Rate, anonymous: Rate) -> Middleware {
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
