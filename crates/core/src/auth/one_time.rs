//! Tokens that travel in a link and work once.

use crate::{error, secret_token};
use deadpool_postgres::GenericClient;
use foundation::{Result, Uuid};
use postgres_chassis::translate;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    VerifyEmail,
    ResetPassword,
    Setup,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Purpose::VerifyEmail => "verify_email",
            Purpose::ResetPassword => "reset_password",
            Purpose::Setup => "setup",
        }
    }

    fn lifetime_s(self) -> f64 {
        match self {
            Purpose::VerifyEmail | Purpose::Setup => 86_400.0,
            Purpose::ResetPassword => 3_600.0,
        }
    }
}

/// Earlier tokens of the same user and purpose stop working.
pub async fn make(client: &impl GenericClient, user: Option<Uuid>, purpose: Purpose) -> Result<String> {
    let told = |error| translate("making a link", error);
    client
        .execute(
            "delete from core.one_time_tokens
             where purpose = $2 and user_id is not distinct from $1 or expires_at < now()",
            &[&user, &purpose.as_str()],
        )
        .await
        .map_err(told)?;
    let token = secret_token::make();
    client
        .execute(
            "insert into core.one_time_tokens (hash, user_id, purpose, expires_at)
             values ($1, $2, $3, now() + make_interval(secs => $4))",
            &[
                &secret_token::hash(&token),
                &user,
                &purpose.as_str(),
                &purpose.lifetime_s(),
            ],
        )
        .await
        .map_err(told)?;
    Ok(token)
}

/// Uses the token up and answers whose it was.
///
/// # Errors
/// `LINK_INVALID`
pub async fn consume(client: &impl GenericClient, token: &str, purpose: Purpose) -> Result<Option<Uuid>> {
    let row = client
        .query_opt(
            "delete from core.one_time_tokens where hash = $1 and purpose = $2 and expires_at > now() returning user_id",
            &[&secret_token::hash(token), &purpose.as_str()],
        )
        .await
        .map_err(|error| translate("using a link", error))?;
    row.map(|row| row.get(0)).ok_or_else(error::link_invalid)
}
