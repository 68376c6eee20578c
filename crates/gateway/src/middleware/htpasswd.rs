//! Passwords and keys as `htpasswd` hashes them: bcrypt, MD5-crypt as Apache writes it, SHA1. What matched once is remembered by its
//! digest, so that bcrypt is paid once.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// More than these are forgotten at once.
const REMEMBERED: usize = 10_000;

#[derive(Default)]
pub struct Proven(Mutex<HashSet<Vec<u8>>>);

impl Proven {
    /// Whether the password is the one of the hash; `name` is whose it is.
    pub async fn verify(&self, name: &str, hash: String, password: String) -> bool {
        let key = digest::digest(&digest::SHA256, format!("{name}\0{hash}\0{password}").as_bytes())
            .as_ref()
            .to_vec();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&key);
        if known {
            return true;
        }
        // bcrypt takes its time on purpose; it must not take a worker's.
        let holds = tokio::task::spawn_blocking(move || verify(&hash, &password))
            .await
            .unwrap_or(false);
        if holds {
            let mut proven = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if proven.len() >= REMEMBERED {
                proven.clear();
            }
            proven.insert(key);
        }
        holds
    }
}

/// Whether a text has the form of one of the hashes.
pub fn is_hash(text: &str) -> bool {
    ["$apr1$", "{SHA}", "$2"].iter().any(|form| text.starts_with(form))
}

fn verify(hash: &str, password: &str) -> bool {
    let equal = |made: &str| verify_slices_are_equal(made.as_bytes(), hash.as_bytes()).is_ok();
    if let Some(rest) = hash.strip_prefix("$apr1$") {
        let salt = rest.split('$').next().unwrap_or_default();
        return equal(&apr1(password, salt));
    }
    if hash.starts_with("{SHA}") {
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        return equal(&format!("{{SHA}}{}", STANDARD.encode(sum.as_ref())));
    }
    hash.starts_with("$2") && bcrypt::verify(password, hash).unwrap_or(false)
}

/// Apache's variant of MD5-crypt: a thousand rounds of MD5 over password and salt in turns.
fn apr1(password: &str, salt: &str) -> String {
    let (password, salt) = (password.as_bytes(), &salt.as_bytes()[..salt.len().min(8)]);
    let alternate = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update(b"$apr1$")
        .chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        let take = left.min(16);
        first.update(&alternate[..take]);
        left -= take;
    }
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut sum = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round & 1 == 1 { password } else { &sum[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round & 1 == 1 { &sum[..] } else { password });
        sum = next.finalize();
    }
    let mut out = format!("$apr1${}$", String::from_utf8_lossy(salt));
    let mut write = |value: u32, digits: usize| {
        const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut value = value;
        for _ in 0..digits {
            out.push(char::from(ALPHABET[(value & 63) as usize]));
            value >>= 6;
        }
    };
    let at = |index: usize| u32::from(sum[index]);
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        write(at(a) << 16 | at(b) << 8 | at(c), 4);
    }
    write(at(11), 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_hashes_are_verified() {
        for hash in [
            "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/",
            "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
            "$2y$05$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri",
        ] {
            assert!(verify(hash, "test"), "{hash}");
            assert!(!verify(hash, "wrong"), "{hash}");
        }
        assert!(!verify("test", "test"));
    }
}
