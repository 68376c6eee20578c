//! headers: custom request and response headers, security headers, CORS.

use super::{Flow, Note};
use crate::{answer, exchange::Exchange, model};
use axum::{body::Body, response::Response};
use foundation::{Error, Kind};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use regex::Regex;

pub struct Headers {
    request: Vec<(HeaderName, Option<HeaderValue>)>,
    response: Vec<(HeaderName, Option<HeaderValue>)>,
    sts: Option<HeaderValue>,
    force_sts: bool,
    ssl_proxy: Vec<(HeaderName, String)>,
    allowed_hosts: Vec<String>,
    cors: Option<Origins>,
}

struct Origins {
    any: bool,
    exact: Vec<String>,
    patterns: Vec<Regex>,
    credentials: bool,
    allow_headers: Option<HeaderValue>,
    allow_methods: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    max_age: Option<i64>,
    vary: bool,
}

/// What the answer needs to know of the request.
pub struct Cors {
    allow_origin: Option<HeaderValue>,
    secure: bool,
}

impl Headers {
    /// # Errors
    /// A header name, value or pattern is none.
    pub fn compile(config: &model::middleware::Headers) -> Result<Self, String> {
        let mut response = security(config)?;
        response.extend(pairs(config.custom_response_headers.as_ref())?);
        let development = config.is_development == Some(true);
        let sts = config
            .sts_seconds
            .filter(|seconds| *seconds > 0 && !development)
            .map(|seconds| {
                let mut text = format!("max-age={seconds}");
                if config.sts_include_subdomains == Some(true) {
                    text.push_str("; includeSubDomains");
                }
                if config.sts_preload == Some(true) {
                    text.push_str("; preload");
                }
                text
            });
        let ssl_proxy = config.ssl_proxy_headers.iter().flatten();
        Ok(Self {
            request: pairs(config.custom_request_headers.as_ref())?,
            response,
            sts: sts.as_deref().map(value).transpose()?,
            force_sts: config.force_sts_header == Some(true),
            ssl_proxy: ssl_proxy
                .map(|(key, text)| Ok((name(key)?, text.clone())))
                .collect::<Result<_, String>>()?,
            allowed_hosts: if development {
                Vec::new()
            } else {
                config.allowed_hosts.clone().unwrap_or_default()
            },
            cors: Origins::compile(config)?,
        })
    }

    pub fn request(&self, place: usize, request: &mut Request<Body>, exchange: &mut Exchange) -> Flow {
        if !self.allowed_hosts.is_empty()
            && !self
                .allowed_hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(&exchange.host))
        {
            let error = Error::new(Kind::Internal, "BAD_HOST", "This host is not allowed here");
            return Flow::Answer(answer::problem(&error, exchange));
        }
        let headers = request.headers();
        let secure = exchange.peer.tls
            || self
                .ssl_proxy
                .iter()
                .any(|(name, text)| headers.get(name).is_some_and(|value| value == text.as_str()));
        let mut allow_origin = None;
        if let Some(cors) = &self.cors {
            let origin = headers.get(header::ORIGIN);
            allow_origin = cors.allowed(origin);
            let preflight = *request.method() == Method::OPTIONS
                && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
                && origin.is_some();
            if preflight {
                return Flow::Answer(cors.preflight(allow_origin));
            }
        }
        if self.cors.is_some() || self.sts.is_some() {
            exchange.notes.push((place, Note::Cors(Cors { allow_origin, secure })));
        }
        set_all(request.headers_mut(), &self.request);
        Flow::On
    }

    pub fn response(&self, place: usize, mut response: Response, exchange: &mut Exchange) -> Response {
        if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        let headers = response.headers_mut();
        let note = match exchange.take_note(place) {
            Some(Note::Cors(note)) => note,
            _ => Cors {
                allow_origin: None,
                secure: false,
            },
        };
        if let Some(sts) = self.sts.as_ref().filter(|_| self.force_sts || note.secure) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, sts.clone());
        }
        set_all(headers, &self.response);
        if let Some(cors) = &self.cors {
            cors.response(headers, note.allow_origin);
        }
        response
    }
}

impl Origins {
    fn compile(config: &model::middleware::Headers) -> Result<Option<Self>, String> {
        let list = |list: &Option<Vec<String>>| {
            list.as_ref()
                .filter(|list| !list.is_empty())
                .map(|list| value(&list.join(",")))
                .transpose()
        };
        let exact = config.access_control_allow_origin_list.clone().unwrap_or_default();
        let patterns = config.access_control_allow_origin_list_regex.iter().flatten();
        let patterns = patterns
            .map(|text| Regex::new(text).map_err(|error| error.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        let cors = Self {
            any: exact.iter().any(|origin| origin == "*"),
            exact,
            patterns,
            credentials: config.access_control_allow_credentials == Some(true),
            allow_headers: list(&config.access_control_allow_headers)?,
            allow_methods: list(&config.access_control_allow_methods)?,
            expose: list(&config.access_control_expose_headers)?,
            max_age: config.access_control_max_age,
            vary: config.add_vary_header == Some(true),
        };
        let used = !cors.exact.is_empty()
            || !cors.patterns.is_empty()
            || cors.credentials
            || cors.vary
            || cors.max_age.is_some()
            || cors.allow_headers.is_some()
            || cors.allow_methods.is_some()
            || cors.expose.is_some();
        Ok(used.then_some(cors))
    }

    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = origin?;
        let text = origin.to_str().ok()?;
        let known =
            self.exact.iter().any(|known| known == text) || self.patterns.iter().any(|pattern| pattern.is_match(text));
        known.then(|| origin.clone())
    }

    fn preflight(&self, allow_origin: Option<HeaderValue>) -> Response {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        };
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, allow_origin);
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, self.allow_headers.clone());
        set(header::ACCESS_CONTROL_ALLOW_METHODS, self.allow_methods.clone());
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone());
        set(header::ACCESS_CONTROL_MAX_AGE, self.max_age.map(HeaderValue::from));
        set(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            self.credentials.then(|| HeaderValue::from_static("true")),
        );
        set(header::CONTENT_LENGTH, Some(HeaderValue::from_static("0")));
        response
    }

    fn response(&self, headers: &mut HeaderMap, allow_origin: Option<HeaderValue>) {
        if let Some(origin) = allow_origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        if self.credentials {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        if let Some(expose) = &self.expose {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
        if self.vary {
            let before = headers
                .get(header::VARY)
                .and_then(|vary| vary.to_str().ok())
                .unwrap_or_default();
            let names_origin = before.split(',').any(|name| name.trim().eq_ignore_ascii_case("origin"));
            let text = if before.is_empty() {
                "Origin".to_owned()
            } else {
                format!("{before},Origin")
            };
            if let (false, Ok(vary)) = (names_origin, HeaderValue::from_str(&text)) {
                headers.insert(header::VARY, vary);
            }
        }
    }
}

fn set_all(headers: &mut HeaderMap, pairs: &[(HeaderName, Option<HeaderValue>)]) {
    for (name, value) in pairs {
        match value {
            Some(value) => drop(headers.insert(name.clone(), value.clone())),
            None => drop(headers.remove(name)),
        }
    }
}

fn security(config: &model::middleware::Headers) -> Result<Vec<(HeaderName, Option<HeaderValue>)>, String> {
    let on = |flag: Option<bool>| flag == Some(true);
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let frame = text(&config.custom_frame_options_value).or_else(|| on(config.frame_deny).then(|| "DENY".into()));
    let xss = text(&config.custom_browser_xss_value)
        .or_else(|| on(config.browser_xss_filter).then(|| "1; mode=block".into()));
    let sniff = on(config.content_type_nosniff).then(|| "nosniff".into());
    let all = [
        ("x-frame-options", frame),
        ("x-xss-protection", xss),
        ("x-content-type-options", sniff),
        ("content-security-policy", text(&config.content_security_policy)),
        (
            "content-security-policy-report-only",
            text(&config.content_security_policy_report_only),
        ),
        ("referrer-policy", text(&config.referrer_policy)),
        ("permissions-policy", text(&config.permissions_policy)),
        ("feature-policy", text(&config.feature_policy)),
    ];
    let given = all.into_iter().filter_map(|(name, text)| text.map(|text| (name, text)));
    given
        .map(|(name, text)| Ok((HeaderName::from_static(name), Some(value(&text)?))))
        .collect()
}

/// An empty value removes the header.
fn pairs(map: Option<&indexmap::IndexMap<String, String>>) -> Result<Vec<(HeaderName, Option<HeaderValue>)>, String> {
    let pair =
        |(key, text): (&String, &String)| Ok((name(key)?, if text.is_empty() { None } else { Some(value(text)?) }));
    map.into_iter().flatten().map(pair).collect()
}

fn name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("'{text}' is no header name"))
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("'{text}' is no header value"))
}
