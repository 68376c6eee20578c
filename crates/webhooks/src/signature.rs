//! Signatures as Standard Webhooks (standardwebhooks.com) has them: `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body`, for each secret one, so that a secret can be changed without a gap.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

#[derive(Clone, Default)]
pub struct Secrets(Vec<hmac::Key>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// One or several, with spaces or commas between: base64 of 24 to 64 bytes, `whsec_` before it or not.
    ///
    /// # Errors
    /// What is wrong with it, without the secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for secret in text.split([',', ' ']).filter(|secret| !secret.is_empty()) {
            let bytes = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret));
            let bytes = bytes.map_err(|_| "is not base64, with or without whsec_ before it".to_owned())?;
            if !(24..=64).contains(&bytes.len()) {
                return Err(format!("has {} bytes; a secret has 24 to 64", bytes.len()));
            }
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        }
        Ok(Secrets(keys))
    }

    /// `None`: there is no secret.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let signed = self.0.iter().map(|key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        });
        let signed: Vec<String> = signed.collect();
        (!signed.is_empty()).then(|| signed.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        // The example of the specification's reference libraries.
        let secrets = Secrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(
            signed.as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
    }

    #[test]
    fn secrets_of_a_wrong_form_are_refused() {
        assert!(Secrets::parse("c2hvcnQ=").expect_err("too short").contains("5 bytes"));
        assert!(Secrets::parse("not base64!").is_err());
        assert_eq!(Secrets::default().sign("id", 0, b""), None);
    }
}
