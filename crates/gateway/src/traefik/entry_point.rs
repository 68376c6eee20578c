//! An entrypoint of Traefik's as one of ours.

use super::shapes::Point;
use crate::{
    cloudflare::Cloudflare,
    settings::{EntryPoint, Forwarded, Http3, Redirect},
};

/// # Errors
/// A value that cannot be used.
pub fn entry_point(name: &str, point: &Point) -> Result<EntryPoint, String> {
    let mut out = EntryPoint::new(name, point.address.as_deref().ok_or("the address is missing")?);
    out.as_default = point.as_default == Some(true);
    if let Some(headers) = &point.forwarded_headers {
        out.forwarded =
            Forwarded::trusting(headers.trusted_ips.as_deref().unwrap_or_default()).map_err(|error| error.message)?;
        out.forwarded.insecure = headers.insecure == Some(true);
    }
    if let Some(proxy) = &point.proxy_protocol {
        let mut trusted =
            Forwarded::trusting(proxy.trusted_ips.as_deref().unwrap_or_default()).map_err(|error| error.message)?;
        trusted.insecure = proxy.insecure == Some(true);
        out.proxy_protocol = Some(trusted);
    }
    out.http3 = point.http3.as_ref().map(|http3| Http3 {
        advertised_port: http3.advertised_port.filter(|port| *port != 0),
    });
    if let Some(behind) = &point.cloudflare {
        let ranges = behind.ranges.as_deref().unwrap_or_default();
        out.cloudflare = Some(Cloudflare::new(ranges, behind.origin_pull_ca.clone())?);
    }
    if let Some(http) = &point.http {
        out.middlewares = http.middlewares.clone().unwrap_or_default();
        out.tls = http.tls.clone();
        out.encode_query_semicolons = http.encode_query_semicolons == Some(true);
        if http.sanitize_path == Some(false) {
            return Err("http.sanitizePath=false is not supported: paths are always brought to one form".into());
        }
        if let Some(bytes) = http.max_header_bytes {
            out.max_header_bytes = usize::try_from(bytes).unwrap_or(out.max_header_bytes);
        }
        out.redirect = http
            .redirections
            .as_ref()
            .and_then(|all| all.entry_point.as_ref())
            .map(|to| Redirect {
                to: to.to.clone().unwrap_or_default(),
                scheme: to.scheme.clone().unwrap_or_else(|| "https".into()),
                permanent: to.permanent != Some(false),
                priority: to.priority,
            });
    }
    if let Some(timeouts) = point
        .transport
        .as_ref()
        .and_then(|transport| transport.responding_timeouts.as_ref())
    {
        if let Some(period) = timeouts.read_timeout.filter(|period| !period.0.is_zero()) {
            out.header_timeout = period.0.min(out.header_timeout);
        }
        if let Some(period) = timeouts.idle_timeout.filter(|period| !period.0.is_zero()) {
            out.idle_timeout = period.0;
        }
    }
    Ok(out)
}
