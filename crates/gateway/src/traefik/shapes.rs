//! Traefik's static configuration as it is written.

use crate::model::{self, Period, middleware::Anything, tree::shape};
use indexmap::IndexMap;

shape! {
    /// The whole static configuration as it is written.
    Static {
        config_file: String,
        global: Anything,
        log: Log,
        access_log: Access,
        api: Api,
        ping: Ping,
        metrics: Metrics,
        tracing: Tracing,
        entry_points: IndexMap<String, Point>,
        providers: Sources,
        core: Core,
        servers_transport: model::ServersTransport,
        certificates_resolvers: IndexMap<String, ResolverShape>,
        experimental: Experimental,
    }
    Log {
        level: String,
        format: String,
        no_color: bool,
        file_path: String,
        max_size: i64,
        max_age: i64,
        max_backups: i64,
        compress: bool,
    }
    Access {
        format: String,
        file_path: String,
        buffering_size: i64,
        add_internals: bool,
        filters: AccessFilters,
        fields: AccessFields,
    }
    AccessFilters { status_codes: Vec<String>, retry_attempts: bool, min_duration: Period }
    AccessFields { default_mode: String, names: IndexMap<String, String>, headers: AccessHeaders }
    AccessHeaders { default_mode: String, names: IndexMap<String, String> }
    Tracing {
        service_name: String,
        resource_attributes: IndexMap<String, String>,
        sample_rate: f64,
        add_internals: bool,
        otlp: Otlp,
        captured_request_headers: Vec<String>,
        captured_response_headers: Vec<String>,
        safe_query_params: Vec<String>,
    }
    Otlp { http: OtlpHttp, grpc: Anything }
    OtlpHttp { endpoint: String, headers: IndexMap<String, String>, tls: Anything }
    Api { insecure: bool, dashboard: bool, debug: bool, disable_dashboard_ad: bool, base_path: String }
    Ping { entry_point: String, manual_routing: bool, terminating_status_code: u16 }
    Metrics { prometheus: Prometheus, add_internals: bool }
    Prometheus {
        entry_point: String,
        manual_routing: bool,
        buckets: Vec<f64>,
        add_entry_points_labels: bool,
        add_routers_labels: bool,
        add_services_labels: bool,
    }
    Core { default_rule_syntax: String }

    Point {
        address: String,
        as_default: bool,
        forwarded_headers: Trusted,
        proxy_protocol: ProxyProtocol,
        /// Beyond Traefik: behind Cloudflare.
        cloudflare: BehindCloudflare,
        http: PointHttp,
        http2: Http2,
        http3: Http3Shape,
        transport: Transport,
        observability: model::Observability,
    }
    Trusted { insecure: bool, trusted_ips as "trustedIPs": Vec<String>, connection: Vec<String> }
    ProxyProtocol { insecure: bool, trusted_ips as "trustedIPs": Vec<String> }
    BehindCloudflare { ranges: Vec<String>, origin_pull_ca as "originPullCA": String }
    PointHttp {
        middlewares: Vec<String>,
        tls: model::RouterTls,
        redirections: Redirections,
        max_header_bytes: u64,
        encode_query_semicolons: bool,
        sanitize_path: bool,
    }
    Http3Shape { advertised_port: u16 }
    Http2 { max_concurrent_streams: i64 }
    Redirections { entry_point: RedirectTo }
    RedirectTo { to: String, scheme: String, permanent: bool, priority: i64 }
    Transport { responding_timeouts: Responding, life_cycle: LifeCycle, keep_alive_max_requests: i64, keep_alive_max_time: Period }
    Responding { read_timeout: Period, write_timeout: Period, idle_timeout: Period }
    LifeCycle { request_accept_grace_timeout: Period, grace_time_out: Period }

    /// `http3` was an experiment in version 2; the entrypoint's own key counts.
    Experimental { http3: bool, plugins: Anything, local_plugins: Anything }
    ResolverShape { acme: AcmeShape, tailscale: Anything }
    AcmeShape {
        email: String,
        ca_server: String,
        storage: String,
        key_type: String,
        eab: Eab,
        preferred_chain: String,
        profile: String,
        certificates_duration: u64,
        ca_certificates: Vec<String>,
        ca_server_name: String,
        http_challenge: HttpChallengeShape,
        tls_challenge: TlsChallengeShape,
        dns_challenge: DnsChallengeShape,
    }
    Eab { kid: String, hmac_encoded: String }
    HttpChallengeShape { entry_point: String }
    TlsChallengeShape {}
    DnsChallengeShape {
        provider: String,
        resolvers: Vec<String>,
        delay_before_check: Period,
        disable_propagation_check: bool,
        propagation: Propagation,
    }
    Propagation {
        delay_before_checks: Period,
        disable_checks: bool,
        disable_ans_checks as "disableANSChecks": bool,
        require_all_rns as "requireAllRNS": bool,
    }

    Sources { providers_throttle_duration: Period, file: FileSource, http: HttpSource, docker: DockerSource }
    DockerSource {
        endpoint: String,
        exposed_by_default: bool,
        default_rule: String,
        network: String,
        use_bind_port_ip as "useBindPortIP": bool,
        constraints: String,
        allow_empty_services: bool,
        watch: bool,
        http_client_timeout as "httpClientTimeout": Period,
    }
    FileSource { directory: String, filename: String, watch: bool, debug_log_generated_template: bool }
    HttpSource { endpoint: String, poll_interval: Period, poll_timeout: Period, headers: IndexMap<String, String> }
}

impl Log {
    /// Whether the log would be rotated by whoever writes it.
    pub fn rotates(&self) -> bool {
        let sizes = [self.max_size, self.max_age, self.max_backups];
        sizes.iter().flatten().any(|size| *size > 0) || self.compress == Some(true)
    }
}
