//! `certificatesResolvers` of the static configuration.

use super::shapes::{AcmeShape, ResolverShape};
use crate::settings::resolver::{Challenge, DnsChallenge, External, KeyType, LETS_ENCRYPT, Resolver, Storage};

/// # Errors
/// What is missing, contradicts itself, or is not supported.
pub fn resolver(name: &str, shape: &ResolverShape, has_database: bool) -> Result<Resolver, String> {
    if shape.tailscale.is_some() {
        return Err("tailscale is not supported; there is acme".into());
    }
    let acme = shape.acme.as_ref().ok_or("it says no acme")?;
    let text = |given: &Option<String>| given.clone().unwrap_or_default();
    let external = match &acme.eab {
        None => None,
        Some(eab) => match (text(&eab.kid), text(&eab.hmac_encoded)) {
            (kid, hmac) if kid.is_empty() && hmac.is_empty() => None,
            (kid, hmac) if kid.is_empty() || hmac.is_empty() => {
                return Err("acme.eab needs both kid and hmacEncoded".into());
            }
            (kid, hmac) => Some(External { kid, hmac }),
        },
    };
    Ok(Resolver {
        name: name.to_owned(),
        email: text(&acme.email),
        server: acme
            .ca_server
            .clone()
            .filter(|url| !url.is_empty())
            .unwrap_or_else(|| LETS_ENCRYPT.into()),
        storage: Storage::parse(acme.storage.as_deref().unwrap_or_default(), has_database),
        key_type: KeyType::parse(acme.key_type.as_deref().unwrap_or_default())
            .map_err(|error| format!("acme.{error}"))?,
        external,
        preferred_chain: text(&acme.preferred_chain),
        profile: text(&acme.profile),
        authorities: acme.ca_certificates.clone().unwrap_or_default(),
        server_name: acme.ca_server_name.clone().filter(|name| !name.is_empty()),
        duration_hours: acme.certificates_duration,
        challenge: challenge(acme)?,
    })
}

fn challenge(acme: &AcmeShape) -> Result<Challenge, String> {
    if let Some(dns) = &acme.dns_challenge {
        let propagation = dns.propagation.clone().unwrap_or_default();
        let delay = propagation
            .delay_before_checks
            .or(dns.delay_before_check)
            .unwrap_or_default();
        return Ok(Challenge::Dns(DnsChallenge {
            provider: dns.provider.clone().ok_or("acme.dnsChallenge names no provider")?,
            resolvers: dns.resolvers.clone().unwrap_or_default(),
            delay: delay.0,
            check: propagation.disable_checks != Some(true) && dns.disable_propagation_check != Some(true),
        }));
    }
    if let Some(http) = &acme.http_challenge {
        let entry_point = http
            .entry_point
            .clone()
            .ok_or("acme.httpChallenge names no entryPoint")?;
        return Ok(Challenge::Http { entry_point });
    }
    if acme.tls_challenge.is_some() {
        return Ok(Challenge::TlsAlpn);
    }
    Err("acme needs one of httpChallenge, tlsChallenge and dnsChallenge".into())
}
