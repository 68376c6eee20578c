//! One middleware or service of the model to what runs.

use crate::{
    address::{Net, Strategy as IpStrategy},
    build::{Builder, qualify, split},
    compile_service,
    middleware::{
        Middleware,
        api_key::ApiKey,
        basic_auth::BasicAuth,
        breaker::Breaker,
        buffering::Buffering,
        cache::Cache,
        compress::Compress,
        digest_auth::DigestAuth,
        errors::Errors,
        forward_auth::ForwardAuth,
        grpc_web::GrpcWeb,
        headers::Headers,
        in_flight::InFlight,
        ip_allow::IpAllow,
        jwt,
        limit::{Form, Limit, Source},
        path::Change,
        redirect::Redirect,
        retry,
    },
    model::{self, Period, middleware::SourceCriterion},
};
use http::{HeaderName, Uri};
use regex::Regex;
use std::time::Duration;
use url::Url;

/// A middleware by its qualified name, chains laid flat. `above` are the chains it is in.
pub fn middleware(
    builder: &mut Builder<'_>,
    qualified: &str,
    above: &mut Vec<String>,
) -> Result<Vec<Middleware>, String> {
    let (name, provider) = split(qualified);
    let configs = builder.configs;
    let config = configs
        .get(provider)
        .and_then(|config| config.http.as_ref()?.middlewares.as_ref()?.get(name));
    let config = config.ok_or_else(|| format!("the middleware '{qualified}' does not exist"))?;
    if above.iter().any(|name| name == qualified) {
        return Err(format!("the chain '{qualified}' leads back to itself"));
    }
    if let Some(chain) = &config.chain {
        above.push(qualified.to_owned());
        let mut flat = Vec::new();
        for name in chain.middlewares.iter().flatten() {
            flat.extend(middleware(builder, &qualify(name, provider), above)?);
        }
        above.pop();
        return Ok(flat);
    }
    let one = path(config)
        .or_else(|| redirect(config))
        .or_else(|| traffic(builder, qualified, config))
        .or_else(|| access(builder, config))
        .or_else(|| others(builder, provider, config))
        .unwrap_or_else(|| Err(unsupported(config)));
    one.map(|one| vec![one])
        .map_err(|error| format!("the middleware '{qualified}': {error}"))
}

fn unsupported(config: &model::Middleware) -> String {
    let shown = serde_json::to_value(config).unwrap_or_default();
    match shown.as_object().and_then(|map| map.keys().next()) {
        Some(kind) => format!("'{kind}' is not supported by this gateway"),
        None => "it says no kind".into(),
    }
}

type Compiled = Option<Result<Middleware, String>>;

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("'{text}' is no regular expression: {error}"))
}

fn path(config: &model::Middleware) -> Compiled {
    let change = if let Some(add) = &config.add_prefix {
        let prefix = add.prefix.clone().unwrap_or_default();
        match prefix.as_str() {
            "" => Err("the prefix is empty".into()),
            prefix => Ok(Change::Add(if prefix.starts_with('/') {
                prefix.to_owned()
            } else {
                format!("/{prefix}")
            })),
        }
    } else if let Some(strip) = &config.strip_prefix {
        Ok(Change::Strip(strip.prefixes.clone().unwrap_or_default()))
    } else if let Some(strip) = &config.strip_prefix_regex {
        let patterns = strip
            .regex
            .iter()
            .flatten()
            .map(|text| regex(text))
            .collect::<Result<_, _>>();
        patterns.map(Change::StripRegex)
    } else if let Some(replace) = &config.replace_path {
        Ok(Change::Replace(replace.path.clone().unwrap_or_default()))
    } else if let Some(replace) = &config.replace_path_regex {
        let replacement = replace.replacement.clone().unwrap_or_default();
        regex(replace.regex.as_deref().unwrap_or_default()).map(|pattern| Change::ReplaceRegex(pattern, replacement))
    } else if let Some(codes) = &config.encoded_characters {
        let all = [
            (codes.allow_encoded_slash, "%2F"),
            (codes.allow_encoded_back_slash, "%5C"),
            (codes.allow_encoded_null_character, "%00"),
            (codes.allow_encoded_semicolon, "%3B"),
            (codes.allow_encoded_percent, "%25"),
            (codes.allow_encoded_question_mark, "%3F"),
            (codes.allow_encoded_hash, "%23"),
        ];
        Ok(Change::Refuse(
            all.iter()
                .filter(|(allowed, _)| *allowed != Some(true))
                .map(|(_, code)| *code)
                .collect(),
        ))
    } else {
        return None;
    };
    Some(change.map(Middleware::Path))
}

fn redirect(config: &model::Middleware) -> Compiled {
    if let Some(redirect) = &config.redirect_scheme {
        let scheme = redirect.scheme.clone().unwrap_or_default();
        return Some(if scheme.is_empty() {
            Err("the scheme is missing".into())
        } else {
            Ok(Middleware::Redirect(Redirect::Scheme {
                scheme,
                port: redirect.port.clone().unwrap_or_default(),
                permanent: redirect.permanent == Some(true),
            }))
        });
    }
    if let Some(redirect) = &config.redirect_regex {
        let pattern = regex(redirect.regex.as_deref().unwrap_or_default());
        return Some(pattern.map(|pattern| {
            Middleware::Redirect(Redirect::Regex {
                pattern,
                replacement: redirect.replacement.clone().unwrap_or_default(),
                permanent: redirect.permanent == Some(true),
            })
        }));
    }
    None
}

fn traffic(builder: &Builder<'_>, name: &str, config: &model::Middleware) -> Compiled {
    let state = builder.ground.state;
    if let Some(limit) = &config.rate_limit {
        return Some(rate_limit(builder, name, limit).map(Middleware::Limit));
    }
    if let Some(in_flight) = &config.in_flight_req {
        let host = SourceCriterion {
            request_host: Some(true),
            ..SourceCriterion::default()
        };
        let source = source(builder, Some(in_flight.source_criterion.as_ref().unwrap_or(&host)));
        return Some(source.map(|source| {
            Middleware::InFlight(InFlight {
                amount: in_flight
                    .amount
                    .and_then(|amount| u64::try_from(amount).ok())
                    .filter(|amount| *amount > 0)
                    .unwrap_or(u64::MAX),
                source,
                counts: state.in_flight(name),
            })
        }));
    }
    if let Some(breaker) = &config.circuit_breaker {
        let period = |period: Option<Period>, default| period.map_or(default, |period| period.0);
        let made = Breaker::new(
            breaker.expression.as_deref().unwrap_or_default(),
            period(breaker.check_period, Duration::from_millis(100)),
            period(breaker.fallback_duration, Duration::from_secs(10)),
            period(breaker.recovery_duration, Duration::from_secs(10)),
            breaker.response_code.unwrap_or(503),
        );
        return Some(made.map(|made| Middleware::Breaker(state.breaker(&format!("{name} {breaker:?}"), || made))));
    }
    if let Some(retry) = &config.retry {
        return Some(retry::compile(retry).map(Middleware::Retry));
    }
    let cache = config.cache.as_ref()?;
    let bytes = cache.max_bytes.unwrap_or(64 << 20);
    let most = cache.max_entry_bytes.unwrap_or(1 << 20).min(bytes);
    Some(Ok(Middleware::Cache(Cache {
        store: state.cache(name, bytes),
        most_bytes: usize::try_from(most).unwrap_or(usize::MAX),
    })))
}

fn rate_limit(builder: &Builder<'_>, name: &str, limit: &model::middleware::RateLimit) -> Result<Limit, String> {
    let average = limit.average.unwrap_or(0);
    let period = limit.period.map_or(Duration::from_secs(1), |period| period.0);
    if average < 0 || period.is_zero() {
        return Err("average and period must not be below nought".into());
    }
    let form = if average == 0 {
        Form::Off
    } else if limit.headers == Some(true) {
        let whole = |count: i64| u64::try_from(count).unwrap_or(0);
        Form::Window {
            limit: whole(average),
            anonymous: whole(limit.anonymous.unwrap_or(average)),
            period,
        }
    } else {
        let rate = average as f64 / period.as_secs_f64();
        let longest_wait = if rate < 1.0 {
            Duration::from_millis(500)
        } else {
            Duration::from_secs_f64(0.5 / rate.floor())
        };
        Form::Bucket {
            rate,
            burst: limit.burst.unwrap_or(1).max(1) as f64,
            longest_wait,
        }
    };
    Ok(Limit {
        form,
        source: source(builder, limit.source_criterion.as_ref())?,
        buckets: builder.ground.state.buckets(name),
        shared: match &limit.redis {
            Some(redis) => Some((
                builder.ground.state.shared_limits(&redis_url(redis)?)?,
                format!("rate:{name}"),
            )),
            None => None,
        },
    })
}

/// One server: its connection is kept and shared, so pool sizes and timeouts have nothing to say.
fn redis_url(redis: &model::middleware::Redis) -> Result<String, String> {
    if redis.tls.is_some() {
        return Err("redis.tls is not supported".into());
    }
    let endpoint = match redis.endpoints.as_deref() {
        None | Some([]) => "127.0.0.1:6379",
        Some([one]) => one,
        Some(_) => return Err("redis.endpoints: several of them are a cluster, which is not supported".into()),
    };
    let mut url = Url::parse(&format!("redis://{endpoint}"))
        .map_err(|error| format!("redis.endpoints: '{endpoint}': {error}"))?;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    // A URL with a host can have both.
    let _ = url.set_username(&given(&redis.username).unwrap_or_default());
    let _ = url.set_password(given(&redis.password).as_deref());
    url.set_path(&redis.db.unwrap_or(0).to_string());
    Ok(url.into())
}

fn source(builder: &Builder<'_>, criterion: Option<&SourceCriterion>) -> Result<Source, String> {
    let Some(criterion) = criterion else {
        return Ok(Source::Address(IpStrategy::Peer));
    };
    if criterion.token_subject == Some(true) {
        return Ok(Source::Subject(builder.ground.verifier.cloned()));
    }
    if let Some(name) = criterion.request_header_name.as_deref().filter(|name| !name.is_empty()) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is no header name"))?;
        return Ok(Source::Header(name));
    }
    if criterion.request_host == Some(true) {
        return Ok(Source::Host);
    }
    IpStrategy::compile(criterion.ip_strategy.as_ref()).map(Source::Address)
}

fn access(builder: &Builder<'_>, config: &model::Middleware) -> Compiled {
    if let Some(allow) = config.ip_allow_list.as_ref().or(config.ip_white_list.as_ref()) {
        let ranges = allow.source_range.clone().unwrap_or_default();
        if ranges.is_empty() {
            return Some(Err("sourceRange is empty".into()));
        }
        let ranges = ranges
            .iter()
            .map(|range| Net::parse(range))
            .collect::<Result<Vec<_>, _>>();
        let strategy = IpStrategy::compile(allow.ip_strategy.as_ref());
        return Some(ranges.and_then(|ranges| {
            Ok(Middleware::IpAllow(IpAllow {
                ranges,
                strategy: strategy?,
                status: allow.reject_status_code.unwrap_or(403),
            }))
        }));
    }
    if let Some(headers) = &config.headers {
        return Some(Headers::compile(headers).map(|headers| Middleware::Headers(Box::new(headers))));
    }
    if let Some(web) = &config.grpc_web {
        return Some(Ok(Middleware::GrpcWeb(GrpcWeb::compile(web))));
    }
    if let Some(kind) = &config.content_type {
        let off = kind.auto_detect == Some(false);
        return Some(Ok(if off { Middleware::Idle } else { Middleware::ContentType }));
    }
    let plugin = config.plugin.as_ref();
    if let Some(jwt) = config.jwt.as_ref().or(plugin.and_then(|plugin| plugin.jwt.as_ref())) {
        let ground = builder.ground;
        return Some(jwt::compile(jwt, ground.state, ground.verifier).map(Middleware::Jwt));
    }
    let key = config
        .api_key
        .as_ref()
        .or(plugin.and_then(|plugin| plugin.api_key.as_ref()))?;
    Some(ApiKey::compile(key).map(|key| Middleware::ApiKey(Box::new(key))))
}

fn others(builder: &mut Builder<'_>, provider: &str, config: &model::Middleware) -> Compiled {
    if let Some(auth) = &config.basic_auth {
        return Some(BasicAuth::compile(auth).map(|auth| Middleware::BasicAuth(Box::new(auth))));
    }
    if let Some(auth) = &config.digest_auth {
        return Some(DigestAuth::compile(auth).map(|auth| Middleware::DigestAuth(Box::new(auth))));
    }
    if let Some(auth) = &config.forward_auth {
        let pool = |address: &Uri| {
            let transport = compile_service::client(builder, auth.tls.as_ref())?;
            compile_service::pool(builder, address, &transport, "")
        };
        return Some(ForwardAuth::compile(auth, pool).map(|auth| Middleware::ForwardAuth(Box::new(auth))));
    }
    if let Some(pass) = &config.pass_tls_client_cert {
        return Some(Ok(Middleware::PassClientCert(pass.clone())));
    }
    if let Some(errors) = &config.errors {
        let service = builder.service(&qualify(errors.service.as_deref().unwrap_or_default(), provider));
        let compiled = service.and_then(|service| Errors::compile(errors, service));
        return Some(compiled.map(|errors| Middleware::Errors(Box::new(errors))));
    }
    if let Some(buffering) = &config.buffering {
        let limit = |bytes: Option<u64>| {
            bytes
                .filter(|bytes| *bytes > 0)
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
        };
        return Some(Ok(Middleware::Buffering(Buffering {
            request: limit(buffering.max_request_body_bytes),
            response: limit(buffering.max_response_body_bytes),
        })));
    }
    let compress = config.compress.as_ref()?;
    Some(Compress::compile(compress).map(|compress| Middleware::Compress(Box::new(compress))))
}
