//! Where accounts and certificates are kept, and who may order when.

mod file;
mod postgres;

pub use file::File;
pub use postgres::{CHANNEL, MIGRATIONS, Postgres};
use std::{sync::Arc, time::Duration};

/// An account as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    pub email: String,
    /// Its URL with the authority.
    pub url: String,
    /// PKCS #1 DER.
    pub key: Vec<u8>,
}

/// An issued certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    pub resolver: String,
    /// The first is the main one.
    pub names: Vec<String>,
    /// PEM.
    pub chain: String,
    /// PEM.
    pub key: String,
}

/// How the last attempts at a set of names went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    pub failures: u32,
    /// Unix seconds.
    pub next_try: i64,
    pub error: Option<String>,
}

pub enum Store {
    File(Arc<File>),
    Postgres(Arc<Postgres>, String),
}

/// A minute, then twice that, up to a day.
pub fn pause(failures: u32) -> Duration {
    let minutes = 2_u64.saturating_pow(failures.saturating_sub(1)).min(24 * 60);
    Duration::from_secs(60 * minutes)
}

impl Store {
    pub async fn account(&self, resolver: &str) -> Result<Option<Account>, String> {
        match self {
            Self::File(file) => file.account(resolver),
            Self::Postgres(database, set) => database.account(set, resolver).await,
        }
    }

    /// Keeps an account and says which one counts: another copy may have been faster.
    pub async fn keep_account(&self, resolver: &str, account: Account) -> Result<Account, String> {
        match self {
            Self::File(file) => file.keep_account(resolver, &account).map(|()| account),
            Self::Postgres(database, set) => database.keep_account(set, resolver, account).await,
        }
    }

    /// Forgets an account that is another authority's.
    pub async fn forget_account(&self, resolver: &str) -> Result<(), String> {
        match self {
            Self::File(file) => file.forget_account(resolver),
            Self::Postgres(database, set) => database.forget_account(set, resolver).await,
        }
    }

    pub async fn certificates(&self, resolver: &str) -> Result<Vec<Kept>, String> {
        match self {
            Self::File(file) => file.certificates(resolver),
            Self::Postgres(database, set) => database.certificates(set, resolver).await,
        }
    }

    pub async fn keep(&self, certificate: &Kept) -> Result<(), String> {
        match self {
            Self::File(file) => file.keep(certificate),
            Self::Postgres(database, set) => database.keep(set, certificate).await,
        }
    }

    /// Whether we may order now: nobody else does, and the last failure is long enough ago.
    pub async fn claim(&self, resolver: &str, names: &[String]) -> Result<bool, String> {
        match self {
            Self::File(file) => file.claim(resolver, names),
            Self::Postgres(database, set) => database.claim(set, resolver, names).await,
        }
    }

    pub async fn release(&self, resolver: &str, names: &[String], error: Option<&str>) -> Result<(), String> {
        match self {
            Self::File(file) => {
                file.release(resolver, names, error);
                Ok(())
            }
            Self::Postgres(database, set) => database.release(set, resolver, names, error).await,
        }
    }

    pub async fn attempt(&self, resolver: &str, names: &[String]) -> Attempt {
        match self {
            Self::File(file) => file.attempt(resolver, names),
            Self::Postgres(database, set) => database.attempt(set, resolver, names).await.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_ever_later() {
        let minutes: Vec<u64> = [1, 2, 3, 11, 12, 40]
            .map(|failures| pause(failures).as_secs() / 60)
            .to_vec();
        assert_eq!(minutes, [1, 2, 4, 1024, 1440, 1440]);
    }
}
