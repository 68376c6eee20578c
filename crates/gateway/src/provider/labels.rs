//! From containers and their `traefik.*` labels to dynamic configuration, with all that Traefik wires up unasked: default rule,
//! names, port and address. Pure; the engine is [`super::docker`]'s business.

use super::{constraints, template};
use crate::{
    model::{
        Dynamic, Http, Mistake, Node, Place, Router, Value,
        service::{LoadBalancer, Server, Service},
        text,
    },
    settings::DockerProvider,
};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// What matters of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// Networks and the container's address there, by name.
    pub networks: BTreeMap<String, String>,
    pub network_mode: String,
    /// TCP ports it exposes.
    pub ports: Vec<u16>,
    /// Neither starting nor unhealthy, and not about to be stopped.
    pub ready: bool,
    /// It ran and has ended, and may be started again.
    pub gone: bool,
}

/// The configuration of all containers, and what was wrong with which.
pub fn dynamic(containers: &[Container], settings: &DockerProvider) -> (Dynamic, Vec<Mistake>) {
    let mut whole = Dynamic::default();
    let mut mistakes = Vec::new();
    let mut dropped: Vec<String> = Vec::new();
    for container in containers.iter().filter(|container| !container.gone) {
        match one(container, containers, settings) {
            Ok(Some(part)) => merge(&mut whole, part, &mut dropped),
            Ok(None) => {}
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    for container in containers.iter().filter(|container| container.gone) {
        if let Ok(Some(part)) = one(container, containers, settings) {
            remember(&mut whole, part);
        }
    }
    mistakes.extend(dropped.into_iter().map(|name| Mistake {
        place: Place {
            source: "containers".into(),
            line: 0,
        },
        key: name,
        message: "is configured differently by several containers, so by none".into(),
    }));
    (whole, mistakes)
}

/// What a container that has ended configured, as far as nobody who runs does: its routes answer 503 until somebody is there again.
fn remember(whole: &mut Dynamic, gone: Dynamic) {
    fn fill<T>(ours: &mut Option<IndexMap<String, T>>, theirs: Option<IndexMap<String, T>>) {
        for (name, thing) in theirs.into_iter().flatten() {
            ours.get_or_insert_default().entry(name).or_insert(thing);
        }
    }
    let (ours, theirs) = (whole.http.get_or_insert_default(), gone.http.unwrap_or_default());
    fill(&mut ours.routers, theirs.routers);
    fill(&mut ours.services, theirs.services);
    fill(&mut ours.middlewares, theirs.middlewares);
}

fn place(container: &Container, label: &str) -> Place {
    Place {
        source: format!("container {} label {label}", container.name).into(),
        line: 0,
    }
}

fn wrong(container: &Container, key: &str, message: impl Into<String>) -> Vec<Mistake> {
    vec![Mistake {
        place: Place {
            source: format!("container {}", container.name).into(),
            line: 0,
        },
        key: key.into(),
        message: message.into(),
    }]
}

fn one(container: &Container, all: &[Container], settings: &DockerProvider) -> Result<Option<Dynamic>, Vec<Mistake>> {
    let enabled = container.labels.iter().find(|(name, _)| own(name, "enable"));
    let enabled = match enabled.map(|(_, value)| value.as_str()) {
        None => settings.exposed_by_default,
        Some(value) => value
            .parse()
            .map_err(|_| wrong(container, "traefik.enable", "true or false is expected here"))?,
    };
    let admitted = constraints::admitted(container, &settings.constraints)
        .map_err(|message| wrong(container, "constraints", message))?;
    if !enabled || !admitted {
        return Ok(None);
    }
    let misspelt = container
        .labels
        .keys()
        .find(|label| label.to_ascii_lowercase().starts_with("traefik.") && !label.starts_with("traefik."));
    if let Some(label) = misspelt {
        return Err(wrong(
            container,
            label,
            "the root of a label is 'traefik', in lower case",
        ));
    }
    let mut dynamic = Dynamic::read(&tree(container))?;
    let http = dynamic.http.get_or_insert_default();
    let name = service_name(container);
    services(container, all, settings, http, &name)?;
    routers(container, settings, http, &name)?;
    Ok(Some(dynamic))
}

/// Whether the label is `traefik.<key>`: the root has one spelling, the rest any case.
fn own(label: &str, key: &str) -> bool {
    label
        .strip_prefix("traefik.")
        .is_some_and(|rest| rest.eq_ignore_ascii_case(key))
}

fn tree(container: &Container) -> Node {
    let mut root = Node {
        place: place(container, ""),
        value: Value::Map(Vec::new()),
    };
    for (label, value) in &container.labels {
        let plain = label.to_ascii_lowercase();
        // The root has one spelling; below it letters have no case.
        if !label.starts_with("traefik.") || plain == "traefik.enable" || plain.starts_with("traefik.docker.") {
            continue;
        }
        let mut key = label["traefik.".len()..].to_owned();
        // Labels speak of the one server the container is.
        if let Some(at) = key.to_ascii_lowercase().find(".loadbalancer.server.") {
            let end = at + ".loadbalancer.server".len();
            key = format!("{}s[0]{}", &key[..end], &key[end..]);
        }
        text::put(&mut root, &key, value, &place(container, label));
    }
    root
}

/// `service-project` for compose, else the container's name; only letters, digits and `-`.
fn service_name(container: &Container) -> String {
    let label = |name: &str| container.labels.get(name);
    let name = match (label("com.docker.compose.service"), label("com.docker.compose.project")) {
        (Some(service), Some(project)) => format!("{service}_{project}"),
        _ => container.name.clone(),
    };
    normalize(&name)
}

pub fn normalize(name: &str) -> String {
    let parts: Vec<&str> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("-")
}

fn services(
    container: &Container,
    all: &[Container],
    settings: &DockerProvider,
    http: &mut Http,
    name: &str,
) -> Result<(), Vec<Mistake>> {
    let services = http.services.get_or_insert_default();
    if services.is_empty() {
        services.insert(name.to_owned(), Service::default());
    }
    for service in services.values_mut() {
        let is_other = service.weighted.is_some() || service.mirroring.is_some() || service.failover.is_some();
        if is_other {
            continue;
        }
        let balancer = service.load_balancer.get_or_insert_with(LoadBalancer::default);
        let written = balancer
            .servers
            .take()
            .and_then(|servers| servers.into_iter().next())
            .unwrap_or_default();
        // Not ready: the route exists and answers 503 until somebody is.
        balancer.servers = Some(if container.ready {
            vec![server(container, all, settings, &written)?]
        } else {
            Vec::new()
        });
    }
    Ok(())
}

fn server(
    container: &Container,
    all: &[Container],
    settings: &DockerProvider,
    written: &Server,
) -> Result<Server, Vec<Mistake>> {
    let mut server = Server {
        weight: written.weight,
        preserve_path: written.preserve_path,
        ..Server::default()
    };
    if written.url.is_some() {
        server.url.clone_from(&written.url);
        return Ok(server);
    }
    let port = match &written.port {
        Some(port) => port.clone(),
        None => {
            let lowest = container.ports.iter().min();
            lowest.map(u16::to_string).ok_or_else(|| {
                wrong(
                    container,
                    "loadbalancer.server.port",
                    "no port is exposed and none is named",
                )
            })?
        }
    };
    let ip = address(container, all, settings).ok_or_else(|| {
        wrong(
            container,
            "network",
            "the container has no address the gateway could use",
        )
    })?;
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip };
    let scheme = written.scheme.as_deref().unwrap_or("http");
    server.url = Some(format!("{scheme}://{host}:{port}"));
    Ok(server)
}

fn address(container: &Container, all: &[Container], settings: &DockerProvider) -> Option<String> {
    let label = container.labels.iter().find(|(name, _)| own(name, "docker.network"));
    let wanted = label.map_or(settings.network.as_str(), |(_, value)| value.as_str());
    if let Some(ip) = container.networks.get(wanted) {
        return Some(ip.clone()).filter(|ip| !ip.is_empty());
    }
    if container.network_mode == "host" {
        return Some("127.0.0.1".into());
    }
    if let Some(other) = container.network_mode.strip_prefix("container:") {
        let other = all
            .iter()
            .find(|candidate| candidate.id == other || candidate.name == other)?;
        return address(other, &[], settings);
    }
    container.networks.values().find(|ip| !ip.is_empty()).cloned()
}

fn routers(container: &Container, settings: &DockerProvider, http: &mut Http, name: &str) -> Result<(), Vec<Mistake>> {
    let services: Vec<String> = http.services.iter().flatten().map(|(name, _)| name.clone()).collect();
    let routers = http.routers.get_or_insert_default();
    if routers.is_empty() {
        if services.len() > 1 {
            return Ok(());
        }
        routers.insert(name.to_owned(), Router::default());
    }
    let rule = template::default_rule(&settings.default_rule, container, name, &settings.environment)
        .map_err(|message| wrong(container, "defaultRule", message))?;
    for router in routers.values_mut() {
        if router.rule.as_deref().unwrap_or_default().is_empty() {
            router.rule = Some(rule.clone());
        }
        if router.service.is_none()
            && let [only] = services.as_slice()
        {
            router.service = Some(only.clone());
        }
    }
    // With several services a router must say which; one that does not is left out, as in Traefik.
    routers.retain(|_, router| router.service.is_some());
    Ok(())
}

/// Containers of one name share a service's servers; whatever else they say differently is said by none.
fn merge(whole: &mut Dynamic, mut part: Dynamic, dropped: &mut Vec<String>) {
    let Some(theirs) = part.http.as_mut() else { return };
    let ours = whole.http.get_or_insert_default();
    let services = ours.services.get_or_insert_default();
    for (name, mut service) in theirs.services.take().unwrap_or_default() {
        let Some(known) = services.get_mut(&name) else {
            services.insert(name, service);
            continue;
        };
        let servers = |service: &mut Service| {
            service
                .load_balancer
                .as_mut()
                .and_then(|balancer| balancer.servers.take())
                .unwrap_or_default()
        };
        let (mut before, more) = (servers(known), servers(&mut service));
        if *known != service {
            dropped.push(format!("service '{name}'"));
        }
        before.extend(
            more.into_iter()
                .filter(|server| !before.contains(server))
                .collect::<Vec<_>>(),
        );
        if let Some(balancer) = known.load_balancer.as_mut() {
            balancer.servers = Some(before);
        }
    }
    // A name that was dropped once stays dropped, whoever says it again.
    let gone = |kind: &str, name: &String, dropped: &[String]| dropped.contains(&format!("{kind} '{name}'"));
    if let Some(routers) = theirs.routers.as_mut() {
        routers.retain(|name, _| !gone("router", name, dropped));
    }
    if let Some(middlewares) = theirs.middlewares.as_mut() {
        middlewares.retain(|name, _| !gone("middleware", name, dropped));
    }
    dropped.extend(whole.merge(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> DockerProvider {
        DockerProvider {
            endpoint: String::new(),
            exposed_by_default: true,
            default_rule: "Host(`{{ normalize .Name }}`)".into(),
            environment: template::Environment::default(),
            network: String::new(),
            constraints: String::new(),
        }
    }

    fn container(name: &str, labels: &[(&str, &str)]) -> Container {
        Container {
            name: name.into(),
            labels: labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            networks: [("net".to_owned(), "10.0.0.7".to_owned())].into(),
            ports: vec![8080, 80],
            ready: true,
            gone: false,
            ..Container::default()
        }
    }

    #[test]
    fn a_bare_container_gets_rule_service_and_lowest_port() {
        let (dynamic, mistakes) = dynamic(&[container("My_App.1", &[])], &settings());
        assert!(mistakes.is_empty());
        let http = dynamic.http.expect("http");
        let router = &http.routers.expect("routers")["My-App-1"];
        assert_eq!(
            (router.rule.as_deref(), router.service.as_deref()),
            (Some("Host(`My-App-1`)"), Some("My-App-1"))
        );
        let service = &http.services.expect("services")["My-App-1"];
        let servers = service
            .load_balancer
            .as_ref()
            .and_then(|balancer| balancer.servers.clone())
            .expect("servers");
        assert_eq!(servers[0].url.as_deref(), Some("http://10.0.0.7:80"));
    }

    #[test]
    fn a_misspelt_label_exposes_nothing_and_says_so() {
        let (dynamic, mistakes) = dynamic(
            &[container("x", &[("traefik.http.routers.r.entrypoint", "web")])],
            &settings(),
        );
        assert!(dynamic.http.is_none());
        let text = mistakes[0].to_string();
        assert!(
            text.contains("container x label") && text.contains("did you mean 'entryPoints'?"),
            "{text}"
        );
    }

    #[test]
    fn copies_share_a_service_and_disagreement_removes() {
        let rule = |text: &'static str| {
            [
                ("traefik.http.routers.r.rule", text),
                ("traefik.http.services.s.loadbalancer.server.port", "90"),
            ]
        };
        let mut second = container("b", &rule("Host(`b`)"));
        second.networks = [("net".to_owned(), "10.0.0.8".to_owned())].into();
        let (dynamic, mistakes) = dynamic(&[container("a", &rule("Host(`a`)")), second], &settings());
        let http = dynamic.http.expect("http");
        assert!(http.routers.expect("routers").is_empty() && mistakes.len() == 1);
        let service = &http.services.expect("services")["s"];
        assert_eq!(
            service
                .load_balancer
                .as_ref()
                .and_then(|balancer| balancer.servers.as_ref())
                .map(Vec::len),
            Some(2)
        );
    }
}
