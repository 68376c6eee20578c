//! The key of an ACME account and what it signs (RFC 7515, RFC 8555 section 6). Accounts are RSA, as in Traefik's `acme.json`:
//! one can be taken over from there and given back.

use aws_lc_rs::{
    digest,
    encoding::AsDer,
    encoding::Pkcs8V1Der,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};
use x509_parser::{prelude::FromDer, public_key::RSAPublicKey};

pub struct AccountKey {
    pair: RsaKeyPair,
    pkcs1: Vec<u8>,
    modulus: String,
    exponent: String,
}

/// What stands before the key itself in the PKCS #8 form of a long RSA key.
const PKCS8_HEAD: usize = 26;

impl AccountKey {
    /// Takes about a second; not for a thread that serves.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, String> {
        let failed = |_| "a key for the ACME account cannot be made".to_owned();
        let pair = RsaKeyPair::generate(KeySize::Rsa4096).map_err(failed)?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        let pkcs1 = pkcs8.as_ref().get(PKCS8_HEAD..).unwrap_or_default().to_vec();
        Self::from_pkcs1(&pkcs1)
    }

    /// # Errors
    /// The bytes are no RSA key.
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, String> {
        let pair = RsaKeyPair::from_der(der).map_err(|error| format!("the account's key is no RSA key: {error}"))?;
        let (_, public) = RSAPublicKey::from_der(pair.public_key().as_ref())
            .map_err(|error| format!("the account's key is no RSA key: {error}"))?;
        let number = |bytes: &[u8]| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            BASE64.encode(&bytes[zeros..])
        };
        Ok(Self {
            modulus: number(public.modulus),
            exponent: number(public.exponent),
            pkcs1: der.to_vec(),
            pair,
        })
    }

    pub fn pkcs1(&self) -> &[u8] {
        &self.pkcs1
    }

    pub fn jwk(&self) -> Value {
        json!({"e": self.exponent, "kty": "RSA", "n": self.modulus})
    }

    /// RFC 7638.
    pub fn thumbprint(&self) -> String {
        let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, self.exponent, self.modulus);
        BASE64.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    }

    /// A flattened JWS. An empty payload reads a resource (POST-as-GET).
    ///
    /// # Errors
    /// The key refuses.
    pub fn sign(&self, protected: &Value, payload: &str) -> Result<Value, String> {
        let (protected, payload) = (BASE64.encode(protected.to_string()), BASE64.encode(payload));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let message = format!("{protected}.{payload}");
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .map_err(|_| "signing with the account's key failed")?;
        Ok(json!({"protected": protected, "payload": payload, "signature": BASE64.encode(signature)}))
    }

    /// Ties the account to one the operator has with the authority (RFC 8555 section 7.3.4).
    ///
    /// # Errors
    /// The operator's key is not base64url.
    pub fn bind(&self, kid: &str, secret: &str, url: &str) -> Result<Value, String> {
        let secret = BASE64
            .decode(secret.trim_end_matches('='))
            .map_err(|_| "eab.hmacEncoded is not base64url")?;
        let protected = BASE64.encode(json!({"alg": "HS256", "kid": kid, "url": url}).to_string());
        let payload = BASE64.encode(self.jwk().to_string());
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let tag = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
        Ok(json!({"protected": protected, "payload": payload, "signature": BASE64.encode(tag)}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_being_kept_and_signs_what_its_public_half_verifies() {
        let key = AccountKey::generate().expect("a key");
        let again = AccountKey::from_pkcs1(key.pkcs1()).expect("the same");
        assert_eq!(key.thumbprint(), again.thumbprint());
        let signed = again.sign(&json!({"alg": "RS256"}), "{}").expect("signed");
        let message = format!(
            "{}.{}",
            signed["protected"].as_str().expect("text"),
            signed["payload"].as_str().expect("text")
        );
        let signature = BASE64
            .decode(signed["signature"].as_str().expect("text"))
            .expect("base64");
        let (n, e) = (
            BASE64.decode(&key.modulus).expect("n"),
            BASE64.decode(&key.exponent).expect("e"),
        );
        let public = aws_lc_rs::signature::RsaPublicKeyComponents { n, e };
        public
            .verify(
                &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
                message.as_bytes(),
                &signature,
            )
            .expect("verified");
    }
}
