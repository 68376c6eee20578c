//! A session begins at login, lives by refreshing, and ends at logout, after 30 days, or when a used token comes back.

use crate::{
    Core, error, secret_token,
    signer::{ACCESS_TOKEN_S, Subject},
    users::User,
};
use deadpool_postgres::GenericClient;
use foundation::{Result, Uuid, new_id};
use postgres_chassis::{translate, trust};
use serde::Serialize;
use utoipa::ToSchema;

const SESSION_S: f64 = 30.0 * 86_400.0;

/// What login and refresh answer with (RFC 6749 section 5.1).
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    pub access_token: String,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds
    pub expires_in: i64,
    /// Works once; refreshing gives the next
    pub refresh_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
}

pub async fn begin(core: &Core, client: &mut postgres_chassis::Client, user: User) -> Result<Tokens> {
    let told = |error| translate("beginning a session", error);
    let session = new_id();
    let transaction = client.transaction().await.map_err(told)?;
    transaction
        .execute(
            "insert into core.sessions (id, user_id, expires_at) values ($1, $2, now() + make_interval(secs => $3))",
            &[&session, &user.id, &SESSION_S],
        )
        .await
        .map_err(told)?;
    let refresh_token = give_refresh_token(&transaction, session).await?;
    transaction.commit().await.map_err(told)?;
    answer(core, session, &user, refresh_token, true)
}

/// Exchanges a refresh token for the next pair. A token that was used before ends its session: one of the two who hold it
/// is a thief (RFC 9700 section 4.14).
///
/// # Errors
/// `REFRESH_TOKEN_INVALID`, `ACCOUNT_DISABLED`
pub async fn refresh(core: &Core, client: &mut postgres_chassis::Client, token: &str) -> Result<Tokens> {
    let told = |error| translate("refreshing a session", error);
    let transaction = client.transaction().await.map_err(told)?;
    let row = transaction
        .query_opt(
            "select token.session_id, token.used_at is not null, session.user_id
             from core.refresh_tokens token join core.sessions session on session.id = token.session_id
             where token.hash = $1 and session.ended_at is null and session.expires_at > now()
             for update of token, session",
            &[&secret_token::hash(token)],
        )
        .await
        .map_err(told)?
        .ok_or_else(error::refresh_invalid)?;
    let (session, used, user_id): (Uuid, bool, Uuid) = (row.get(0), row.get(1), row.get(2));
    if used {
        end(&transaction, session).await?;
        transaction.commit().await.map_err(told)?;
        core.verifier.end(session, core.clock.unix() + ACCESS_TOKEN_S);
        tracing::warn!(%session, "a used refresh token came back; the session was ended");
        return Err(error::refresh_invalid());
    }
    let user = crate::users::store::find(&transaction, user_id)
        .await?
        .ok_or_else(error::refresh_invalid)?;
    transaction
        .execute(
            "update core.refresh_tokens set used_at = now() where hash = $1",
            &[&secret_token::hash(token)],
        )
        .await
        .map_err(told)?;
    let next = give_refresh_token(&transaction, session).await?;
    transaction.commit().await.map_err(told)?;
    answer(core, session, &user, next, false)
}

/// The refresh token dies with the row's `ended_at`, the access token when the services hear of it.
pub async fn end(client: &impl GenericClient, session: Uuid) -> Result<()> {
    client
        .execute(
            "update core.sessions set ended_at = now() where id = $1 and ended_at is null",
            &[&session],
        )
        .await
        .map_err(|error| translate("ending a session", error))?;
    trust::end_sessions(client, &[session], ACCESS_TOKEN_S as f64).await
}

/// Sessions nobody can use any more, with their tokens. For a task.
pub async fn forget_old(client: &impl GenericClient) -> Result<u64> {
    client
        .execute(
            "delete from core.sessions where expires_at < now() or ended_at < now() - interval '1 day'",
            &[],
        )
        .await
        .map_err(|error| translate("forgetting old sessions", error))
}

async fn give_refresh_token(client: &impl GenericClient, session: Uuid) -> Result<String> {
    let token = secret_token::make();
    client
        .execute(
            "insert into core.refresh_tokens (hash, session_id) values ($1, $2)",
            &[&secret_token::hash(&token), &session],
        )
        .await
        .map_err(|error| translate("giving a refresh token", error))?;
    Ok(token)
}

fn answer(core: &Core, session: Uuid, user: &User, refresh_token: String, with_user: bool) -> Result<Tokens> {
    let subject = Subject {
        user_id: user.id,
        email: &user.email,
        role: user.role.as_str(),
        session_id: Some(session),
    };
    Ok(Tokens {
        access_token: core.signer.sign(&subject, ACCESS_TOKEN_S)?,
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_S,
        refresh_token,
        user: with_user.then(|| user.clone()),
    })
}
