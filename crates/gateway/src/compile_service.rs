//! One service of the model to what runs: balancers with their servers and pools, weighted, by client, mirroring, failover.

use crate::{
    build::{Builder, qualify, split},
    listener::tls::upstream::Wish,
    model::{self, Period},
    service::{
        Child, Mirror, Mirroring, Upstream, Weighted,
        balancer::{Balancer, Server, Strategy},
        health::Checks,
        pool::{Pool, Speaks, Transport},
        sticky::{self, Sticky},
    },
};
use http::{HeaderValue, Uri};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// A service of the model to what runs.
pub fn upstream(builder: &mut Builder<'_>, qualified: &str, config: &model::Service) -> Result<Upstream, String> {
    let (_, provider) = split(qualified);
    if let Some(balancer) = &config.load_balancer {
        let made = load_balancer(builder, qualified, balancer)?;
        if let Some(check) = &balancer.health_check {
            let checks = Checks::new(check, &made, |server| {
                checked_at(builder, provider, balancer, check, server)
            })?;
            builder.checks.push(checks);
        }
        return Ok(Upstream::Remote(made));
    }
    if let Some(weighted) = &config.weighted {
        let mut children = Vec::new();
        for child in weighted.services.iter().flatten() {
            let name = qualify(child.name.as_deref().unwrap_or_default(), provider);
            children.push(Child {
                service: builder.service(&name)?,
                weight: child.weight.unwrap_or(1),
                token: sticky::token(&name),
            });
        }
        let sticky = weighted.sticky.as_ref().and_then(|sticky| sticky.cookie.as_ref());
        return Ok(Upstream::Weighted(Weighted {
            children,
            sticky: sticky.map(|cookie| Sticky::new(cookie, qualified)),
            turn: Mutex::default(),
        }));
    }
    if let Some(rendezvous) = &config.highest_random_weight {
        let mut children = Vec::new();
        for child in rendezvous.services.iter().flatten() {
            let name = qualify(child.name.as_deref().unwrap_or_default(), provider);
            children.push(Child {
                service: builder.service(&name)?,
                weight: child.weight.unwrap_or(1),
                token: name,
            });
        }
        return Ok(Upstream::Rendezvous(children));
    }
    if let Some(mirroring) = &config.mirroring {
        let main = builder.service(&qualify(mirroring.service.as_deref().unwrap_or_default(), provider))?;
        let mut mirrors = Vec::new();
        for mirror in mirroring.mirrors.iter().flatten() {
            mirrors.push(Mirror {
                service: builder.service(&qualify(mirror.name.as_deref().unwrap_or_default(), provider))?,
                percent: mirror
                    .percent
                    .and_then(|percent| u64::try_from(percent).ok())
                    .unwrap_or(0),
                counts: Mutex::default(),
            });
        }
        return Ok(Upstream::Mirroring(Mirroring {
            main,
            mirrors,
            mirror_body: mirroring.mirror_body != Some(false),
            max_body: mirroring.max_body_size.unwrap_or(-1),
        }));
    }
    if let Some(failover) = &config.failover {
        let main = builder.service(&qualify(failover.service.as_deref().unwrap_or_default(), provider))?;
        let fallback = builder.service(&qualify(failover.fallback.as_deref().unwrap_or_default(), provider))?;
        return Ok(Upstream::Failover(main, fallback));
    }
    Err("the service says neither loadBalancer nor weighted, highestRandomWeight, mirroring or failover".into())
}

/// Where a server's health is asked: at the server, or at the port and by the scheme the check names.
fn checked_at(
    builder: &Builder<'_>,
    provider: &str,
    balancer: &model::service::LoadBalancer,
    check: &model::service::HealthCheck,
    server: &Server,
) -> Result<Arc<Pool>, String> {
    if check.port.is_none() && check.scheme.is_none() {
        return Ok(server.pool.clone());
    }
    let told = |error: http::Error| format!("healthCheck: {error}");
    let uri: Uri = server.url.parse().map_err(|_| format!("'{}' is no URL", server.url))?;
    let scheme = check.scheme.as_deref().or(uri.scheme_str()).unwrap_or("http");
    let host = uri.host().unwrap_or_default();
    let port = check.port.or(uri.port_u16());
    let authority = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let at = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query("/")
        .build()
        .map_err(told)?;
    let name = balancer
        .servers_transport
        .as_deref()
        .map(|name| qualify(name, provider));
    let transport = transport(builder, name.as_deref())?;
    pool(builder, &at, &transport, &name.unwrap_or_default())
}

fn load_balancer(
    builder: &Builder<'_>,
    qualified: &str,
    config: &model::service::LoadBalancer,
) -> Result<Balancer, String> {
    let (_, provider) = split(qualified);
    let transport_name = config.servers_transport.as_deref().map(|name| qualify(name, provider));
    let transport = transport(builder, transport_name.as_deref())?;
    let key = transport_name.unwrap_or_default();
    let servers = config
        .servers
        .iter()
        .flatten()
        .map(|server| one_server(builder, qualified, server, &transport, &key));
    let cookie = config.sticky.as_ref().and_then(|sticky| sticky.cookie.as_ref());
    Ok(Balancer {
        name: qualified.into(),
        servers: servers.collect::<Result<_, _>>()?,
        strategy: Strategy::parse(config.strategy.as_deref().unwrap_or_default())?,
        sticky: cookie.map(|cookie| Sticky::new(cookie, qualified)),
        pass_host: config.pass_host_header != Some(false),
        turn: Mutex::default(),
        budget: builder.ground.state.budget(qualified),
        passive: config.passive_health_check.as_ref().map(|check| {
            let window = check.failure_window.map_or(Duration::from_secs(10), |window| window.0);
            let most = check.max_failed_attempts.and_then(|most| usize::try_from(most).ok());
            (window, most.unwrap_or(1).max(1))
        }),
    })
}

fn one_server(
    builder: &Builder<'_>,
    service: &str,
    server: &model::service::Server,
    transport: &Transport,
    key: &str,
) -> Result<Server, String> {
    let url = server.url.clone().unwrap_or_default();
    let wrong = || format!("'{url}' is no URL of a server, such as http://10.0.0.7:3000");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    let pool = pool(builder, &uri, transport, key)?;
    let state = builder.ground.state;
    Ok(Server {
        authority: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
        base: (server.preserve_path == Some(true)).then(|| uri.path().trim_end_matches('/').to_owned()),
        weight: server.weight.unwrap_or(1),
        live: state.live(service, &url),
        token: sticky::token(&url),
        url: url.as_str().into(),
        pool,
    })
}

/// The connections to a server, shared by all who reach it the same way.
pub fn pool(builder: &Builder<'_>, uri: &Uri, transport: &Transport, key: &str) -> Result<Arc<Pool>, String> {
    let wrong = || format!("'{uri}' is no URL of a server, such as http://10.0.0.7:3000");
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.port().is_none() && authority.as_str() != authority.host() {
        return Err(format!("'{uri}': the port is no number"));
    }
    let (secure, h2c) = match uri.scheme_str() {
        Some("http") => (false, false),
        Some("h2c") => (false, true),
        Some("https") => (true, false),
        Some(other) => return Err(format!("'{uri}': the scheme {other} is not supported")),
        None => return Err(wrong()),
    };
    let address = format!(
        "{}:{}",
        authority.host(),
        authority.port_u16().unwrap_or(if secure { 443 } else { 80 })
    );
    let name = transport
        .server_name
        .clone()
        .unwrap_or_else(|| authority.host().trim_matches(['[', ']']).to_owned());
    let speaks = match (secure, h2c) {
        (true, _) => Speaks::Tls(name.try_into().map_err(|_| wrong())?),
        (false, true) => Speaks::Http2,
        (false, false) => Speaks::Http1,
    };
    let make = || Pool::new(address.clone(), speaks, transport.clone());
    Ok(builder
        .ground
        .state
        .pool(&format!("{key} {transport:?} {secure} {h2c} {address}"), make))
}

pub fn transport(builder: &Builder<'_>, qualified: Option<&str>) -> Result<Transport, String> {
    let config = match qualified {
        None => &builder.ground.settings.servers_transport,
        Some(qualified) => {
            let (name, provider) = split(qualified);
            let config = builder
                .configs
                .get(provider)
                .and_then(|config| config.http.as_ref()?.servers_transports.as_ref()?.get(name));
            config.ok_or_else(|| format!("the servers transport '{qualified}' does not exist"))?
        }
    };
    let wish = Wish::of_transport(config).map_err(|error| {
        let name = qualified.unwrap_or("of the static configuration");
        format!("the servers transport '{name}': {error}")
    })?;
    reach(builder, config, &wish)
}

/// How an authentication server is reached: the static transport is for servers of services only.
pub fn client(builder: &Builder<'_>, tls: Option<&model::ClientTls>) -> Result<Transport, String> {
    let wish = tls.map(Wish::of_client).transpose()?.unwrap_or_default();
    reach(builder, &model::ServersTransport::default(), &wish)
}

fn reach(builder: &Builder<'_>, config: &model::ServersTransport, wish: &Wish) -> Result<Transport, String> {
    let timeouts = config.forwarding_timeouts.clone().unwrap_or_default();
    let period = |period: Option<Period>, default: u64| period.map_or(Duration::from_secs(default), |period| period.0);
    Ok(Transport {
        dial_timeout: period(timeouts.dial_timeout, 30),
        header_timeout: period(timeouts.response_header_timeout, 0),
        idle_timeout: period(timeouts.idle_conn_timeout, 90),
        most_idle: config
            .max_idle_conns_per_host
            .and_then(|most| usize::try_from(most).ok())
            .unwrap_or(200)
            .max(1),
        tls: builder.ground.state.client_tls(wish)?,
        tls_key: wish.key(),
        server_name: config.server_name.clone(),
        http2: config.disable_http2 != Some(true),
    })
}
