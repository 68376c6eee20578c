//! Traefik's static configuration: flags, `TRAEFIK_*` variables, or `traefik.yml`/`.toml`, read into [`Settings`].

mod entry_point;
mod resolvers;
mod shapes;
mod telemetry;

use crate::{
    access_log,
    model::{Mistake, Node, Place, Reader, Shape, Value, text},
    provider::template::Environment,
    rule::Syntax,
    settings::{
        AccessLog, Admin, DockerProvider, EntryPoint, FileProvider, HttpProvider, Providers, Settings,
        resolver::{Challenge, Resolver},
    },
};
use entry_point::entry_point;
use shapes::Log;
pub use shapes::{Access, AccessFields, Static};
use std::{io, time::Duration};

/// Where Traefik looks when no file is named.
pub const USUAL_FILES: [&str; 3] = [
    "/etc/traefik/traefik.yml",
    "/etc/traefik/traefik.yaml",
    "/etc/traefik/traefik.toml",
];
/// The entrypoint of the API, unless told otherwise.
const ADMIN: &str = "traefik";

impl Static {
    /// Reads flags (`--entrypoints.web.address=:80`), `TRAEFIK_*` variables and the configuration file. Flags win over the file;
    /// variables count where there are neither.
    ///
    /// # Errors
    /// Every mistake, with its flag, variable or file:line.
    pub fn parse(
        args: &[String],
        env: &[(String, String)],
        read_file: &dyn Fn(&str) -> io::Result<String>,
    ) -> Result<Self, Vec<Mistake>> {
        let mut flags = empty("flags");
        let mut mistakes = put_flags(&mut flags, args);
        let named = lookup(&flags, "configfile");
        let mut root = match file(named.as_deref(), read_file) {
            Ok(found) => found,
            Err(mistake) => {
                mistakes.push(mistake);
                None
            }
        };
        if root.is_none() && args.is_empty() {
            let mut variables = empty("environment");
            for (name, value) in env {
                if let Some(key) = name.strip_prefix("TRAEFIK_") {
                    let place = place(&format!("environment variable {name}"));
                    text::put(
                        &mut variables,
                        &key.replace('_', ".").to_ascii_lowercase(),
                        value,
                        &place,
                    );
                }
            }
            root = Some(variables);
        }
        let mut root = root.unwrap_or_else(|| empty("flags"));
        mistakes.extend(put_flags(&mut root, args));
        let mut reader = Reader::default();
        let read = <Self as Shape>::read(&root, &mut reader);
        mistakes.extend(reader.mistakes);
        mistakes.dedup();
        match read {
            Some(read) if mistakes.is_empty() => Ok(read),
            _ => Err(mistakes),
        }
    }

    /// The settings it means, over `base` for what Traefik does not say.
    ///
    /// # Errors
    /// A value that cannot be used.
    pub fn settings(&self, base: Settings) -> Result<Settings, Vec<Mistake>> {
        let mut wrong = self.unsupported();
        let mut entry_points = Vec::new();
        for (name, point) in self.entry_points.iter().flatten() {
            match entry_point(name, point) {
                Ok(point) => entry_points.push(point),
                Err(message) => wrong.push(mistake(&format!("entryPoints.{name}"), message)),
            }
        }
        if entry_points.iter().all(|point| point.name == ADMIN) {
            entry_points.insert(0, EntryPoint::new("web", ":80"));
        }
        let api = self.api.as_ref().is_some_and(|api| api.insecure == Some(true));
        let ping = self.ping.as_ref().filter(|ping| ping.manual_routing != Some(true));
        let prometheus = self
            .metrics
            .as_ref()
            .and_then(|metrics| metrics.prometheus.as_ref())
            .filter(|p| p.manual_routing != Some(true));
        let named = ping
            .and_then(|ping| ping.entry_point.clone())
            .or_else(|| prometheus.and_then(|p| p.entry_point.clone()));
        let admin = (api || ping.is_some() || prometheus.is_some()).then(|| Admin {
            entry_point: named.unwrap_or_else(|| ADMIN.into()),
            api,
            ping: ping.is_some(),
            metrics: prometheus.is_some(),
        });
        if let Some(admin) = &admin
            && !entry_points.iter().any(|point| point.name == admin.entry_point)
        {
            entry_points.push(EntryPoint::new(&admin.entry_point, ":8080"));
        }
        let syntax = self
            .core
            .as_ref()
            .and_then(|core| core.default_rule_syntax.as_deref())
            .unwrap_or_default();
        let default_syntax = Syntax::parse(syntax).unwrap_or_else(|message| {
            wrong.push(mistake("core.defaultRuleSyntax", message));
            Syntax::V3
        });
        let access_log = access_log(self.access_log.as_ref(), &mut wrong);
        let providers = self.providers(&mut wrong);
        let resolvers = self.resolvers(&entry_points, base.has_database, &mut wrong);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Settings {
            entry_points,
            admin,
            default_syntax,
            providers,
            access_log,
            servers_transport: self.servers_transport.clone().unwrap_or_default(),
            resolvers,
            ..base
        })
    }

    /// What we know and do not do is said, not passed over.
    fn unsupported(&self) -> Vec<Mistake> {
        let otlp = self.tracing.as_ref().and_then(|tracing| tracing.otlp.as_ref());
        let known = [
            (
                "tracing.otlp.grpc",
                otlp.is_some_and(|otlp| otlp.grpc.is_some()),
                "spans go out over OTLP/HTTP: tracing.otlp.http",
            ),
            (
                "tracing.otlp.http.tls",
                otlp.and_then(|otlp| otlp.http.as_ref())
                    .is_some_and(|http| http.tls.is_some()),
                "is not supported: the collector's certificate must be one the web trusts",
            ),
            (
                "log",
                self.log.as_ref().is_some_and(Log::rotates),
                "files are rotated from outside (logrotate): maxSize, maxAge, maxBackups and compress are not supported; \
                 a file that was moved is opened anew",
            ),
            (
                "experimental",
                self.experimental
                    .as_ref()
                    .is_some_and(|experimental| experimental.plugins.is_some() || experimental.local_plugins.is_some()),
                "plugins are not supported",
            ),
        ];
        let given = known.iter().filter(|(_, given, _)| *given);
        given.map(|(key, _, message)| mistake(key, (*message).into())).collect()
    }

    fn resolvers(&self, entry_points: &[EntryPoint], has_database: bool, wrong: &mut Vec<Mistake>) -> Vec<Resolver> {
        let mut out = Vec::new();
        for (name, shape) in self.certificates_resolvers.iter().flatten() {
            let key = format!("certificatesResolvers.{name}");
            match resolvers::resolver(name, shape, has_database) {
                Ok(Resolver {
                    challenge: Challenge::Http { entry_point },
                    ..
                }) if !entry_points
                    .iter()
                    .any(|known| known.name.eq_ignore_ascii_case(&entry_point)) =>
                {
                    let message = format!("there is no entrypoint '{entry_point}'");
                    wrong.push(mistake(&format!("{key}.acme.httpChallenge.entryPoint"), message));
                }
                Ok(resolver) => out.push(resolver),
                Err(message) => wrong.push(mistake(&key, message)),
            }
        }
        out
    }

    fn providers(&self, wrong: &mut Vec<Mistake>) -> Providers {
        let Some(sources) = &self.providers else {
            return Providers::default();
        };
        let mut out = Providers {
            throttle: sources
                .providers_throttle_duration
                .map_or(Duration::from_secs(2), |period| period.0),
            ..Providers::default()
        };
        if let Some(file) = &sources.file {
            match file.directory.as_ref().or(file.filename.as_ref()) {
                Some(path) => {
                    out.file = Some(FileProvider {
                        path: path.into(),
                        watch: file.watch != Some(false),
                    });
                }
                None => wrong.push(mistake("providers.file", "it needs a directory or a filename".into())),
            }
        }
        if let Some(docker) = &sources.docker {
            if docker.use_bind_port_ip == Some(true) {
                wrong.push(mistake("providers.docker.useBindPortIP", "is not supported".into()));
            }
            out.docker = Some(DockerProvider {
                endpoint: docker
                    .endpoint
                    .clone()
                    .unwrap_or_else(|| "unix:///var/run/docker.sock".into()),
                exposed_by_default: docker.exposed_by_default != Some(false),
                default_rule: docker
                    .default_rule
                    .clone()
                    .unwrap_or_else(|| "Host(`{{ normalize .Name }}`)".into()),
                environment: Environment::default(),
                network: docker.network.clone().unwrap_or_default(),
                constraints: docker.constraints.clone().unwrap_or_default(),
            });
        }
        if let Some(http) = &sources.http {
            match &http.endpoint {
                Some(endpoint) => {
                    out.http = Some(HttpProvider {
                        endpoint: endpoint.clone(),
                        poll_interval: http.poll_interval.map_or(Duration::from_secs(5), |period| period.0),
                        poll_timeout: http.poll_timeout.map_or(Duration::from_secs(5), |period| period.0),
                        headers: http
                            .headers
                            .iter()
                            .flatten()
                            .map(|(name, value)| (name.clone(), value.clone()))
                            .collect(),
                    });
                }
                None => wrong.push(mistake("providers.http", "it needs an endpoint".into())),
            }
        }
        out
    }
}

/// Traefik's access log, or none.
fn access_log(access: Option<&shapes::Access>, wrong: &mut Vec<Mistake>) -> AccessLog {
    let Some(access) = access else { return AccessLog::Off };
    match access_log::Settings::read(access) {
        Ok(settings) => AccessLog::Traefik(settings),
        Err(message) => {
            wrong.push(mistake("accessLog", message));
            AccessLog::Off
        }
    }
}

fn place(source: &str) -> Place {
    Place {
        source: source.into(),
        line: 0,
    }
}

fn empty(source: &str) -> Node {
    Node {
        place: place(source),
        value: Value::Map(Vec::new()),
    }
}

fn mistake(key: &str, message: String) -> Mistake {
    Mistake {
        place: place("static configuration"),
        key: key.into(),
        message,
    }
}

/// `--key=value`, `--key value` and `--key` for true.
fn put_flags(root: &mut Node, args: &[String]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut args = args.iter().peekable();
    while let Some(arg) = args.next() {
        let Some(flag) = arg.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
            mistakes.push(mistake(
                arg,
                "a flag such as --entrypoints.web.address=:80 is expected".into(),
            ));
            continue;
        };
        let (key, value) = match flag.split_once('=') {
            Some((key, value)) => (key, value.to_owned()),
            None => match args.next_if(|next| !next.starts_with("--")) {
                Some(next) => (flag, next.clone()),
                None => (flag, "true".to_owned()),
            },
        };
        text::put(root, key, &value, &place(&format!("flag --{key}")));
    }
    mistakes
}

fn lookup(root: &Node, key: &str) -> Option<String> {
    let Value::Map(entries) = &root.value else { return None };
    let (_, node) = entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn file(named: Option<&str>, read: &dyn Fn(&str) -> io::Result<String>) -> Result<Option<Node>, Mistake> {
    let found = match named {
        Some(path) => {
            let content = read(path).map_err(|error| mistake("configFile", format!("'{path}': {error}")))?;
            Some((path, content))
        }
        None => USUAL_FILES
            .iter()
            .find_map(|path| read(path).ok().map(|content| (*path, content))),
    };
    found
        .map(|(path, content)| {
            if path.ends_with(".toml") {
                text::toml(path, &content)
            } else {
                text::yaml(path, &content)
            }
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Static, Vec<Mistake>> {
        let args: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Static::parse(&args, &[], &|path| match path {
            "t.yml" => Ok("entryPoints:\n  web: {address: ':81'}\n  web2:\n    adress: ':82'\n".into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        })
    }

    #[test]
    fn flags_become_settings() {
        let read = parse(&[
            "--entrypoints.web.address=:8000",
            "--api.insecure",
            "--ping=true",
            "--providers.file.directory",
            "/d",
            "--entrypoints.web.forwardedheaders.trustedips=10.0.0.0/8,::1",
        ]);
        let settings = read.expect("valid").settings(Settings::default()).expect("usable");
        let names: Vec<_> = settings
            .entry_points
            .iter()
            .map(|point| (point.name.as_str(), point.address.as_str()))
            .collect();
        assert_eq!(names, [("web", ":8000"), ("traefik", ":8080")]);
        assert!(settings.admin.expect("admin").ping);
        assert_eq!(settings.entry_points[0].forwarded.trusted.len(), 2);
        assert_eq!(settings.providers.file.expect("file").path.to_str(), Some("/d"));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let mistakes = parse(&["--configfile=t.yml", "--entrypoints.web.nonsense=true"]).expect_err("wrong");
        let texts: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(
            texts
                .iter()
                .any(|text| text.contains("t.yml:4") && text.contains("did you mean 'address'?")),
            "{texts:?}"
        );
        assert!(
            texts.iter().any(|text| text.contains("--entrypoints.web.nonsense")),
            "{texts:?}"
        );
    }

    #[test]
    fn variables_count_where_there_are_no_flags() {
        let env = [
            ("TRAEFIK_ENTRYPOINTS_WEB_ADDRESS".to_owned(), ":90".to_owned()),
            ("PATH".to_owned(), "x".to_owned()),
        ];
        let read = Static::parse(&[], &env, &|_| Err(io::ErrorKind::NotFound.into())).expect("valid");
        assert_eq!(
            read.entry_points.expect("points")["web"].address.as_deref(),
            Some(":90")
        );
    }
}
