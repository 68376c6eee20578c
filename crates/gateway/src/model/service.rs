//! Services of the dynamic configuration: load balancers over servers, weighted services, mirrors, failover, and how servers are
//! reached.

use super::tree::{Period, shape};
use indexmap::IndexMap;

shape! {
    Service {
        load_balancer: LoadBalancer,
        weighted: Weighted,
        mirroring: Mirroring,
        failover: Failover,
        highest_random_weight: HighestRandomWeight,
    }

    LoadBalancer {
        servers: Vec<Server>,
        strategy: String,
        sticky: Sticky,
        health_check: HealthCheck,
        passive_health_check: PassiveHealthCheck,
        pass_host_header: bool,
        response_forwarding: ResponseForwarding,
        servers_transport: String,
    }
    /// `port` and `scheme` are how container labels name a server; files give its `url`.
    Server { url: String, weight: i64, preserve_path: bool, scheme: String, port: String, fenced: bool }
    Sticky { cookie: Cookie }
    Cookie {
        name: String,
        secure: bool,
        http_only: bool,
        same_site: String,
        max_age: i64,
        path: String,
        domain: String,
    }
    HealthCheck {
        scheme: String,
        mode: String,
        path: String,
        method: String,
        status: u16,
        port: u16,
        interval: Period,
        unhealthy_interval: Period,
        timeout: Period,
        hostname: String,
        follow_redirects: bool,
        headers: IndexMap<String, String>,
    }
    PassiveHealthCheck { failure_window: Period, max_failed_attempts: i64 }
    ResponseForwarding { flush_interval: Period }

    Weighted { services: Vec<WeightedService>, sticky: Sticky, health_check: Inherited }
    WeightedService { name: String, weight: i64 }
    HighestRandomWeight { services: Vec<WeightedService>, health_check: Inherited }
    Mirroring { service: String, mirror_body: bool, max_body_size: i64, mirrors: Vec<Mirror>, health_check: Inherited }
    Mirror { name: String, percent: i64 }
    Failover { service: String, fallback: String, health_check: Inherited }
    Inherited {}

    ServersTransport {
        server_name: String,
        insecure_skip_verify: bool,
        root_cas as "rootCAs": Vec<String>,
        certificates: Vec<super::Certificate>,
        max_idle_conns_per_host: i64,
        forwarding_timeouts: ForwardingTimeouts,
        disable_http2 as "disableHTTP2": bool,
        peer_cert_uri as "peerCertURI": String,
    }
    ForwardingTimeouts {
        dial_timeout: Period,
        response_header_timeout: Period,
        idle_conn_timeout: Period,
        read_idle_timeout: Period,
        ping_timeout: Period,
    }
}
