//! argon2id on threads of its own. One hash takes 19 MiB and tens of milliseconds, so their number at a time is bounded,
//! and a full queue says so instead of letting every login slow down.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use foundation::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::oneshot;

const QUEUE_PER_THREAD: usize = 32;

/// Compared against when the account does not exist, so that the answer takes as long as for one that does.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQtYnl0ZXM$5XRsNvhgRmZTUD5x7fSNaaDxzWUvRV8mWOJWPjbAQ8I";

fn busy() -> Error {
    Error::unavailable("TOO_BUSY", "Too many passwords at once; try again in a moment")
}

enum Job {
    Hash(String, oneshot::Sender<Result<String>>),
    Verify(String, Option<String>, oneshot::Sender<bool>),
}

/// Its threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher(mpsc::SyncSender<Job>);

impl Hasher {
    pub fn start(threads: usize) -> Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(threads * QUEUE_PER_THREAD);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads {
            let receiver = receiver.clone();
            std::thread::Builder::new()
                .name(format!("argon2-{number}"))
                .spawn(move || work(&receiver))
                .map_err(|error| Error::internal("starting a hashing thread", error))?;
        }
        Ok(Self(sender))
    }

    /// A PHC string with a fresh salt.
    pub async fn hash(&self, password: String) -> Result<String> {
        let (answer, hashed) = oneshot::channel();
        self.0.try_send(Job::Hash(password, answer)).map_err(|_| busy())?;
        hashed.await.map_err(|_| busy())?
    }

    /// Whether it is the password of `stored`; without a stored hash never, after the same time.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool> {
        let (answer, verified) = oneshot::channel();
        self.0
            .try_send(Job::Verify(password, stored, answer))
            .map_err(|_| busy())?;
        verified.await.map_err(|_| busy())
    }
}

fn work(receiver: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        // A caller that has gone away needs no answer.
        match job {
            Ok(Job::Hash(password, answer)) => drop(answer.send(hash(&password))),
            Ok(Job::Verify(password, stored, answer)) => drop(answer.send(verify(&password, stored.as_deref()))),
            Err(_) => return,
        }
    }
}

/// The defaults are OWASP's floor: m = 19 MiB, t = 2, p = 1.
fn hash(password: &str) -> Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Error::internal("hashing a password", error.to_string()))
}

fn verify(password: &str, stored: Option<&str>) -> bool {
    let Ok(parsed) = PasswordHash::new(stored.unwrap_or(NOBODYS_HASH)) else {
        return false;
    };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && stored.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let stored = hash("correct horse").expect("hash");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse", Some(&stored)));
        assert!(!verify("battery staple", Some(&stored)));
        assert!(!verify("correct horse", None));
    }

    #[test]
    fn the_hash_of_nobody_is_one_that_costs_as_much() {
        let parsed = PasswordHash::new(NOBODYS_HASH).expect("a PHC string");
        assert!(parsed.hash.is_some());
    }
}
