//! `/api/*`: what is configured and how it fares, in Traefik's JSON.

use crate::{answer, exchange::Exchange, model};
use arc_swap::ArcSwap;
use axum::response::Response;
use foundation::{Error, Kind};
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The listing in force; the API answers from it.
#[derive(Default)]
pub struct Published {
    listing: ArcSwap<Listing>,
    entry_points: Vec<Value>,
    providers: Vec<String>,
    certificates: ArcSwap<Vec<Value>>,
}

/// Routers, services and middlewares as the API shows them, by qualified name.
#[derive(Default)]
pub struct Listing {
    routers: BTreeMap<String, Value>,
    services: BTreeMap<String, Value>,
    middlewares: BTreeMap<String, Value>,
}

fn shown(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn set_status(map: &mut Map<String, Value>, errors: Vec<String>) {
    map.insert(
        "status".into(),
        json!(if errors.is_empty() { "enabled" } else { "disabled" }),
    );
    if !errors.is_empty() {
        map.insert("error".into(), json!(errors));
    }
}

/// Keys to tokens, hashes of keys and passwords of stores, wherever a middleware has them.
fn hide_secrets(map: &mut Map<String, Value>) {
    const PLACES: [&str; 5] = ["/jwt", "/plugin/jwt", "/apiKey", "/plugin/apiKey", "/rateLimit/redis"];
    let mut whole = Value::Object(std::mem::take(map));
    for place in PLACES {
        if let Some(Value::Object(options)) = whole.pointer_mut(place) {
            for secret in ["secret", "signingSecret", "secretValues", "password"] {
                options.remove(secret);
            }
        }
    }
    if let Value::Object(shown) = whole {
        *map = shown;
    }
}

impl Listing {
    pub fn service(&mut self, name: &str, config: &model::Service, error: Option<String>) {
        let mut map = shown(config);
        set_status(&mut map, error.into_iter().collect());
        self.services.insert(name.into(), Value::Object(map));
    }

    pub fn in_process(&mut self, name: &str) {
        self.services
            .insert(name.into(), json!({"inProcess": true, "status": "enabled"}));
    }

    pub fn middleware(&mut self, name: &str, config: &model::Middleware, error: Option<String>) {
        let mut map = shown(config);
        for kind in ["basicAuth", "digestAuth"] {
            if let Some(Value::Object(auth)) = map.get_mut(kind) {
                // Hashes of passwords are nobody's business.
                auth.remove("users");
            }
        }
        hide_secrets(&mut map);
        set_status(&mut map, error.into_iter().collect());
        self.middlewares.insert(name.into(), Value::Object(map));
    }

    pub fn router(&mut self, name: &str, row: Row<'_>) {
        let mut map = shown(row.config);
        if map.get("rule") == Some(&json!("")) {
            map.remove("rule");
        }
        map.remove("priority");
        if let Some(priority) = row.priority {
            map.insert("priority".into(), json!(priority));
        }
        if row.tls {
            map.entry("tls").or_insert_with(|| json!({}));
        }
        map.insert("entryPoints".into(), json!(row.entry_points));
        map.insert("using".into(), json!(row.entry_points));
        if !row.middlewares.is_empty() {
            map.insert("middlewares".into(), json!(row.middlewares));
        }
        set_status(&mut map, row.errors);
        map.insert("status".into(), json!(if row.enabled { "enabled" } else { "disabled" }));
        used_by(&mut self.services, row.service, name);
        for middleware in row.middlewares {
            used_by(&mut self.middlewares, Some(middleware), name);
        }
        self.routers.insert(name.into(), Value::Object(map));
    }
}

/// A router as it is listed.
#[derive(Clone)]
pub struct Row<'a> {
    pub config: &'a model::Router,
    pub entry_points: &'a [String],
    /// Those of its entrypoints included.
    pub middlewares: &'a [String],
    pub tls: bool,
    pub priority: Option<i64>,
    pub enabled: bool,
    pub errors: Vec<String>,
    pub service: Option<&'a str>,
}

fn used_by(things: &mut BTreeMap<String, Value>, thing: Option<&str>, router: &str) {
    let Some(Value::Object(map)) = thing.and_then(|thing| things.get_mut(thing)) else {
        return;
    };
    if let Value::Array(users) = map.entry("usedBy").or_insert_with(|| json!([])) {
        users.push(json!(router));
    }
}

impl Published {
    pub fn new(entry_points: Vec<Value>, providers: Vec<String>) -> Self {
        Self {
            listing: ArcSwap::default(),
            entry_points,
            providers,
            certificates: ArcSwap::default(),
        }
    }

    /// What is off, and why.
    pub fn mistakes(&self) -> Vec<String> {
        let listing = self.listing.load();
        let kinds = [
            ("router", &listing.routers),
            ("service", &listing.services),
            ("middleware", &listing.middlewares),
        ];
        let all = kinds
            .iter()
            .flat_map(|(kind, things)| things.iter().map(move |(name, thing)| (kind, name, thing)));
        let told = all.flat_map(|(kind, name, thing)| {
            let reasons = thing["error"].as_array().into_iter().flatten();
            reasons.map(move |reason| format!("{kind} {name}: {}", reason.as_str().unwrap_or_default()))
        });
        told.collect()
    }

    pub fn publish(&self, listing: Listing) {
        self.listing.store(listing.into());
    }

    pub fn show_certificates(&self, certificates: Vec<Value>) {
        self.certificates.store(certificates.into());
    }

    pub fn answer(&self, uri: &Uri, exchange: &Exchange) -> Response {
        let listing = self.listing.load();
        let path = uri.path().trim_end_matches('/');
        let missing = |what: &str| {
            let error = Error::new(Kind::NotFound, "NOT_FOUND", what);
            answer::problem(&error, exchange)
        };
        let (kind, name) = match path.strip_prefix("/api/http/") {
            Some(rest) => rest
                .split_once('/')
                .map_or((rest, None), |(kind, name)| (kind, Some(name))),
            None => ("", None),
        };
        let things = match kind {
            "routers" => Some(&listing.routers),
            "services" => Some(&listing.services),
            "middlewares" => Some(&listing.middlewares),
            _ => None,
        };
        match (path, things, name) {
            (_, Some(things), None) => pages(things, uri),
            (_, Some(things), Some(name)) => match things.get(name) {
                Some(thing) => ok(&detailed(name, thing)),
                None => missing(&format!("{} not found: {name}", kind.trim_end_matches('s'))),
            },
            ("", ..) => answer::redirect(StatusCode::FOUND, "/dashboard/").unwrap_or_default(),
            ("/api/rawdata", ..) => ok(
                &json!({"routers": listing.routers, "services": listing.services, "middlewares": listing.middlewares}),
            ),
            ("/api" | "/api/overview", ..) => ok(&self.overview(&listing)),
            ("/api/version", ..) => ok(&json!({"Version": env!("CARGO_PKG_VERSION"), "Codename": "portico"})),
            ("/api/certificates", ..) => paged(&json!(**self.certificates.load())),
            ("/api/entrypoints", ..) => paged(&json!(self.entry_points)),
            (path, ..) if path.starts_with("/api/entrypoints/") => {
                let name = &path["/api/entrypoints/".len()..];
                match self.entry_points.iter().find(|entry| entry["name"] == name) {
                    Some(entry) => ok(entry),
                    None => missing("entrypoint not found"),
                }
            }
            (
                "/api/tcp/routers"
                | "/api/tcp/services"
                | "/api/tcp/middlewares"
                | "/api/udp/routers"
                | "/api/udp/services",
                ..,
            ) => paged(&json!([])),
            _ => missing("There is nothing at this path of the API"),
        }
    }

    fn overview(&self, listing: &Listing) -> Value {
        let count = |things: &BTreeMap<String, Value>| {
            let with = |status: &str| things.values().filter(|thing| thing["status"] == status).count();
            json!({"total": things.len(), "warnings": with("warning"), "errors": with("disabled")})
        };
        let none = json!({"total": 0, "warnings": 0, "errors": 0});
        json!({
            "http": {"routers": count(&listing.routers), "services": count(&listing.services), "middlewares": count(&listing.middlewares)},
            "tcp": {"routers": none, "services": none, "middlewares": none},
            "udp": {"routers": none, "services": none},
            "features": {"tracing": "", "metrics": "Prometheus", "accessLog": true},
            "providers": self.providers,
        })
    }
}

fn detailed(name: &str, thing: &Value) -> Value {
    let mut thing = thing.clone();
    if let Value::Object(map) = &mut thing {
        map.insert("name".into(), json!(name));
        map.insert(
            "provider".into(),
            json!(name.rsplit_once('@').map_or("", |(_, provider)| provider)),
        );
    }
    thing
}

fn ok(value: &Value) -> Response {
    answer::json(StatusCode::OK, value.to_string())
}

fn paged(value: &Value) -> Response {
    with_next(ok(value), 1)
}

fn with_next(mut response: Response, next: usize) -> Response {
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-next-page"), HeaderValue::from(next));
    response
}

/// `?page=`, `?per_page=`, `?search=`, `?status=`; `X-Next-Page: 1` after the last.
fn pages(things: &BTreeMap<String, Value>, uri: &Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let value = |key: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    };
    let number = |key: &str, default: usize| {
        value(key)
            .and_then(|text| text.parse().ok())
            .filter(|number| *number > 0)
            .unwrap_or(default)
    };
    let (page, per_page) = (number("page", 1), number("per_page", 100).min(1000));
    let (search, status) = (value("search").unwrap_or_default(), value("status"));
    let wanted = |(name, thing): &(&String, &Value)| {
        name.contains(search) && status.is_none_or(|status| thing["status"] == status)
    };
    let all: Vec<Value> = things
        .iter()
        .filter(wanted)
        .map(|(name, thing)| detailed(name, thing))
        .collect();
    let from = (page - 1).saturating_mul(per_page).min(all.len());
    let to = (from + per_page).min(all.len());
    with_next(ok(&json!(all[from..to])), if to < all.len() { page + 1 } else { 1 })
}
