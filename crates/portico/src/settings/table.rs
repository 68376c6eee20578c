//! Every setting there is: its name in `portico.toml` (and, with dashes, as a flag), its environment variable, its default.

#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub env: &'static str,
    pub default: Option<&'static str>,
    pub secret: bool,
    pub help: &'static str,
}

const fn plain(name: &'static str, env: &'static str, default: Option<&'static str>, help: &'static str) -> Setting {
    Setting {
        name,
        env,
        default,
        secret: false,
        help,
    }
}

const fn secret(name: &'static str, env: &'static str, help: &'static str) -> Setting {
    Setting {
        name,
        env,
        default: None,
        secret: true,
        help,
    }
}

pub const SETTINGS: &[Setting] = &[
    plain(
        "data_dir",
        "PORTICO_DATA_DIR",
        Some("./.portico"),
        "where everything local is kept",
    ),
    plain(
        "http_addr",
        "PORTICO_HTTP_ADDR",
        Some("127.0.0.1:8080"),
        "the plain entrypoint 'web'",
    ),
    plain(
        "https_addr",
        "PORTICO_HTTPS_ADDR",
        None,
        "the TLS entrypoint 'websecure'; 'up' opens 127.0.0.1:8443, 'off' closes it",
    ),
    plain(
        "admin_addr",
        "PORTICO_ADMIN_ADDR",
        Some("127.0.0.1:9100"),
        "the admin listener: /ping, /metrics, /api",
    ),
    plain(
        "s3_addr",
        "PORTICO_S3_ADDR",
        Some("127.0.0.1:9000"),
        "the local store's S3 endpoint",
    ),
    plain(
        "core_addr",
        "PORTICO_CORE_ADDR",
        Some("0.0.0.0:3000"),
        "core's own listener in 'serve'",
    ),
    plain(
        "media_addr",
        "PORTICO_MEDIA_ADDR",
        Some("0.0.0.0:8080"),
        "media's own listener in 'serve'",
    ),
    plain(
        "links_addr",
        "PORTICO_LINKS_ADDR",
        Some("0.0.0.0:8080"),
        "links' own listener in 'serve'",
    ),
    plain(
        "core_url",
        "PORTICO_CORE_URL",
        None,
        "where a gateway finds core when it is elsewhere; several, separated by commas, are balanced; a lone gateway looks at http://core:3000",
    ),
    plain(
        "media_url",
        "PORTICO_MEDIA_URL",
        None,
        "where a gateway finds media; a lone one looks at http://media:8080",
    ),
    plain(
        "links_url",
        "PORTICO_LINKS_URL",
        None,
        "where a gateway finds links; a lone one looks at http://links:8080",
    ),
    plain(
        "public_url",
        "PORTICO_PUBLIC_URL",
        None,
        "the base URL the outside uses; default: the web entrypoint",
    ),
    plain(
        "s3_public_url",
        "PORTICO_S3_PUBLIC_URL",
        None,
        "the base URL the outside uses for the local store; default: its listener",
    ),
    plain(
        "acme_email",
        "PORTICO_ACME_EMAIL",
        None,
        "certificates are ordered under this address, for the hosts of PORTICO_PUBLIC_URL, PORTICO_SHORT_DOMAINS and PORTICO_CDN_DOMAIN",
    ),
    plain(
        "acme_server",
        "PORTICO_ACME_SERVER",
        Some(gateway::settings::resolver::LETS_ENCRYPT),
        "the certificate authority's directory",
    ),
    plain(
        "acme_ca",
        "PORTICO_ACME_CA",
        None,
        "a PEM file with the root the authority's own server is trusted by; default: the web's roots",
    ),
    plain(
        "acme_challenge",
        "PORTICO_ACME_CHALLENGE",
        Some("http"),
        "how names are proven: http (port 80 leads to 'web'), tls (443 to 'websecure'), dns:cloudflare or dns:exec",
    ),
    plain(
        "http_redirect",
        "PORTICO_HTTP_REDIRECT",
        Some("off"),
        "on: plain requests are sent to the TLS entrypoint",
    ),
    plain(
        "short_domains",
        "PORTICO_SHORT_DOMAINS",
        None,
        "hosts on which /{slug} redirects, separated by commas",
    ),
    plain(
        "click_address",
        "PORTICO_CLICK_ADDRESS",
        Some("truncate"),
        "what is kept of a visitor's address: truncate, hash, none or full",
    ),
    secret(
        "clickhouse_url",
        "PORTICO_CLICKHOUSE_URL",
        "http://user:password@host:8123/database: ClickHouse keeps the clicks, PostgreSQL their counts",
    ),
    plain(
        "click_disk",
        "PORTICO_CLICK_DISK",
        Some("1GB"),
        "how much disk clicks may take while the database is away (bytes, or 1GB)",
    ),
    plain(
        "click_retention_days",
        "PORTICO_CLICK_RETENTION_DAYS",
        None,
        "clicks older than this go, a month at a time; what was counted of them stays",
    ),
    plain(
        "geoip_database",
        "PORTICO_GEOIP_DATABASE",
        None,
        "a MaxMind database (.mmdb) for the country and city of visitors that Cloudflare has not named",
    ),
    plain(
        "fetch_allow",
        "PORTICO_FETCH_ALLOW",
        None,
        "addresses that are not public and yet may be fetched for links (titles, checks, click hooks), separated by commas",
    ),
    plain(
        "cdn_domain",
        "PORTICO_CDN_DOMAIN",
        None,
        "the host on which /{key} serves public objects",
    ),
    plain(
        "rate_limit_core",
        "PORTICO_RATE_LIMIT_CORE",
        Some("100/1m"),
        "per client, or 'off'",
    ),
    plain(
        "rate_limit_media",
        "PORTICO_RATE_LIMIT_MEDIA",
        Some("50/1m"),
        "per client, or 'off'",
    ),
    plain(
        "rate_limit_links",
        "PORTICO_RATE_LIMIT_LINKS",
        Some("100/1m"),
        "per client with a token, or 'off'",
    ),
    plain(
        "rate_limit_links_anonymous",
        "PORTICO_RATE_LIMIT_LINKS_ANONYMOUS",
        Some("10/1m"),
        "per client without a token, or 'off'",
    ),
    plain(
        "rate_limit_redis",
        "PORTICO_RATE_LIMIT_REDIS",
        None,
        "host:port of a Redis in which several gateways count together",
    ),
    plain(
        "trusted_proxies",
        "PORTICO_TRUSTED_PROXIES",
        None,
        "addresses or networks whose X-Forwarded-* headers are believed",
    ),
    plain(
        "media_max_upload",
        "PORTICO_MEDIA_MAX_UPLOAD",
        Some("100MB"),
        "largest upload; KB, MB and GB are powers of 1024",
    ),
    plain("admin_email", "PORTICO_ADMIN_EMAIL", None, "the first administrator"),
    secret(
        "admin_password",
        "PORTICO_ADMIN_PASSWORD",
        "the first administrator's password",
    ),
    secret(
        "database_url",
        "DATABASE_URL",
        "postgres://user:password@host:5432/database; without it 'up' runs its own cluster",
    ),
    plain(
        "database_connections",
        "PORTICO_DATABASE_CONNECTIONS",
        Some("10"),
        "most connections of each service",
    ),
    plain(
        "postgres_bin",
        "PORTICO_POSTGRES_BIN",
        None,
        "the directory of initdb and postgres, for the own cluster",
    ),
    plain(
        "postgres_port",
        "PORTICO_POSTGRES_PORT",
        None,
        "a loopback port for the own cluster, besides its socket",
    ),
    secret(
        "jwt_secret",
        "JWT_SECRET",
        "shared HS256 secret, at least 32 bytes; with it, tokens we issue are HS256 too",
    ),
    plain(
        "jwt_issuer",
        "PORTICO_JWT_ISSUER",
        None,
        "'iss' of our tokens; default: the public URL",
    ),
    plain(
        "jwt_audience",
        "PORTICO_JWT_AUDIENCE",
        Some("portico"),
        "'aud' of our tokens",
    ),
    secret(
        "smtp_url",
        "PORTICO_SMTP_URL",
        "smtps://user:password@host:465; with it, e-mail addresses are verified",
    ),
    plain("mail_from", "PORTICO_MAIL_FROM", None, "the sender of our mails"),
    plain(
        "cloudflare_r2_account_id",
        "CLOUDFLARE_R2_ACCOUNT_ID",
        None,
        "R2 account",
    ),
    secret("cloudflare_r2_access_key_id", "CLOUDFLARE_R2_ACCESS_KEY_ID", "R2 key"),
    secret(
        "cloudflare_r2_secret_access_key",
        "CLOUDFLARE_R2_SECRET_ACCESS_KEY",
        "R2 secret",
    ),
    plain("cloudflare_r2_bucket", "CLOUDFLARE_R2_BUCKET", None, "R2 bucket"),
    plain(
        "cloudflare_r2_public_url",
        "CLOUDFLARE_R2_PUBLIC_URL",
        None,
        "the bucket's public base URL",
    ),
    plain("s3_endpoint", "PORTICO_S3_ENDPOINT", None, "any other S3 store"),
    plain("s3_region", "PORTICO_S3_REGION", Some("us-east-1"), "its region"),
    plain("s3_bucket", "PORTICO_S3_BUCKET", Some("portico"), "its bucket"),
    plain(
        "s3_path_style",
        "PORTICO_S3_PATH_STYLE",
        Some("true"),
        "bucket in the path, not in the host name",
    ),
    secret("s3_access_key_id", "PORTICO_S3_ACCESS_KEY_ID", "its key"),
    secret("s3_secret_access_key", "PORTICO_S3_SECRET_ACCESS_KEY", "its secret"),
    secret(
        "hasura_admin_secret",
        "HASURA_GRAPHQL_ADMIN_SECRET",
        "GraphQL admin secret; generated when not given",
    ),
    plain(
        "hasura_unauthorized_role",
        "HASURA_GRAPHQL_UNAUTHORIZED_ROLE",
        None,
        "GraphQL role without a token; in the platform 'anonymous'",
    ),
    secret(
        "webhook_secret",
        "PORTICO_WEBHOOK_SECRET",
        "signs calls of webhooks: whsec_ and base64; two while it is changed",
    ),
    plain(
        "otel_endpoint",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        None,
        "OTLP/HTTP collector; switches tracing on",
    ),
    secret(
        "otel_headers",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "key=value pairs sent to the collector",
    ),
    plain(
        "otel_service_name",
        "OTEL_SERVICE_NAME",
        Some("portico"),
        "service.name of our traces",
    ),
    plain(
        "otel_resource_attributes",
        "OTEL_RESOURCE_ATTRIBUTES",
        None,
        "key=value pairs added to every trace",
    ),
    plain(
        "otel_sampler_arg",
        "OTEL_TRACES_SAMPLER_ARG",
        Some("1.0"),
        "the share of traces that is kept",
    ),
    secret(
        "betterstack_source_token",
        "BETTERSTACK_SOURCE_TOKEN",
        "ships logs to BetterStack",
    ),
    plain(
        "betterstack_ingesting_host",
        "BETTERSTACK_INGESTING_HOST",
        None,
        "its ingesting host",
    ),
    secret(
        "betterstack_heartbeat_url",
        "BETTERSTACK_HEARTBEAT_URL",
        "called every 30 s while we are well",
    ),
    plain(
        "log",
        "PORTICO_LOG",
        Some("info"),
        "log filter, e.g. info,gateway=debug",
    ),
    plain(
        "shutdown_deadline",
        "PORTICO_SHUTDOWN_DEADLINE",
        Some("30s"),
        "how long requests may take to finish when we stop",
    ),
    plain(
        "take_over",
        "PORTICO_TAKE_OVER",
        Some("off"),
        "on: take the sockets of the gateway that runs on this data directory",
    ),
];

/// Hasura's variables that ask for nothing we would do otherwise: accepted, so that a stack moves over as it is.
pub const WITHOUT_EFFECT: &[&str] = &[
    "HASURA_GRAPHQL_ENABLE_TELEMETRY",
    "HASURA_GRAPHQL_CONSOLE_ASSETS_DIR",
    "HASURA_GRAPHQL_CLI_ENVIRONMENT",
    "HASURA_GRAPHQL_ENABLED_LOG_TYPES",
    "HASURA_GRAPHQL_LOG_LEVEL",
    "HASURA_GRAPHQL_PG_CONNECTIONS",
    "HASURA_GRAPHQL_PG_TIMEOUT",
    "HASURA_GRAPHQL_PG_STRIPES",
    "HASURA_GRAPHQL_USE_PREPARED_STATEMENTS",
    "HASURA_GRAPHQL_NO_OF_RETRIES",
    "HASURA_GRAPHQL_GRACEFUL_SHUTDOWN_TIMEOUT",
    "HASURA_GRAPHQL_EVENTS_HTTP_POOL_SIZE",
    "HASURA_GRAPHQL_EVENTS_FETCH_BATCH_SIZE",
    "HASURA_GRAPHQL_EVENTS_FETCH_INTERVAL",
    "HASURA_GRAPHQL_ASYNC_ACTIONS_FETCH_INTERVAL",
    "HASURA_GRAPHQL_SCHEMA_SYNC_POLL_INTERVAL",
    "HASURA_GRAPHQL_MIGRATIONS_DIR",
    "HASURA_GRAPHQL_SERVER_STATIC_PATH",
];

/// Prefixes that are ours to police: an unknown name behind one is a typing error, not another program's variable.
pub const OUR_PREFIXES: &[&str] = &["PORTICO_", "HASURA_GRAPHQL_", "CLOUDFLARE_R2_", "BETTERSTACK_"];

pub fn by_name(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

pub fn by_env(env: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.env == env)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_variables_are_unique() {
        let names: HashSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        let envs: HashSet<_> = SETTINGS.iter().map(|setting| setting.env).collect();
        assert_eq!((names.len(), envs.len()), (SETTINGS.len(), SETTINGS.len()));
    }
}
