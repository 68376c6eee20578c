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

#[cfg(test)]
mod tests {
    use crate::{
        Settings,
        settings::resolver::{Challenge, KeyType, Storage},
        traefik::Static,
    };

    fn settings(flags: &[&str]) -> Result<Settings, String> {
        let flags: Vec<String> = ["entrypoints.web.address=:80"]
            .iter()
            .chain(flags)
            .map(|flag| format!("--{}", flag.replace("RES", "certificatesresolvers.le.acme")))
            .collect();
        let read = Static::parse(&flags, &[], &|_| Err(std::io::ErrorKind::NotFound.into()));
        let told = |mistakes: Vec<crate::model::Mistake>| mistakes.iter().map(ToString::to_string).collect::<String>();
        read.map_err(told)?.settings(Settings::default()).map_err(told)
    }

    #[test]
    fn a_resolver_is_read_as_traefiks_users_write_it() {
        let read = settings(&[
            "RES.email=a@example.org",
            "RES.storage=/data/acme.json",
            "RES.dnschallenge=true",
            "RES.dnschallenge.provider=cloudflare",
            "RES.dnschallenge.delaybeforecheck=3",
            "RES.keytype=EC384",
            "RES.eab.kid=k",
            "RES.eab.hmacencoded=aGk",
            "experimental.http3=true",
            "entrypoints.web.http3=true",
        ])
        .expect("usable");
        let resolver = &read.resolvers[0];
        assert_eq!((resolver.name.as_str(), resolver.key_type), ("le", KeyType::Ec384));
        assert_eq!(resolver.storage, Storage::File("/data/acme.json".into()));
        assert_eq!(resolver.server, "https://acme-v02.api.letsencrypt.org/directory");
        let Challenge::Dns(dns) = &resolver.challenge else {
            panic!("{:?}", resolver.challenge)
        };
        assert_eq!(
            (dns.provider.as_str(), dns.delay.as_secs(), dns.check),
            ("cloudflare", 3, true)
        );
        assert!(read.entry_points[0].http3.is_some());
        assert!(!format!("{resolver:?}").contains("aGk"), "a secret is shown");
    }

    #[test]
    fn what_a_resolver_lacks_is_told_by_name() {
        let refused = |flags: &[&str], expected: &str| {
            let told = settings(flags).expect_err(expected);
            assert!(told.contains(expected), "{told}");
        };
        refused(&["RES.email=a"], "one of httpChallenge, tlsChallenge and dnsChallenge");
        refused(
            &["RES.httpchallenge.entrypoint=nowhere"],
            "there is no entrypoint 'nowhere'",
        );
        refused(
            &["RES.tlschallenge=true", "RES.keytype=RSA1024"],
            "keyType: there is no 'RSA1024'",
        );
        refused(&["RES.tlschallenge=true", "RES.eab.kid=k"], "both kid and hmacEncoded");
        refused(
            &["certificatesresolvers.le.tailscale=true"],
            "tailscale is not supported",
        );
        refused(&["RES.tlschallenge=true", "RES.storge=x"], "did you mean 'storage'?");
    }
}
