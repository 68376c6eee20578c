//! `POST /v1/core/auth/logout`

use super::session;
use crate::{Core, signer::ACCESS_TOKEN_S};
use axum::extract::State;
use http::StatusCode;
use http_chassis::{auth::Caller, problem::Failure};
use postgres_chassis::translate;

/// Ends the token's session: its refresh token is dead at once, its access token everywhere within a second.
#[utoipa::path(post, path = "/v1/core/auth/logout", tag = "auth", responses((status = 204), (status = 401)))]
pub async fn logout(State(core): State<Core>, caller: Caller) -> Result<StatusCode, Failure> {
    let Some(session) = caller.session_id else {
        // A token of another issuer has no session here; it lives until it expires.
        return Ok(StatusCode::NO_CONTENT);
    };
    let told = |error| translate("logging out", error);
    let mut client = core.pool.client().await?;
    let transaction = client.transaction().await.map_err(told)?;
    session::end(&transaction, session).await?;
    transaction.commit().await.map_err(told)?;
    core.verifier.end(session, core.clock.unix() + ACCESS_TOKEN_S);
    Ok(StatusCode::NO_CONTENT)
}
