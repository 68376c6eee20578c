//! The jwt middleware out of its configuration.

use super::{
    Jwt, Own, Remembered,
    claims::{Claims, Path},
};
use crate::{model::middleware, state::State};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderName;
use http_chassis::{auth::Verifier, keys::Keys};
use jsonwebtoken::Algorithm;
use std::{fs, sync::Arc};

/// # Errors
/// What is missing, too much or unreadable, by the option's name.
pub fn compile(config: &middleware::Jwt, state: &State, platform: Option<&Arc<Verifier>>) -> Result<Jwt, String> {
    let Some(keys) = keys(config)? else {
        return of_platform(config, platform);
    };
    let algorithm = given(&config.alg)
        .map(|name| {
            name.parse::<Algorithm>()
                .map_err(|_| format!("alg: '{name}' is no algorithm of tokens"))
        })
        .transpose()?;
    let key = format!("{:?}", (config, algorithm));
    let claims = given(&config.claims)
        .map(|text| Claims::parse(text).map_err(|error| format!("claims: {error}")))
        .transpose()?;
    let header = |(name, claim): (&String, &String)| {
        let header =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("forwardHeaders: '{name}' is no header name"));
        header.map(|header| (header, Path::parse(claim)))
    };
    let headers = config.forward_headers.iter().flatten().map(header);
    // The plugins' form leaves the token for the service, Traefik Hub's takes it away.
    let forward = config.forward_authorization.unwrap_or(config.secret.is_some());
    Ok(Jwt::Own(Box::new(Own {
        keys: state.tokens(&key, |client| Remembered::new(keys, algorithm, client)),
        required: config.required != Some(false),
        parameter: given(&config.token_key).map(str::to_owned),
        forward,
        claims,
        headers: headers.collect::<Result<_, _>>()?,
        username: given(&config.username_claim).map(Path::parse),
    })))
}

/// Tokens of the platform itself; everything but `required` needs keys of its own.
fn of_platform(config: &middleware::Jwt, platform: Option<&Arc<Verifier>>) -> Result<Jwt, String> {
    let only_required = middleware::Jwt {
        required: config.required,
        ..middleware::Jwt::default()
    };
    if *config != only_required {
        let sources =
            "one of signingSecret, publicKey, jwksFile, jwksUrl or secret must say which keys tokens are signed with";
        return Err(sources.into());
    }
    let verifier = platform.ok_or("no keys to verify tokens with are configured")?;
    Ok(Jwt::Platform {
        verifier: verifier.clone(),
        required: config.required == Some(true),
    })
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn keys(config: &middleware::Jwt) -> Result<Option<Keys>, String> {
    let named = [
        ("signingSecret", given(&config.signing_secret)),
        ("publicKey", given(&config.public_key)),
        ("jwksFile", given(&config.jwks_file)),
        ("jwksUrl", given(&config.jwks_url)),
        ("secret", given(&config.secret)),
    ];
    let mut sources = named.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let Some((name, value)) = sources.next() else {
        return Ok(None);
    };
    if let Some((other, _)) = sources.next() {
        return Err(format!(
            "{name} and {other} are both given; tokens are verified by one of them"
        ));
    }
    let told = |error: String| format!("{name}: {error}");
    let keys = match name {
        "signingSecret" if config.signing_secret_base64_encoded == Some(true) => {
            let secret = STANDARD
                .decode(value.trim())
                .map_err(|_| told("it is no base64".into()))?;
            Ok(Keys::secret(&secret))
        }
        "signingSecret" => Ok(Keys::secret(value.as_bytes())),
        // The plugins' `secret` is a PEM text where the algorithm is asymmetric.
        "publicKey" => Keys::any_pem(&text_or_file(value).map_err(told)?),
        "secret" if value.contains("-----BEGIN") => Keys::any_pem(value),
        "secret" => Ok(Keys::secret(value.as_bytes())),
        "jwksFile" => Keys::set(&text_or_file(value).map_err(told)?),
        _ if value.starts_with("http://") || value.starts_with("https://") => Ok(Keys::fetched(value)),
        _ => Err("it must be a whole URL, such as https://issuer.example.org/jwks.json".into()),
    };
    keys.map(Some).map_err(told)
}

/// The option's value itself, or the file it names.
fn text_or_file(value: &str) -> Result<String, String> {
    if value.contains("-----BEGIN") || value.trim_start().starts_with('{') {
        return Ok(value.to_owned());
    }
    fs::read_to_string(value).map_err(|error| format!("'{value}': {error}"))
}
