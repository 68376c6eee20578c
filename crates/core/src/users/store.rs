//! The statements on `core.users`.

use super::User;
use crate::{error, fields::Email};
use deadpool_postgres::GenericClient;
use foundation::{PageRequest, Result, Role, Uuid, new_id};
use postgres_chassis::{is_unique_violation, translate, trust};

/// What a login must know.
pub struct Account {
    pub user: User,
    pub password_hash: Option<String>,
    pub verified: bool,
    pub disabled: bool,
}

const ACCOUNT_FLAGS: &str = "password_hash, email_verified_at is not null, disabled_at is not null";

pub struct NewUser<'a> {
    pub email: &'a Email,
    pub name: Option<&'a str>,
    pub role: Role,
    pub password_hash: Option<&'a str>,
    pub verified: bool,
}

/// # Errors
/// `EMAIL_TAKEN`
pub async fn insert(client: &impl GenericClient, new: &NewUser<'_>) -> Result<User> {
    let statement = format!(
        "insert into core.users (id, email, name, role, password_hash, email_verified_at)
         values ($1, $2, $3, $4, $5, case when $6 then now() end) returning {}",
        User::COLUMNS
    );
    let (email, role) = (new.email.as_str(), new.role.as_str());
    let row = client
        .query_one(
            &statement,
            &[&new_id(), &email, &new.name, &role, &new.password_hash, &new.verified],
        )
        .await
        .map_err(|error| match is_unique_violation(&error) {
            true => error::email_taken(),
            false => translate("inserting a user", error),
        })?;
    Ok(User::from_row(&row))
}

pub async fn find(client: &impl GenericClient, id: Uuid) -> Result<Option<User>> {
    let statement = format!("select {} from core.users where id = $1", User::COLUMNS);
    let prepared = client
        .prepare_cached(&statement)
        .await
        .map_err(|error| translate("finding a user", error))?;
    let row = client
        .query_opt(&prepared, &[&id])
        .await
        .map_err(|error| translate("finding a user", error))?;
    Ok(row.as_ref().map(User::from_row))
}

pub async fn account(client: &impl GenericClient, email: &str) -> Result<Option<Account>> {
    let statement = format!(
        "select {}, {ACCOUNT_FLAGS} from core.users where lower(email) = lower($1)",
        User::COLUMNS
    );
    let row = client
        .query_opt(&statement, &[&email])
        .await
        .map_err(|error| translate("finding an account", error))?;
    Ok(row.map(|row| Account {
        user: User::from_row(&row),
        password_hash: row.get(6),
        verified: row.get(7),
        disabled: row.get(8),
    }))
}

/// Newest first; ids are time-ordered.
pub async fn list(client: &impl GenericClient, page: &PageRequest) -> Result<Vec<User>> {
    let statement = format!(
        "select {} from core.users where $1::uuid is null or id < $1 order by id desc limit $2",
        User::COLUMNS
    );
    let rows = client
        .query(&statement, &[&page.after.map(|cursor| cursor.0), &page.fetch()])
        .await
        .map_err(|error| translate("listing users", error))?;
    Ok(rows.iter().map(User::from_row).collect())
}

/// Keeps the name where `name` is not given; `Some(None)` clears it.
pub async fn rename(client: &impl GenericClient, id: Uuid, name: Option<Option<&str>>) -> Result<Option<User>> {
    let statement = format!(
        "update core.users set name = case when $2 then $3 else name end, updated_at = now() where id = $1 returning {}",
        User::COLUMNS
    );
    let row = client
        .query_opt(&statement, &[&id, &name.is_some(), &name.flatten()])
        .await
        .map_err(|error| translate("renaming a user", error))?;
    Ok(row.as_ref().map(User::from_row))
}

pub async fn set_password(client: &impl GenericClient, id: Uuid, hash: &str) -> Result<()> {
    client
        .execute(
            "update core.users set password_hash = $2, updated_at = now() where id = $1",
            &[&id, &hash],
        )
        .await
        .map_err(|error| translate("setting a password", error))?;
    Ok(())
}

pub async fn set_verified(client: &impl GenericClient, id: Uuid) -> Result<()> {
    client
        .execute(
            "update core.users set email_verified_at = coalesce(email_verified_at, now()) where id = $1",
            &[&id],
        )
        .await
        .map_err(|error| translate("marking an address verified", error))?;
    Ok(())
}

/// What must not happen to the last administrator who can log in.
pub enum Demotion {
    Delete,
    Disable,
    SetRole(Role),
}

/// Deletes, disables or changes the role, and ends the sessions, whose tokens carry what no longer holds.
///
/// # Errors
/// `LAST_ADMIN`, `USER_NOT_FOUND`
pub async fn demote(client: &mut postgres_chassis::Client, id: Uuid, demotion: Demotion) -> Result<()> {
    let told = |error| translate("changing an account", error);
    let transaction = client.transaction().await.map_err(told)?;
    // Administrators are locked in one order, so two of them cannot remove each other at once.
    let admins = transaction
        .query(
            "select id from core.users where role = 'admin' and disabled_at is null order by id for update",
            &[],
        )
        .await
        .map_err(told)?;
    let keeps = matches!(demotion, Demotion::SetRole(Role::Admin));
    if !keeps && admins.len() == 1 && admins[0].get::<_, Uuid>(0) == id {
        return Err(error::last_admin());
    }
    end_sessions(&transaction, id).await?;
    let changed = match demotion {
        Demotion::Delete => {
            transaction
                .execute("delete from core.users where id = $1", &[&id])
                .await
        }
        Demotion::Disable => transaction
            .execute(
                "update core.users set disabled_at = coalesce(disabled_at, now()), updated_at = now() where id = $1",
                &[&id],
            )
            .await,
        Demotion::SetRole(role) => {
            transaction
                .execute(
                    "update core.users set role = $2, updated_at = now() where id = $1",
                    &[&id, &role.as_str()],
                )
                .await
        }
    };
    if changed.map_err(told)? == 0 {
        return Err(error::user_not_found());
    }
    transaction.commit().await.map_err(told)
}

/// Every session of the user: refresh tokens die now, access tokens as soon as the services hear of it.
pub async fn end_sessions(client: &impl GenericClient, user: Uuid) -> Result<()> {
    let rows = client
        .query(
            "update core.sessions set ended_at = now() where user_id = $1 and ended_at is null returning id",
            &[&user],
        )
        .await
        .map_err(|error| translate("ending sessions", error))?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    trust::end_sessions(client, &ids, crate::signer::ACCESS_TOKEN_S as f64).await
}

pub async fn has_admin(client: &impl GenericClient) -> Result<bool> {
    let row = client
        .query_one(
            "select exists (select from core.users where role = 'admin' and disabled_at is null)",
            &[],
        )
        .await
        .map_err(|error| translate("looking for an administrator", error))?;
    Ok(row.get(0))
}
