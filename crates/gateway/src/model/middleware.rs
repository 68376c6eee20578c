//! Middlewares of the dynamic configuration. Exactly one key of [`Middleware`] is set; which one says what it is.

use super::tree::{Node, Period, Reader, Shape, shape};
use indexmap::IndexMap;

shape! {
    Middleware {
        add_prefix: AddPrefix,
        strip_prefix: StripPrefix,
        strip_prefix_regex: StripPrefixRegex,
        replace_path: ReplacePath,
        replace_path_regex: ReplacePathRegex,
        chain: Chain,
        ip_allow_list as "ipAllowList": IpAllowList,
        ip_white_list as "ipWhiteList": IpAllowList,
        headers: Headers,
        errors: Errors,
        rate_limit: RateLimit,
        redirect_regex: RedirectRegex,
        redirect_scheme: RedirectScheme,
        basic_auth: BasicAuth,
        digest_auth: BasicAuth,
        forward_auth: ForwardAuth,
        in_flight_req: InFlightReq,
        buffering: Buffering,
        circuit_breaker: CircuitBreaker,
        compress: Compress,
        pass_tls_client_cert as "passTLSClientCert": PassTlsClientCert,
        retry: Retry,
        content_type: ContentType,
        encoded_characters: EncodedCharacters,
        grpc_web: GrpcWeb,
        jwt: Jwt,
        api_key: ApiKey,
        cache: Cache,
        plugin: Plugin,
    }

    AddPrefix { prefix: String }
    StripPrefix { prefixes: Vec<String>, force_slash: bool }
    StripPrefixRegex { regex: Vec<String> }
    ReplacePath { path: String }
    ReplacePathRegex { regex: String, replacement: String }
    Chain { middlewares: Vec<String> }

    IpAllowList { source_range: Vec<String>, ip_strategy: IpStrategy, reject_status_code: u16 }
    IpStrategy { depth: i64, excluded_ips as "excludedIPs": Vec<String>, ipv6_subnet: i64 }
    SourceCriterion {
        ip_strategy: IpStrategy,
        request_header_name: String,
        request_host: bool,
        /// Beyond Traefik: the subject of a verified token, else the client's address.
        token_subject: bool,
    }

    Headers {
        custom_request_headers: IndexMap<String, String>,
        custom_response_headers: IndexMap<String, String>,
        access_control_allow_credentials: bool,
        access_control_allow_headers: Vec<String>,
        access_control_allow_methods: Vec<String>,
        access_control_allow_origin_list: Vec<String>,
        access_control_allow_origin_list_regex: Vec<String>,
        access_control_expose_headers: Vec<String>,
        access_control_max_age: i64,
        add_vary_header: bool,
        allowed_hosts: Vec<String>,
        hosts_proxy_headers: Vec<String>,
        ssl_proxy_headers: IndexMap<String, String>,
        ssl_redirect: bool,
        ssl_temporary_redirect: bool,
        ssl_host: String,
        ssl_force_host: bool,
        sts_seconds as "stsSeconds": i64,
        sts_include_subdomains: bool,
        sts_preload: bool,
        force_sts_header as "forceSTSHeader": bool,
        frame_deny: bool,
        custom_frame_options_value: String,
        content_type_nosniff: bool,
        browser_xss_filter: bool,
        custom_browser_xss_value as "customBrowserXSSValue": String,
        content_security_policy: String,
        content_security_policy_report_only: String,
        public_key: String,
        referrer_policy: String,
        permissions_policy: String,
        feature_policy: String,
        is_development: bool,
    }

    Errors {
        status: Vec<String>,
        status_rewrites: IndexMap<String, u16>,
        service: String,
        query: String,
        forward_headers: Vec<String>,
    }

    RateLimit {
        average: i64,
        period: Period,
        burst: i64,
        source_criterion: SourceCriterion,
        /// Beyond Traefik: `X-RateLimit-*` on every answer of the route.
        headers: bool,
        /// Beyond Traefik: what clients without a valid token get, as a count per `period`.
        anonymous: i64,
        redis: Redis,
    }
    Redis {
        endpoints: Vec<String>,
        username: String,
        password: String,
        db: i64,
        tls: Anything,
        pool_size: i64,
        min_idle_conns: i64,
        max_active_conns: i64,
        read_timeout: Period,
        write_timeout: Period,
        dial_timeout: Period,
    }

    RedirectRegex { regex: String, replacement: String, permanent: bool }
    RedirectScheme { scheme: String, port: String, permanent: bool, force_redirect: bool }
    BasicAuth { users: Vec<String>, users_file: String, realm: String, remove_header: bool, header_field: String }
    ForwardAuth {
        address: String,
        tls: super::ClientTls,
        trust_forward_header: bool,
        auth_response_headers: Vec<String>,
        auth_response_headers_regex: String,
        auth_request_headers: Vec<String>,
        add_auth_cookies_to_response: Vec<String>,
        header_field: String,
        forward_body: bool,
        max_body_size: i64,
        max_response_body_size: i64,
        preserve_location_header: bool,
        preserve_request_method: bool,
        /// Beyond Traefik: permissions are remembered for so long.
        cache: VerdictCache,
    }
    VerdictCache { ttl: Period, max_entries: u64 }
    InFlightReq { amount: i64, source_criterion: SourceCriterion }
    Buffering {
        max_request_body_bytes: u64,
        mem_request_body_bytes: u64,
        max_response_body_bytes: u64,
        mem_response_body_bytes: u64,
        retry_expression: String,
    }
    CircuitBreaker {
        expression: String,
        check_period: Period,
        fallback_duration: Period,
        recovery_duration: Period,
        response_code: u16,
    }
    Compress {
        excluded_content_types: Vec<String>,
        included_content_types: Vec<String>,
        min_response_body_bytes: u64,
        encodings: Vec<String>,
        default_encoding: String,
    }
    Retry {
        attempts: u32,
        initial_interval: Period,
        timeout: Period,
        max_request_body_bytes: i64,
        status: Vec<String>,
        disable_retry_on_network_error: bool,
        retry_non_idempotent_method: bool,
    }
    ContentType { auto_detect: bool }
    GrpcWeb { allow_origins: Vec<String> }
    EncodedCharacters {
        allow_encoded_slash: bool,
        allow_encoded_back_slash: bool,
        allow_encoded_null_character: bool,
        allow_encoded_semicolon: bool,
        allow_encoded_percent: bool,
        allow_encoded_question_mark: bool,
        allow_encoded_hash: bool,
    }
    /// Beyond Traefik: access tokens. Without a key of its own it verifies by the platform's; the names are Traefik Hub's, and
    /// `secret`, `alg` and `required` those common among plugins.
    Jwt {
        required: bool,
        secret: String,
        alg: String,
        signing_secret: String,
        signing_secret_base64_encoded: bool,
        public_key: String,
        jwks_file: String,
        jwks_url: String,
        forward_authorization: bool,
        token_key: String,
        claims: String,
        username_claim: String,
        forward_headers: IndexMap<String, String>,
    }
    /// Beyond Traefik: answers kept as RFC 9111 says. Bytes in all, and of one body.
    Cache { max_bytes: u64, max_entry_bytes: u64 }
    /// What Traefik takes from plugins and we have ourselves, under the names they have there.
    Plugin { jwt: Jwt, api_key: ApiKey }
    /// Beyond Traefik, in Traefik Hub's names: a key in a header, the query or a cookie.
    ApiKey { key_source: KeySource, secret_non_base64_encoded: bool, secret_values: Vec<String> }
    KeySource { header: String, header_auth_scheme: String, query: String, cookie: String }
    PassTlsClientCert { pem: bool, info: ClientCertInfo }
    ClientCertInfo {
        not_after: bool,
        not_before: bool,
        sans: bool,
        serial_number: bool,
        subject: DistinguishedName,
        issuer: DistinguishedName,
    }
    DistinguishedName {
        country: bool,
        province: bool,
        locality: bool,
        organization: bool,
        organizational_unit: bool,
        common_name: bool,
        serial_number: bool,
        domain_component: bool,
    }
}

/// Options of something we refuse by name; what they are does not matter.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Anything {}

impl Shape for Anything {
    fn read(_node: &Node, _reader: &mut Reader) -> Option<Self> {
        Some(Self {})
    }
}
