//! What the command line does without HTTP: bootstrap and operations.

use crate::{
    error,
    fields::{Email, Password},
    signer::{Signer, Subject},
    users::{
        User,
        store::{self, Account, Demotion, NewUser},
    },
};
use foundation::{Cursor, PageRequest, Result, Role};
use passwords::Hasher;
use postgres_chassis::Pool;

/// Without a password the user sets one by way of `forgot-password`.
pub async fn create_user(
    pool: &Pool,
    email: &str,
    name: Option<&str>,
    role: Role,
    password: Option<&str>,
) -> Result<User> {
    let email = Email::parse(email)?;
    let name = crate::fields::name(name)?;
    let hash = match password {
        Some(password) => {
            let password = Password::parse(password)?;
            Some(Hasher::start(1)?.hash(password.into_string()).await?)
        }
        None => None,
    };
    let client = pool.client().await?;
    let new = NewUser {
        email: &email,
        name: name.as_deref(),
        role,
        password_hash: hash.as_deref(),
        verified: true,
    };
    store::insert(&client, &new).await
}

/// Makes the configured administrator, or gives an existing account the role; its password is never overwritten.
pub async fn ensure_admin(pool: &Pool, email: &str, password: &str) -> Result<()> {
    match find(pool, email).await {
        Ok(account) if account.user.role == Role::Admin => Ok(()),
        Ok(account) => set_role(pool, &account.user.email, Role::Admin).await,
        Err(error) if error.code == error::user_not_found().code => {
            let made = create_user(pool, email, None, Role::Admin, Some(password)).await;
            match made {
                // Another copy was quicker.
                Err(error) if error.code == error::email_taken().code => Ok(()),
                other => other.map(drop),
            }
        }
        Err(error) => Err(error),
    }
}

pub async fn list_users(pool: &Pool) -> Result<Vec<User>> {
    let client = pool.client().await?;
    let mut all: Vec<User> = Vec::new();
    loop {
        let page = PageRequest {
            limit: 200,
            after: all.last().map(|user| Cursor(user.id)),
        };
        let mut rows = store::list(&client, &page).await?;
        let more = rows.len() > page.limit as usize;
        rows.truncate(page.limit as usize);
        all.append(&mut rows);
        if !more {
            return Ok(all);
        }
    }
}

pub async fn find(pool: &Pool, email: &str) -> Result<Account> {
    let email = Email::parse(email)?;
    let client = pool.client().await?;
    store::account(&client, email.as_str())
        .await?
        .ok_or_else(error::user_not_found)
}

pub async fn set_role(pool: &Pool, email: &str, role: Role) -> Result<()> {
    let id = find(pool, email).await?.user.id;
    let mut client = pool.client().await?;
    store::demote(&mut client, id, Demotion::SetRole(role)).await
}

pub async fn disable(pool: &Pool, email: &str) -> Result<()> {
    let id = find(pool, email).await?.user.id;
    let mut client = pool.client().await?;
    store::demote(&mut client, id, Demotion::Disable).await
}

/// An access token without a session: it cannot be refreshed or logged out, so keep its lifetime short.
pub async fn issue_token(pool: &Pool, signer: &Signer, email: &str, lifetime_s: i64) -> Result<String> {
    let account = find(pool, email).await?;
    if account.disabled {
        return Err(error::account_disabled());
    }
    let subject = Subject {
        user_id: account.user.id,
        email: &account.user.email,
        role: account.user.role.as_str(),
        session_id: None,
    };
    signer.sign(&subject, lifetime_s)
}
