//! Routers: which entrypoints they are on, their rule, chain and service, and how they are listed.

use super::{Builder, Tables, qualify};
use crate::{
    acme,
    api::Row,
    compile,
    listener::tls,
    meter::Scope,
    middleware::Middleware,
    model,
    rule::{self, Matcher, Rule, Syntax},
    service::{Service, Upstream, internal::Internal},
    settings::EntryPoint,
    snapshot::{Placed, Route},
};
use std::sync::Arc;

/// A router that holds, on its way to its entrypoints.
struct Seat<'a> {
    provider: &'a str,
    router: &'a model::Router,
    name: &'a Arc<str>,
    priority: i64,
    rule: &'a Rule,
    service: &'a Arc<Service>,
    middlewares: &'a [String],
}

impl Builder<'_> {
    /// The whole chain in front of a router's service, nested chains laid flat.
    fn chain(&mut self, names: &[String], provider: &str) -> Result<Vec<Middleware>, String> {
        let mut chain = Vec::new();
        for name in names {
            chain.extend(compile::middleware(self, &qualify(name, provider), &mut Vec::new())?);
        }
        Ok(chain)
    }

    pub(super) fn router(
        &mut self,
        provider: &str,
        name: &str,
        router: &model::Router,
        (tables, certificates): (&mut [Tables], &tls::Certificates),
    ) {
        let qualified: Arc<str> = format!("{name}@{provider}").into();
        let text = router.rule.clone().unwrap_or_default();
        let natural = i64::try_from(text.len()).unwrap_or(i64::MAX);
        let priority = router.priority.filter(|priority| *priority != 0).unwrap_or(natural);
        let (entries, mut errors) = self.entries_of(router);
        let all = &self.ground.settings.entry_points;
        let names: Vec<String> = entries.iter().map(|&entry| all[entry].name.clone()).collect();
        let middlewares: Vec<String> = router
            .middlewares
            .iter()
            .flatten()
            .map(|name| qualify(name, provider))
            .collect();
        let mut enabled = !entries.is_empty();
        let placed = self.compiled(provider, router, &text).and_then(|(rule, service)| {
            let seat = Seat {
                provider,
                router,
                name: &qualified,
                priority,
                rule: &rule,
                service: &service,
                middlewares: &middlewares,
            };
            entries
                .into_iter()
                .try_for_each(|entry| self.place(&seat, entry, (&mut tables[entry], certificates)))
        });
        if let Err(error) = placed {
            enabled = false;
            errors.push(error);
            // What else is wrong, so that all can be mended at once.
            for middleware in &middlewares {
                let also = self.chain(std::slice::from_ref(middleware), provider).err();
                let unsaid = also.filter(|also| !errors.contains(also));
                errors.extend(unsaid);
            }
        }
        if !enabled {
            tracing::warn!(router = &*qualified, errors = ?errors, "a router is disabled");
        }
        let missing = errors.iter().any(|error| error.starts_with(NO_ENTRY_POINT));
        let service = router.service.as_deref().map(|service| qualify(service, provider));
        let row = Row {
            config: router,
            entry_points: if missing {
                router.entry_points.as_deref().unwrap_or_default()
            } else {
                &names
            },
            middlewares: &middlewares,
            tls: router.tls.is_some(),
            priority: (!text.is_empty() && !missing).then_some(priority),
            enabled: enabled && !missing,
            errors,
            service: service.as_deref(),
        };
        self.list(&qualified, row, missing);
    }

    /// Puts a router into one entrypoint's tables, with the entrypoint's own middlewares in front.
    fn place(
        &mut self,
        seat: &Seat<'_>,
        entry: usize,
        (tables, certificates): (&mut Tables, &tls::Certificates),
    ) -> Result<(), String> {
        let point = &self.ground.settings.entry_points[entry];
        let mut all = point.middlewares.clone();
        all.extend(seat.middlewares.iter().cloned());
        let chain = self.chain(&all, seat.provider)?;
        let counted = Some((seat.name.clone(), seat.service.name.clone()));
        let route = Route {
            service: seat.service.clone(),
            chain,
            scope: Scope::new(point.name.as_str().into(), counted).observed(
                observed(seat.router, |seen| seen.metrics),
                observed(seat.router, |seen| seen.access_logs),
            ),
        };
        let placed = Placed {
            priority: seat.priority,
            name: seat.name.clone(),
            rule: seat.rule.clone(),
            route: Arc::new(route),
        };
        let Some(tls) = seat.router.tls.as_ref().or(point.tls.as_ref()) else {
            tables.plain.push(placed);
            return Ok(());
        };
        let options = match tls.options.as_deref() {
            None | Some("default") => "default".to_owned(),
            Some(name) => qualify(name, seat.provider),
        };
        let hosts = named_hosts(seat.rule);
        if let Some(resolver) = tls.cert_resolver.as_deref().filter(|name| !name.is_empty()) {
            let all = &self.ground.settings.resolvers;
            if !all.iter().any(|known| known.name == resolver) {
                return Err(format!("the certificate resolver '{resolver}' does not exist"));
            }
            let domains = tls.domains.as_deref().unwrap_or_default();
            let covered = |host: &str| certificates.given(host);
            self.wanted
                .extend(acme::names::wanted(resolver, domains, &hosts, &covered));
        }
        for host in hosts {
            tables.hosts.entry(host).or_default().push(options.clone());
        }
        tables.secure.push(placed);
        Ok(())
    }

    /// Lists a router as Traefik does: one copy for every entrypoint that adds something to its routers, under the entrypoint's
    /// and the router's name where it is on several.
    fn list(&mut self, name: &str, row: Row<'_>, missing: bool) {
        let adds = |entry: &&EntryPoint| entry.tls.is_some() || !entry.middlewares.is_empty();
        let all = &self.ground.settings.entry_points;
        let on: Vec<&EntryPoint> = row
            .entry_points
            .iter()
            .filter_map(|name| all.iter().find(|entry| entry.name == *name))
            .collect();
        let (adding, plain): (Vec<&EntryPoint>, Vec<&EntryPoint>) = on.iter().partition(|entry| adds(entry));
        if adding.is_empty() || missing {
            return self.listing.router(name, row);
        }
        for entry in &adding {
            let mut middlewares = entry.middlewares.clone();
            middlewares.extend(row.middlewares.iter().cloned());
            let copy = Row {
                entry_points: std::slice::from_ref(&entry.name),
                middlewares: &middlewares,
                tls: row.tls || entry.tls.is_some(),
                ..row.clone()
            };
            let copied = if on.len() > 1 {
                format!("{}-{name}", entry.name)
            } else {
                name.to_owned()
            };
            self.listing.router(&copied, copy);
        }
        if !plain.is_empty() {
            let names: Vec<String> = plain.iter().map(|entry| entry.name.clone()).collect();
            self.listing.router(
                name,
                Row {
                    entry_points: &names,
                    ..row
                },
            );
        }
    }

    fn compiled(&mut self, provider: &str, router: &model::Router, text: &str) -> Result<(Rule, Arc<Service>), String> {
        let syntax = match &router.rule_syntax {
            Some(name) => Syntax::parse(name)?,
            None => self.ground.settings.default_syntax,
        };
        let rule = rule::compile(text, syntax)?;
        if let Some(name) = router
            .tls
            .as_ref()
            .and_then(|tls| tls.options.as_deref())
            .filter(|name| *name != "default")
        {
            let qualified = qualify(name, provider);
            self.tls_options(&qualified)
                .ok_or_else(|| format!("the TLS options '{qualified}' do not exist"))?;
        }
        let service = router.service.as_deref().ok_or("the router names no service")?;
        let service = self.service(&qualify(service, provider))?;
        Ok((rule, service))
    }

    /// The entrypoints a router is on, and which of those it names do not exist.
    fn entries_of(&self, router: &model::Router) -> (Vec<usize>, Vec<String>) {
        let all = &self.ground.settings.entry_points;
        let admin = self
            .ground
            .settings
            .admin
            .as_ref()
            .map(|admin| admin.entry_point.as_str());
        let Some(names) = router.entry_points.as_ref().filter(|names| !names.is_empty()) else {
            let any_default = all.iter().any(|entry| entry.as_default);
            let usual = |entry: &EntryPoint| {
                if any_default {
                    entry.as_default
                } else {
                    Some(entry.name.as_str()) != admin
                }
            };
            let places = all
                .iter()
                .enumerate()
                .filter(|(_, entry)| usual(entry))
                .map(|(place, _)| place);
            return (places.collect(), Vec::new());
        };
        let mut places = Vec::new();
        let mut errors = Vec::new();
        for name in names {
            match all.iter().position(|entry| entry.name.eq_ignore_ascii_case(name)) {
                Some(place) => places.push(place),
                None => errors.push(format!("{NO_ENTRY_POINT} '{name}'")),
            }
        }
        (places, errors)
    }

    /// Entrypoints that send everything elsewhere.
    pub(super) fn redirections(&mut self, tables: &mut [Tables]) {
        let all = &self.ground.settings.entry_points;
        for (place, entry) in all.iter().enumerate() {
            let Some(redirect) = &entry.redirect else { continue };
            let address = all
                .iter()
                .find(|other| other.name.eq_ignore_ascii_case(&redirect.to))
                .map_or(redirect.to.as_str(), |other| &other.address);
            let port = address
                .rsplit_once(':')
                .map_or("", |(_, port)| port.split('/').next().unwrap_or_default());
            let name: Arc<str> = format!("{}-to-{}@internal", entry.name, redirect.to).into();
            let service = Arc::new(Service {
                name: "noop@internal".into(),
                upstream: Upstream::Internal(Internal::Redirect {
                    scheme: redirect.scheme.clone(),
                    port: port.to_owned(),
                    permanent: redirect.permanent,
                }),
            });
            let scope = Scope::new(entry.name.as_str().into(), Some((name.clone(), service.name.clone())));
            let route = Arc::new(Route {
                service,
                chain: Vec::new(),
                scope,
            });
            tables[place].plain.push(Placed {
                priority: redirect.priority.unwrap_or(i64::MAX - 1),
                name,
                rule: Rule::And(Vec::new()),
                route,
            });
        }
    }
}

/// How the complaint about an unknown entrypoint begins.
const NO_ENTRY_POINT: &str = "there is no entrypoint";

/// The hosts a rule names, wherever it names them.
fn named_hosts(rule: &Rule) -> Vec<String> {
    match rule {
        Rule::And(parts) | Rule::Or(parts) => parts.iter().flat_map(named_hosts).collect(),
        Rule::Match(Matcher::Host(host)) => vec![host.clone()],
        _ => Vec::new(),
    }
}

/// What a router says of its own observation; without a word it is observed.
fn observed(router: &model::Router, which: impl Fn(&model::Observability) -> Option<bool>) -> bool {
    router.observability.as_ref().and_then(which) != Some(false)
}
